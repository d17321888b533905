"""A config file is read strictly: what it says is what runs, and a slip is named."""

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.errors import UserError
from sm_dl.job import from_yaml
from sm_dl.job.from_yaml import MAX_DEPTH, MAX_FILE_BYTES, MAX_VALUES, job_from_yaml
from sm_dl.job.job import ChannelSource, Resources

Config = Callable[..., Path]
steady = settings(derandomize=True, deadline=None)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Nd"]), max_size=8)
"""Text without digits: YAML 1.1, which the writer follows, takes `1e5` for text."""

HEAD = "algorithm: deepar\noutput: runs/one\nchannels: {train: data/train}\n"


def _with(hyperparameters: str) -> str:
    return f"{HEAD}hyperparameters: {hyperparameters}\n"


def _message(path: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as refusal:
        job_from_yaml(path, overrides)
    return str(refusal.value)


MOST_CALLS = 2_000_000
"""Of functions while a file is judged: 0.2 s. A clock would measure the neighbours, calls do not."""


def _num_calls(path: Path) -> int:
    """Return how many Python functions are called until a file is refused."""
    count = 0

    def count_call(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(count_call)
    try:
        _message(path)
    finally:
        sys.setprofile(before)
    return count


# What a good file means.


def test_the_algorithm_is_read(config: Config) -> None:
    assert job_from_yaml(config()).algorithm == "deepar"


def test_hyperparameters_stay_as_they_were_written(config: Config) -> None:
    job = job_from_yaml(config(_with("{epochs: 3, time_freq: H, cardinality: [2, 3], x: ''}")))
    assert job.hyperparameters == {"epochs": 3, "time_freq": "H", "cardinality": [2, 3], "x": ""}


def test_the_output_folder_is_the_root_of_all_paths(config: Config) -> None:
    assert job_from_yaml(config()).paths.model == Path("runs/one/model")


def test_a_job_knows_the_file_that_asked_for_it(config: Config) -> None:
    path = config()
    assert job_from_yaml(path).source == path


def test_a_run_from_a_config_is_not_on_the_platform(config: Config) -> None:
    assert not job_from_yaml(config()).paths.on_platform


@pytest.mark.parametrize("entry", ["s3://bucket/train", "{path: 's3://bucket/train'}"])
def test_a_channel_may_be_an_address_in_an_object_store(config: Config, entry: str) -> None:
    job = job_from_yaml(config(HEAD.replace("data/train", entry)))
    assert job.channels["train"].s3_uri == "s3://bucket/train"


def test_an_address_may_name_a_manifest(config: Config) -> None:
    entry = "{path: 's3://bucket/train.manifest', s3_data_type: ManifestFile}"
    job = job_from_yaml(config(HEAD.replace("data/train", entry)))
    assert job.channels["train"].s3_data_type == "ManifestFile"


def test_a_path_on_the_disk_is_no_address(config: Config) -> None:
    assert job_from_yaml(config()).channels["train"].s3_uri is None


@pytest.mark.parametrize("entry", ["data/train", "{path: data/train}", "'data/train'"])
def test_a_channel_may_be_a_plain_path(config: Config, entry: str) -> None:
    job = job_from_yaml(config(HEAD.replace("data/train", entry)))
    assert job.channels == {"train": ChannelSource("train", Path("data/train"))}


def test_a_channel_may_say_all_about_itself(config: Config) -> None:
    entry = (
        "{path: d, content_type: application/jsonlines; a=b, input_mode: Pipe,"
        " distribution: ShardedByS3Key}"
    )
    job = job_from_yaml(config(HEAD.replace("data/train", entry)))
    assert job.channels["train"] == ChannelSource(
        "train", Path("d"), "application/jsonlines; a=b", "Pipe", "ShardedByS3Key"
    )


def test_without_resources_the_machine_is_this_one(config: Config) -> None:
    assert job_from_yaml(config()).resources == Resources(instance_type="local", instance_count=1)


def test_resources_are_read(config: Config) -> None:
    block = "resources: {instance_type: ml.m5.xlarge, devices: 2, precision: 32-true}\n"
    assert job_from_yaml(config(HEAD + block)).resources == Resources(
        instance_type="ml.m5.xlarge", devices=2, precision="32-true"
    )


def test_a_byte_order_mark_is_no_content(config: Config) -> None:
    assert job_from_yaml(config(b"\xef\xbb\xbf" + HEAD.encode())).algorithm == "deepar"


def test_windows_line_ends_are_line_ends(config: Config) -> None:
    assert job_from_yaml(config(HEAD.replace("\n", "\r\n"))).algorithm == "deepar"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e-4", 1e-4),
        ("1E-4", 1e-4),
        ("1.5e-3", 1.5e-3),
        ("1.e-3", 1e-3),
        ("1e5", 1e5),
        ("-2e+3", -2e3),
        ("+1e0", 1.0),
        ("0.001", 0.001),
        ("7", 7),
    ],
)
def test_a_number_is_a_number_with_or_without_a_point(
    config: Config, text: str, number: float
) -> None:
    found = job_from_yaml(config(_with(f"{{learning_rate: {text}}}"))).hyperparameters
    assert found["learning_rate"] == pytest.approx(number, rel=1e-15)


