"""What an algorithm declares can be read, copied and parsed; and every door can be found."""

import importlib
import json
import re
import subprocess
import sys
from typing import Any

import orjson
import pytest

from sm_dl import __main__ as entry
from sm_dl import describe, registry
from sm_dl.content_types import JSON_LINES, PARQUET
from sm_dl.contract.algorithm import Algorithm
from sm_dl.contract.channels import Channel
from sm_dl.contract.hyperparameters import FloatList, Hyperparameters, hyperparameter
from sm_dl.contract.metrics import Metric
from sm_dl.contract.placement import Placement

HEAVY = {"torch", "lightning", "pytorch_lightning", "numpy", "matplotlib", "jinja2", "pandas"}
LONG_WORD = "x" * 70


class TinyHyperparameters(Hyperparameters):
    """One of each kind."""

    epochs: int = hyperparameter(ge=1)
    """How often all is seen."""
    rate: float = hyperparameter(default=0.001, gt=0, tune=(1e-5, 0.1))
    """Step size; [bold]brackets[/bold] and :smile: are text."""
    levels: FloatList = hyperparameter(default=(0.1, 0.9), expected="a JSON list such as [0.1]")
    """Quantiles."""
    patience: int | None = hyperparameter(default=None, ge=1)
    """Absent: never stop early."""


def _unused(*_: object) -> Any:
    raise AssertionError


TINY = Algorithm(
    name="tiny",
    summary="Learns nothing.",
    paper="Nobody, 2020",
    hyperparameters=TinyHyperparameters,
    channels=(
        Channel("train", "What to learn from.", (JSON_LINES, PARQUET), required=True),
        Channel("test", "What to score.", (JSON_LINES,), modes=("File", "Pipe")),
    ),
    metrics=(
        Metric(
            "test:RMSE",
            f"{LONG_WORD} [0.1] {LONG_WORD} {{host}} {LONG_WORD}={{value}}",
            minimize=True,
        ),
        Metric("train:progress", "completed {value} %"),
    ),
    placement=Placement(cpu=True, gpu=False, hosts="one", note="Any machine will do."),
    fit=_unused,
    load=_unused,
)


