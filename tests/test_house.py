"""The house keeps its shape: floors, rooms, quiet imports, configs that run."""

import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sm_dl
from sm_dl import registry
from sm_dl.job.from_yaml import job_from_yaml

ROOT = Path(__file__).parents[1]
ROOM_FILES = {"__init__.py", "hyperparameters.py", "data.py", "network.py", "module.py", "codec.py"}
MAX_LINES = 300
SOURCES = sorted((ROOT / "sm_dl").rglob("*.py"))
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
MODULES = sorted(module.name for module in pkgutil.walk_packages(sm_dl.__path__, "sm_dl."))


def _python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_modules_configs_and_sources_were_found() -> None:
    assert min(len(MODULES), len(CONFIGS), len(SOURCES)) > 0


def test_every_module_imports_silently() -> None:
    code = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    done = _python(code, *MODULES)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_describing_every_algorithm_imports_neither_torch_nor_lightning() -> None:
    code = (
        "import sys; from sm_dl import registry;"
        "[registry.get(name).hyperparameters.declarations() for name in registry.names()];"
        "print({'torch', 'lightning'} & set(sys.modules))"
    )
    assert _python(code).stdout == "set()\n"


def test_imports_go_down_only() -> None:
    code = "from importlinter.cli import lint_imports_command as check; check()"
    done = _python(code, "--no-cache")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_the_import_check_has_contracts_to_keep() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert len(project["tool"]["importlinter"]["contracts"]) > 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("name", registry.names())
def test_every_algorithm_has_the_same_six_files(name: str) -> None:
    files = {path.name for path in (ROOT / "sm_dl" / "algorithms" / name).iterdir()}
    assert files >= ROOM_FILES


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_describes_a_job(path: Path) -> None:
    job = job_from_yaml(path)
    assert registry.get(job.algorithm).hyperparameters.parse(job.hyperparameters)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_brings_channels_the_algorithm_knows(path: Path) -> None:
    job = job_from_yaml(path)
    known = {channel.name for channel in registry.get(job.algorithm).channels}
    assert set(job.channels) <= known


@pytest.mark.parametrize("name", registry.names())
def test_every_algorithm_has_a_config(name: str) -> None:
    assert (ROOT / "configs" / f"{name}.yaml").is_file()


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert sm_dl.__version__ == project["project"]["version"]