@pytest.mark.parametrize("text", ["1e-4", "32"])
def test_a_number_in_quotes_stays_text(config: Config, text: str) -> None:
    found = job_from_yaml(config(_with(f"{{learning_rate: '{text}'}}"))).hyperparameters
    assert found["learning_rate"] == text


@pytest.mark.parametrize("text", ["e-4", "1e", "1e-", "1e-4s", "1-e4", "0x1e-4g"])
def test_text_that_only_resembles_a_number_stays_text(config: Config, text: str) -> None:
    found = job_from_yaml(config(_with(f"{{time_freq: {text}}}"))).hyperparameters
    assert found["time_freq"] == text


@pytest.mark.parametrize(("text", "number"), [("032", 32), ("010", 10), ("-08", -8), ("00", 0)])
def test_a_leading_zero_does_not_change_a_number(config: Config, text: str, number: int) -> None:
    found = job_from_yaml(config(_with(f"{{epochs: {text}}}"))).hyperparameters["epochs"]
    assert int(str(found)) == number


@steady
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_python_prints_is_read_back(number: float) -> None:
    assert float(from_yaml._load(repr(number), "x")) == number


@settings(steady, max_examples=50)
@given(
    st.recursive(
        st.integers(-(2**63), 2**63) | st.booleans() | st.none() | WORDS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
        max_leaves=10,
    )
)
def test_what_a_yaml_writer_writes_is_read_back(value: object) -> None:
    assert from_yaml._load(yaml.safe_dump(value), "x") == value


# Overrides.


@pytest.mark.parametrize(
    ("override", "name", "value"),
    [
        ("hyperparameters.epochs=7", "epochs", 7),
        ("hyperparameters.learning_rate=1e-3", "learning_rate", 1e-3),
        ("hyperparameters.cardinality=[2, 3]", "cardinality", [2, 3]),
        ("hyperparameters.time_freq=5min", "time_freq", "5min"),
        ("hyperparameters.time_freq='2'", "time_freq", "2"),
        ("hyperparameters.note=a=b", "note", "a=b"),
        ("hyperparameters.cardinality=", "cardinality", None),
    ],
)
def test_an_override_is_read_as_yaml(
    config: Config, override: str, name: str, value: object
) -> None:
    assert job_from_yaml(config(), [override]).hyperparameters[name] == value


def test_an_override_leaves_its_neighbours_alone(config: Config) -> None:
    job = job_from_yaml(config(), ["hyperparameters.num_cells=8"])
    assert job.hyperparameters == {"epochs": 3, "num_cells": 8}


def test_the_last_of_two_overrides_wins(config: Config) -> None:
    job = job_from_yaml(config(), ["output=a", "output=b"])
    assert job.paths.root == Path("b")


def test_an_override_may_bring_a_block_that_the_file_lacks(config: Config) -> None:
    job = job_from_yaml(config(), ["resources.instance_type=ml.m5.large"])
    assert job.resources.instance_type == "ml.m5.large"


def test_an_override_may_reach_into_a_channel(config: Config) -> None:
    job = job_from_yaml(config(), ["channels.train.path=elsewhere"])
    assert job.channels["train"].path == Path("elsewhere")


def test_an_override_may_add_a_channel(config: Config) -> None:
    job = job_from_yaml(config(), ["channels.test=data/test"])
    assert job.channels["test"].path == Path("data/test")