@pytest.fixture
def text(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what is printed about the tiny algorithm where stdout is no terminal."""
    describe.print_one(TINY, describe.console())
    return capsys.readouterr().out


def test_every_declared_name_is_printed(text: str) -> None:
    names = [*TinyHyperparameters.model_fields, *(c.name for c in TINY.channels)]
    assert [name for name in names if not re.search(rf"^ {name}  ", text, re.MULTILINE)] == []


@pytest.mark.parametrize("metric", TINY.metrics, ids=lambda metric: metric.name)
def test_every_pattern_stands_whole_on_a_line(text: str, metric: Metric) -> None:
    assert metric.regex in [line.strip() for line in text.splitlines()]


def test_a_row_says_what_is_expected_by_default_and_for_tuning(text: str) -> None:
    row = next(line for line in text.splitlines() if line.startswith(" rate"))
    assert re.split(r"\s{2,}", row.strip())[1:4] == ["a number > 0", "0.001", "1e-05 to 0.1"]


@pytest.mark.parametrize(("name", "default"), [("epochs", "required"), ("patience", "none")])
def test_required_is_not_the_same_as_nothing(text: str, name: str, default: str) -> None:
    row = next(line for line in text.splitlines() if line.startswith(f" {name}"))
    assert re.split(r"\s{2,}", row.strip())[2] == default


def test_brackets_and_colons_are_text(text: str) -> None:
    assert "[bold]brackets[/bold] and :smile: are text." in text


def test_a_file_gets_no_colour_codes(text: str) -> None:
    assert "\x1b" not in text


def test_the_placement_is_said_in_words(text: str) -> None:
    assert "  CPU, one host\n  inference on CPU\n  Any machine will do." in text


def test_a_narrow_window_loses_no_fact(capsys: pytest.CaptureFixture[str]) -> None:
    console = describe.console()
    console.width = 80
    describe.print_one(TINY, console)
    words = " ".join(capsys.readouterr().out.split())
    assert "expected: a number > 0" in words
    assert TINY.metrics[0].regex in words


def test_the_description_survives_json() -> None:
    document = orjson.loads(orjson.dumps(describe.described(TINY)))
    assert document["hyperparameters"][2]["default"] == [0.1, 0.9]


def test_metrics_are_spelt_as_the_service_spells_them() -> None:
    metric = describe.described(TINY)["metrics"][1]
    assert metric == {
        "Name": "train:progress",
        "Regex": r"completed (\S+) %",
        "minimize": None,
        "objective": False,
    }


def test_a_hyperparameter_is_described_by_seven_facts() -> None:
    described = describe.described(TINY)["hyperparameters"][0]
    assert set(described) == {"name", "required", "default", "expected", "tune", "extra", "doc"}


def test_our_own_hyperparameters_are_marked() -> None:
    described = describe.described(TINY)["hyperparameters"]
    assert [one["name"] for one in described if one["extra"]] == ["seed", "max_bad_records"]


@pytest.mark.parametrize("name", registry.names())
def test_every_algorithm_is_described_by_the_door(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert describe.main([name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == name


def test_the_list_names_every_algorithm(capsys: pytest.CaptureFixture[str]) -> None:
    assert describe.main([]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[0] for row in rows if row.strip()] == registry.names()


def test_the_list_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert describe.main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found] == registry.names()


def test_an_unknown_algorithm_is_the_users_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert describe.main(["depar"]) == 2
    assert capsys.readouterr().err.endswith("Did you mean 'deepar'?\n")


def test_describing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from sm_dl.__main__ import main; main(['describe', 'deepar', '--json']);"
        f"main(['describe']); sys.exit(' '.join({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_without_a_door_all_are_named(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split()[0] for line in lines] == list(entry.doors())


@pytest.mark.parametrize("door", list(entry.doors()))
def test_every_door_opens(door: str) -> None:
    assert callable(importlib.import_module(f"sm_dl.{door}").main)


def test_an_unknown_door_is_answered_by_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["descibe"]) == 2
    assert capsys.readouterr().err.endswith("got 'descibe'. Did you mean 'describe'?\n")


def test_a_door_gets_the_remaining_arguments_and_gives_its_code() -> None:
    assert entry.main(["describe", "nothing-like-it"]) == 2


def test_naming_the_doors_imports_none_of_them() -> None:
    code = (
        "import sys; from sm_dl.__main__ import main; main([]);"
        "sys.exit(' '.join(name for name in sys.modules if name in "
        "('sm_dl.train', 'sm_dl.serve', 'sm_dl.describe', 'sm_dl.report')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_metric_definitions_are_what_the_service_takes(capsys):
    assert describe.main(["deepar", "--metric-definitions"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == [
        {"Name": one.name, "Regex": one.regex} for one in registry.get("deepar").metrics
    ]


# How the platform calls. Without a job or a model both doors end at once.


@pytest.fixture
def said(monkeypatch, tmp_path, capsys):
    """Return what a call of the entry point prints in a container that holds nothing."""
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "0")
    monkeypatch.delenv("SM_DL_ALGORITHM", raising=False)

    def call(*arguments):
        assert entry.main(arguments) == 2
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize("door", ["train", "serve"])
def test_the_platform_s_call_is_announced_as_the_service_does(door, said):
    first = said(door).splitlines()[0]
    assert first == f"Docker entrypoint called with argument(s): {door}"


def test_a_call_with_arguments_is_not_announced(said):
    assert "Docker" not in said("train", "--config", "absent.yaml")


@pytest.mark.parametrize("rank", ["0", "1"])
@pytest.mark.parametrize("variable", ["RANK", "LOCAL_RANK"])
def test_one_process_of_several_is_not_announced(variable, rank, monkeypatch, said):
    monkeypatch.setenv(variable, rank)
    assert "Docker" not in said("train")
