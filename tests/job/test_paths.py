"""Every folder of a job hangs below one root."""

from pathlib import Path

import pytest

from sm_dl.job.paths import Paths

HERE = Paths(Path("runs/one"))
ON_PLATFORM = Paths.of_platform({})


@pytest.mark.parametrize("environment", [{}, {"SAGEMAKER_BASE_DIR": ""}])
def test_the_containers_root_is_opt_ml(environment: dict[str, str]) -> None:
    assert Paths.of_platform(environment).root == Path("/opt/ml")


def test_the_base_directory_moves_the_root(tmp_path: Path) -> None:
    assert Paths.of_platform({"SAGEMAKER_BASE_DIR": str(tmp_path)}).root == tmp_path


def test_the_base_directory_is_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    assert Paths.of_platform().root == tmp_path


@pytest.mark.parametrize(
    ("found", "contract"),
    [
        (ON_PLATFORM.input_config, "/opt/ml/input/config"),
        (ON_PLATFORM.channel("train"), "/opt/ml/input/data/train"),
        (ON_PLATFORM.model, "/opt/ml/model"),
        (ON_PLATFORM.checkpoints, "/opt/ml/checkpoints"),
        (ON_PLATFORM.output, "/opt/ml/output"),
        (ON_PLATFORM.failure, "/opt/ml/output/failure"),
        (ON_PLATFORM.extras, "/opt/ml/output/data"),
        (ON_PLATFORM.report, "/opt/ml/output/data/report"),
        (ON_PLATFORM.tensorboard, "/opt/ml/output/data/tensorboard"),
        (HERE.model, "runs/one/model"),
        (HERE.failure, "runs/one/output/failure"),
        (HERE.report, "runs/one/output/report"),
        (HERE.tensorboard, "runs/one/output/tensorboard"),
    ],
    ids=str,
)
def test_a_folder_lies_where_the_contract_says(found: Path, contract: str) -> None:
    assert found == Path(contract)


def test_naming_the_folders_creates_none(tmp_path: Path) -> None:
    assert not Paths(tmp_path / "run").report.exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "found"), [("/mnt/fast", "/mnt/fast"), ("mine", "runs/one/mine")]
)
def test_checkpoints_may_lie_elsewhere(folder: str, found: str) -> None:
    assert HERE.with_checkpoints(Path(folder)).checkpoints == Path(found)