def test_an_override_may_name_the_algorithm(config: Config) -> None:
    assert job_from_yaml(config(), ["algorithm=ntm"]).algorithm == "ntm"


@pytest.mark.parametrize("override", ["hyperparameters.epochs", "epochs.x=3", "", "=3", "x.=1"])
def test_an_override_of_another_form_is_answered_by_the_form(config: Config, override: str) -> None:
    assert _message(config(), override).startswith(f"--set {override}: expected block.key=value")


def test_an_override_of_an_unknown_key_is_refused(config: Config) -> None:
    assert "Did you mean 'output'?" in _message(config(), "outptu=x")


def test_an_override_of_an_unknown_resource_is_answered_by_the_nearest(config: Config) -> None:
    assert "Did you mean 'devices'?" in _message(config(), "resources.device=1")


def test_an_override_below_a_value_is_refused(config: Config) -> None:
    message = _message(config(), "hyperparameters.epochs.x=1")
    assert (
        message == "--set hyperparameters.epochs.x=1: epochs is not a mapping in the config file."
    )


@pytest.mark.parametrize("value", ["[", "!!python/object:os.x {}", "{a: 1, a: 2}", "*a"])
def test_an_override_is_as_strict_as_the_file(config: Config, value: str) -> None:
    message = _message(config(), f"hyperparameters.epochs={value}")
    assert message.startswith("--set hyperparameters.epochs: line 1: expected plain YAML")


# Refusals: one sentence, with the file's name and the nearest name.


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (HEAD + "chanels: {}\n", ["'chanels'", "Did you mean 'channels'?"]),
        (HEAD + "hyperparameter: {}\n", ["'hyperparameter'", "Did you mean 'hyperparameters'?"]),
        (HEAD + "Output: x\n", ["'Output'", "Did you mean 'output'?"]),
        (HEAD + "zzz: 1\n", ["'zzz'", "Known: algorithm, hyperparameters, channels, resources"]),
        (HEAD + "resources: {instance_typ: x}\n", ["'instance_typ'", "Did you mean 'instance_ty"]),
        (HEAD + "resources: {instance_count: 0}\n", ["instance_count", "an integer >= 1", "got 0"]),
        (HEAD + "resources: {instance_count: two}\n", ["instance_count", "integer", "got 'two'"]),
        (HEAD + "resources: {devices: all}\n", ["devices", "auto or an integer", "got 'all'"]),
        (HEAD + "resources: {precision: bf16-mixd}\n", ["Did you mean 'bf16-mixed'?"]),
        (HEAD + "resources: 5\n", ["resources: expected a mapping; got 5"]),
        (HEAD + "hyperparameters: [1]\n", ["hyperparameters: expected a mapping; got [1]"]),
        (HEAD.replace("data/train", "{paht: x}"), ["channels.train", "Did you mean 'path'?"]),
        (HEAD.replace("data/train", "{path: x, zz: 1}"), ["'zz'", "Known: path, content_type"]),
        (HEAD.replace("data/train", "{path: 5}"), ["key path: expected", "got 5"]),
        (HEAD.replace("data/train", "5"), ["channels.train: expected a path or a mapping; got 5"]),
        (HEAD.replace("data/train", "null"), ["channels.train: expected a path", "got None"]),
        (
            HEAD.replace("data/train", "{path: x, input_mode: FIle}"),
            ["input_mode: expected one of File, FastFile, Pipe; got 'FIle'", "mean 'File'?"],
        ),
        ("output: x\nchannels: {}\n", ["algorithm is required: expected a string"]),
        ("algorithm: deepar\nchannels: {}\n", ["output is required: expected"]),
        ("algorithm: deepar\noutput: x\n", ["channels is required: expected a mapping"]),
        ("algorithm: 5\noutput: x\nchannels: {}\n", ["algorithm: expected a string; got 5"]),
        ("", ["expected a mapping with algorithm, channels and output; got None"]),
        ("deepar", ["expected a mapping", "got 'deepar'"]),
        ("- a\n", ["expected a mapping", "got ['a']"]),
        ("# nothing but a comment\n", ["expected a mapping", "got None"]),
    ],
)
def test_a_slip_is_named_with_what_was_expected(
    config: Config, text: str, parts: list[str]
) -> None:
    message = _message(config(text))
    assert [part for part in parts if part not in message] == []


