"""Algorithms are found by listing a folder, under the service's spellings too."""

from pathlib import Path

import orjson
import pytest

from sm_dl import algorithms, registry
from sm_dl.artifact.metadata import Metadata, write_metadata
from sm_dl.errors import UserError

NAMES = registry.names()


def test_the_names_are_the_folders() -> None:
    room = Path(algorithms.__path__[0])
    assert sorted(path.parent.name for path in room.glob("*/__init__.py")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_algorithm_calls_itself_by_the_name_of_its_folder(name: str) -> None:
    assert registry.get(name).name == name


@pytest.mark.parametrize("spelling", ["deepar", "DeepAR", " deepar\n", "forecasting-deepar"])
def test_every_usual_spelling_finds_the_algorithm(spelling: str) -> None:
    assert registry.get(spelling).name == "deepar"


def test_an_unknown_name_is_answered_by_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'depar' is unknown; .* Did you mean 'deepar'\?$"):
        registry.get("depar")


@pytest.mark.parametrize("name", ["", ".", "os", "..deepar", "deepar.network", "__init__", "é"])
def test_only_an_algorithm_is_ever_imported(name: str) -> None:
    with pytest.raises(UserError, match=r"is unknown; expected one of .*deepar"):
        registry.get(name)


def test_a_folder_without_a_model_is_refused_by_the_name_of_the_missing_file(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match=r"model\.json: cannot be read"):
        registry.load(tmp_path)


def test_a_model_of_an_unknown_algorithm_is_refused(tmp_path: Path) -> None:
    write_metadata(tmp_path, Metadata("xgboost", {}))
    with pytest.raises(UserError, match="'xgboost' is unknown"):
        registry.load(tmp_path)


def test_a_model_that_names_a_path_as_its_algorithm_is_refused(tmp_path: Path) -> None:
    document = {"format": 1, "algorithm": "../../evil", "version": "0", "facts": {}}
    (tmp_path / "model.json").write_bytes(orjson.dumps(document))
    with pytest.raises(UserError, match="is unknown"):
        registry.load(tmp_path)
