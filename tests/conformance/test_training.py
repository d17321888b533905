"""Contract, sections 1 to 4: what `train` reads, prints and leaves, and how it fails."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sm_dl.contract.algorithm import Algorithm
from tests.conformance.container import Confinement, Container
from tests.conformance.tree import Finished, files, read_config, write_config
from tests.fifo import feeding
from tests.small_job import SmallJob

pytestmark = pytest.mark.system

Tree = Callable[..., Path]
PREFIX = re.compile(r"^\[\d\d/\d\d/\d{4} \d\d:\d\d:\d\d [A-Z]+ \d+\] ")
ENTRY_LINE = "Docker entrypoint called with argument(s): train"
METRIC_LINE = re.compile(r"#(quality|progress|throughput)_metric: ")


def _can_bind_read_only() -> bool:
    if shutil.which("unshare") is None:
        return False
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'
    tried = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "/usr"], capture_output=True, check=False
    )
    return tried.returncode == 0


def test_all_hyperparameters_may_be_strings_and_unknown_files_lie_about(finished: Finished) -> None:
    values = read_config(finished.root, "hyperparameters").values()
    assert {type(value) for value in values} == {str}


def test_a_finished_job_leaves_a_model(finished: Finished) -> None:
    assert finished.model


def test_a_finished_job_leaves_no_failure_file(finished: Finished) -> None:
    assert not (finished.root / "output" / "failure").exists()


def test_a_finished_job_leaves_no_temporary_file(finished: Finished) -> None:
    assert [name for name in files(finished.root) if name.endswith(".sagemaker-ignore")] == []


def test_other_results_lie_where_the_platform_uploads_them(finished: Finished) -> None:
    names = [name for name in files(finished.root / "output") if not name.startswith(".")]
    assert names
    assert [name for name in names if not name.startswith("data/")] == []


def test_the_log_begins_as_the_service_s_does(finished: Finished) -> None:
    lines = finished.log.splitlines()
    wanted = [
        ENTRY_LINE,
        "Reading default configuration from ",
        "Merging with provided configuration from ",
        "Final configuration: {",
    ]
    places = [
        next((place for place, line in enumerate(lines) if text in line), -1) for text in wanted
    ]
    assert (places[0], places == sorted(places), -1 in places) == (0, True, False), places


def test_every_line_has_the_service_s_prefix(finished: Finished) -> None:
    lines = [
        line
        for line in finished.log.splitlines()
        if not line.startswith("#metrics {") and line != ENTRY_LINE
    ]
    assert [line for line in lines if not PREFIX.match(line)] == []


def test_every_registered_metric_is_printed(
    finished: Finished, algorithm: Algorithm, job: SmallJob
) -> None:
    unseen = {one.name for one in algorithm.metrics if not re.search(one.regex, finished.log)}
    assert unseen - job.silent_metrics == set()


def test_every_metric_line_matches_a_registered_pattern(
    finished: Finished, algorithm: Algorithm
) -> None:
    lines = [line for line in finished.log.splitlines() if METRIC_LINE.search(line)]
    patterns = [re.compile(one.regex) for one in algorithm.metrics]
    assert any(one.search(finished.log) for one in patterns)
    assert [line for line in lines if not any(one.search(line) for one in patterns)] == []


def test_no_metric_is_nan(finished: Finished, algorithm: Algorithm) -> None:
    values = [found for one in algorithm.metrics for found in re.findall(one.regex, finished.log)]
    assert [value for value in values if not abs(float(value)) < float("inf")] == []


def test_an_unknown_hyperparameter_ends_with_exit_code_2_and_a_failure_file(
    container: Container, tree: Tree
) -> None:
    root = tree(unheard_of="1")
    code, log = container.train(root)
    failure = (root / "output" / "failure").read_text()
    assert code == 2
    assert "Customer Error: Additional hyperparameters are not allowed" in log
    assert failure.startswith("ClientError: Additional hyperparameters are not allowed")
    assert ("unheard_of" in failure, "Traceback" in failure, len(failure) <= 1024) == (
        True,
        False,
        True,
    )


def test_a_missing_required_channel_is_named_in_the_service_s_words(
    container: Container, tree: Tree, algorithm: Algorithm
) -> None:
    required = next(channel.name for channel in algorithm.channels if channel.required)
    root = tree()
    shutil.rmtree(root / "input" / "data" / required)
    code, _ = container.train(root)
    failure = (root / "output" / "failure").read_text()
    assert (code, failure.startswith(f"ClientError: Missing required channel: {required}")) == (
        2,
        True,
    )


@pytest.mark.skipif(not _can_bind_read_only(), reason="needs root and mount namespaces")
def test_channels_may_be_read_only_as_in_fast_file_mode(
    container: Container, tree: Tree, finished: Finished, algorithm: Algorithm
) -> None:
    root = tree()
    modes = {
        one.name: "FastFile" if "FastFile" in one.modes else "File" for one in algorithm.channels
    }
    entries = read_config(root, "inputdataconfig")
    write_config(
        root, "inputdataconfig", {name: {"TrainingInputMode": modes[name]} for name in entries}
    )
    before = files(root / "input")
    code, log = container.train(root, confinement=Confinement(reads_only_input=True))
    assert code == 0, log
    assert files(root / "input") == before
    assert files(root / "model") == finished.model


@pytest.mark.parametrize("late_s", [0, 3])
def test_a_pipe_is_read_also_when_it_appears_late(
    container: Container, tree: Tree, algorithm: Algorithm, late_s: float
) -> None:
    channel = next(one for one in algorithm.channels if one.required)
    if "Pipe" not in channel.modes:
        pytest.skip(f"{algorithm.name} reads {', '.join(channel.modes)}: no Pipe mode to test")
    root = tree()
    source = root / "input" / "data" / channel.name
    content = [path.read_bytes() for path in sorted(source.rglob("*")) if path.is_file()]
    shutil.rmtree(source)
    entry = {"TrainingInputMode": "Pipe", "ContentType": channel.content_types[0]}
    entries = read_config(root, "inputdataconfig")
    write_config(root, "inputdataconfig", {**entries, channel.name: entry})
    # more epochs than are read: what nobody opens is no fault, nor is a reader that closes early
    with feeding(source, [content] * 1000, late_s=late_s):
        code, log = container.train(root)
    assert code == 0, log


def test_a_mode_the_algorithm_does_not_read_is_refused(
    container: Container, tree: Tree, algorithm: Algorithm
) -> None:
    channel = next(one for one in algorithm.channels if one.required)
    if "Pipe" in channel.modes:
        pytest.skip(f"{algorithm.name} reads every mode")
    root = tree()
    entry = {"TrainingInputMode": "Pipe", "ContentType": channel.content_types[0]}
    write_config(root, "inputdataconfig", {channel.name: entry})
    code, _ = container.train(root)
    failure = (root / "output" / "failure").read_text()
    sentence = f"ClientError: Channel configuration for '{channel.name}' channel is not supported"
    assert (code, failure.startswith(sentence)) == (2, True), failure