@pytest.mark.parametrize("text", [HEAD + "zzz: 1\n", "- a\n", "a: [", "a: 1\na: 2\n", "\xff"])
def test_every_refusal_begins_with_the_files_name(config: Config, text: str) -> None:
    path = config(text)
    assert _message(path).startswith(f"{path}: ")


@pytest.mark.parametrize("output", ["''", "' '"])
def test_an_empty_output_is_refused(config: Config, output: str) -> None:
    assert "output" in _message(config(HEAD.replace("runs/one", output)))


def test_an_empty_path_is_not_called_a_string(config: Config) -> None:
    message = _message(config(HEAD.replace("data/train", "''")))
    assert "expected a string; got ''" not in message


@pytest.mark.parametrize("names", [4, 6, 40])
def test_many_slips_are_counted_and_not_all_shown(config: Config, names: int) -> None:
    text = HEAD + "".join(f"z{index}: 1\n" for index in range(names))
    assert _message(config(text)).count("was unexpected") == min(names, 5)


# Hostile files: refused in a moment, in one line, and nothing of them is run.


HOSTILE = {
    "python object": "!!python/object/apply:os.system ['true']",
    "python name": "!!python/name:os.system",
    "python module": "!!python/module:os",
    "python tuple": "!!python/tuple [1]",
    "own tag": "!x 1",
    "alias": "a: &a [1]\nb: *a",
    "billion laughs": "a: &a [x]\n"
    + "\n".join(
        f"{chr(98 + level)}: &{chr(98 + level)} [" + f"*{chr(97 + level)}, " * 9 + "]"
        for level in range(9)
    ),
    "merged alias": "a: &a {x: 1}\nb: {<<: *a}",
    "self reference": "a: &a [*a]",
    "repeated key": "algorithm: deepar\nalgorithm: ntm",
    "repeated inner key": "hyperparameters:\n  epochs: 1\n  epochs: 2",
    "repeated key in braces": "{a: 1, a: 2}",
    "list as key": "? [a]\n: 1",
    "mapping as key": "? {a: 1}\n: 1",
    "deep lists": "[" * 10_000,
    "deep closed lists": "[" * 10_000 + "]" * 10_000,
    "deep mappings": "{a: " * 10_000,
    "deep keys": "? " * 10_000,
    "deep dashes": "- " * 10_000,
    "deep indents": "\n".join(" " * level + "a:" for level in range(100)),
    "two documents": f"{HEAD}---\n{HEAD}",
    "no yaml": "a: b: c",
    "open list": "a: [1",
    "open text": "a: 'x",
    "tab": "a:\n\t- b",
    "zero byte": "a: \x00",
    "escape character": "a: \x1b[31m",
    "impossible date": "a: 2020-13-45",
    "long integer": "a: " + "9" * 10_000,
    "no hex digit": "a: 0x_",
    "wrong base64": "a: !!binary x",
    "wrong boolean": "a: !!bool maybe",
    "wrong integer": "a: !!int ''",
    "wrong sign": "a: !!int '-'",
    "wrong float": "a: !!float ''",
    "wrong date": "a: !!timestamp noon",
    "wrong mapping": "a: !!map [b]",
    "wrong set": "a: !!set [b]",
    "wrong order": "a: !!omap {b: 1}",
    "unknown version": "%YAML 9.9\n---\na: 1",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused(config: Config, text: str) -> None:
    assert "expected plain YAML; " in _message(config(text))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_refusal_is_one_line(config: Config, text: str) -> None:
    assert len(_message(config(text)).splitlines()) == 1


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_with_little_work(config: Config, text: str) -> None:
    assert _num_calls(config(text)) < MOST_CALLS / 50


@pytest.mark.parametrize(
    ("text", "line"), [("a: 1\nb: 2\na: 3\n", 3), ("a: 1\nb: &x 1\nc: *x\n", 3), ("a: [\n\n}", 3)]
)
def test_the_line_of_the_slip_is_named(config: Config, text: str, line: int) -> None:
    assert f"job.yaml: line {line}: expected plain YAML" in _message(config(text))


def test_a_refusal_runs_nothing_of_the_file(config: Config, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    _message(config(f"a: !!python/object/apply:pathlib.Path.touch [{victim}]"))
    assert not victim.exists()


def test_the_deepest_allowed_nesting_is_read(config: Config) -> None:
    inner = "[" * (MAX_DEPTH - 3) + "1" + "]" * (MAX_DEPTH - 3)
    assert job_from_yaml(config(_with(f"{{x: {inner}}}"))).hyperparameters["x"]


def test_one_level_deeper_is_refused(config: Config) -> None:
    inner = "[" * (MAX_DEPTH - 2) + "1" + "]" * (MAX_DEPTH - 2)
    assert f"nested deeper than {MAX_DEPTH} levels" in _message(config(_with(f"{{x: {inner}}}")))


def test_as_many_siblings_as_fit_are_no_nesting(config: Config) -> None:
    many = ", ".join(["[1]"] * 200)
    assert len(job_from_yaml(config(_with(f"{{x: [{many}]}}"))).hyperparameters["x"]) == 200


def test_the_longest_allowed_file_is_read(config: Config) -> None:
    path = config(HEAD + "#" * (MAX_FILE_BYTES - len(HEAD)))
    assert job_from_yaml(path).algorithm == "deepar"


@pytest.mark.parametrize(
    "unit", ["1,", "[],", "{},", "'',", '"\\x41",', "a\n  ", "#\n", "k: 1,\n"], ids=repr
)
def test_a_dense_file_of_the_largest_size_is_judged_with_bounded_work(
    config: Config, unit: str
) -> None:
    head = "x: [" if unit.endswith(",") else "x: "
    path = config(head + unit * ((MAX_FILE_BYTES - 4) // len(unit)))
    assert _num_calls(path) < MOST_CALLS


@pytest.mark.parametrize("unit", ["1,", "[],", "{},", "'',"], ids=repr)
def test_the_parser_stops_at_the_number_of_values_not_at_the_end_of_the_file(
    config: Config, unit: str
) -> None:
    path = config("x: [" + unit * ((MAX_FILE_BYTES - 4) // len(unit)))
    assert _message(path) == f"{path}: expected plain YAML; more than {MAX_VALUES} keys and values."


def test_the_densest_file_is_judged_within_100_mb(config: Config) -> None:
    path = config("x: [" + "[]," * ((MAX_FILE_BYTES - 4) // 3))
    tracemalloc.start()
    _message(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 100e6


@pytest.mark.parametrize("filler", [b"#", "é".encode(), "#é".encode()])
def test_a_longer_file_is_refused_as_too_long(config: Config, filler: bytes) -> None:
    path = config(HEAD.encode() + b"#" + filler * MAX_FILE_BYTES)
    assert f"larger than {MAX_FILE_BYTES} bytes" in _message(path)


def test_a_file_of_a_gibibyte_is_refused_without_reading_it_all(config: Config) -> None:
    path = config()
    with path.open("rb+") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    _message(path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 100e6


@pytest.mark.parametrize(
    "content",
    [
        b"a: \xff",
        b"\xff\xfe",
        HEAD.encode("utf-16"),
        "a: é".encode("latin-1"),
        b"\xc3",
        b"\xed\xa0\x80",
    ],
)
def test_a_file_that_is_not_utf_8_is_refused_with_the_byte(config: Config, content: bytes) -> None:
    assert "expected UTF-8 text; save it as UTF-8." in _message(config(content))


def test_an_absent_file_is_the_users_error(tmp_path: Path) -> None:
    message = _message(tmp_path / "absent.yaml")
    assert message.endswith("cannot read the config file (No such file or directory).")


def test_a_folder_in_place_of_the_file_is_the_users_error(tmp_path: Path) -> None:
    assert "cannot read the config file (Is a directory)" in _message(tmp_path)


@steady
@given(st.binary(max_size=200))
def test_no_bytes_lead_to_anything_but_a_job_or_a_sentence(content: bytes) -> None:
    try:
        from_yaml._load(content.decode("latin-1"), "x")
    except UserError:
        return


@steady
@given(st.text(st.sampled_from("!&*?:-[]{},'\"<=>|%@` \nab019.e+_~#\tintmaposet"), max_size=60))
def test_no_yaml_text_leads_to_anything_but_a_value_or_a_sentence(text: str) -> None:
    try:
        from_yaml._load(text, "x")
    except UserError:
        return
