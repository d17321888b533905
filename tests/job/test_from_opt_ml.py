"""The platform's tree becomes a job; what it does not mention is ignored, what is wrong is named."""

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.errors import JobError, PlatformError, UserError
from sm_dl.job.from_opt_ml import _channels, _hosts, job_from_opt_ml
from sm_dl.job.job import ChannelSource, Hosts, RawJob
from sm_dl.job.paths import Paths

OptMl = Callable[..., dict[str, str]]
FILES = ["hyperparameters", "inputdataconfig", "resourceconfig", "checkpointconfig"]
steady = settings(derandomize=True, deadline=None)

TYPICAL_CHANNELS = {
    "train": {
        "ContentType": "application/jsonlines",
        "TrainingInputMode": "File",
        "S3DistributionType": "ShardedByS3Key",
        "RecordWrapperType": "None",
    },
    "test": {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    },
}
NEW_KEYS = {
    "current_instance_type": "ml.m5.xlarge",
    "current_group_name": "homogeneousCluster",
    "instance_groups": [
        {"instance_group_name": "g", "instance_type": "ml.m5.xlarge", "hosts": ["algo-1"]}
    ],
    "topology": None,
}


def _message(environment: dict[str, str]) -> str:
    with pytest.raises(UserError) as refusal:
        job_from_opt_ml(environment)
    return str(refusal.value)


# What a good tree means.


@pytest.fixture
def typical(opt_ml: OptMl) -> RawJob:
    """Return a job as the platform lays it out."""
    environment = opt_ml(
        hyperparameters={"epochs": "3", "time_freq": "H", "_tuning_objective_metric": ""},
        inputdataconfig=TYPICAL_CHANNELS,
        resourceconfig={
            "current_host": "algo-2",
            "hosts": ["algo-2", "algo-1"],
            "network_interface_name": "eth1",
        },
    )
    return job_from_opt_ml(environment)


def test_hyperparameters_stay_the_strings_they_are(typical: RawJob) -> None:
    assert typical.hyperparameters == {
        "epochs": "3",
        "time_freq": "H",
        "_tuning_objective_metric": "",
    }


def test_a_channel_is_the_folder_of_its_name(typical: RawJob, tmp_path: Path) -> None:
    folder = tmp_path / "input" / "data" / "test"
    assert typical.channels["test"] == ChannelSource("test", folder, is_shared_out=True)


def test_a_channel_keeps_its_content_type_and_distribution(typical: RawJob) -> None:
    train = typical.channels["train"]
    assert (train.content_type, train.distribution) == ("application/jsonlines", "ShardedByS3Key")


def test_hosts_are_sorted(typical: RawJob) -> None:
    assert typical.hosts == Hosts("algo-2", ("algo-1", "algo-2"), "eth1")


def test_as_many_instances_as_hosts(typical: RawJob) -> None:
    assert typical.resources.instance_count == 2


def test_without_the_newer_keys_the_machine_decides(typical: RawJob) -> None:
    assert typical.resources.instance_type == "local"


def test_the_newer_keys_name_the_instance_type(opt_ml: OptMl) -> None:
    config = {"current_host": "algo-1", "hosts": ["algo-1"], **NEW_KEYS}
    job = job_from_opt_ml(opt_ml(resourceconfig=config))
    assert job.resources.instance_type == "ml.m5.xlarge"


@pytest.mark.parametrize("name", ["algo-1", "any host"])
def test_one_host_may_have_any_name(opt_ml: OptMl, name: str) -> None:
    job = job_from_opt_ml(opt_ml(resourceconfig={"current_host": name, "hosts": [name]}))
    assert job.hosts == Hosts(name, (name,))


def test_the_job_knows_that_it_runs_on_the_platform(typical: RawJob) -> None:
    assert typical.paths.on_platform


@pytest.mark.parametrize("mode", ["File", "FastFile", "Pipe"])
def test_every_input_mode_is_read(opt_ml: OptMl, mode: str) -> None:
    environment = opt_ml(inputdataconfig={"train": {"TrainingInputMode": mode}})
    assert job_from_opt_ml(environment).channels["train"].input_mode == mode


@pytest.mark.parametrize("entry", [{}, None, {"ContentType": None}, {"ContentType": ""}])
def test_a_channel_that_says_nothing_is_read_by_extension(opt_ml: OptMl, entry: object) -> None:
    channels = job_from_opt_ml(opt_ml(inputdataconfig={"train": entry})).channels
    assert (channels["train"].content_type, channels["train"].input_mode) == (None, "File")


@pytest.mark.parametrize("key", ["EnableFFM", "InputMode", "contentType", "é"])
def test_an_unknown_key_of_a_channel_is_ignored(opt_ml: OptMl, key: str) -> None:
    entry = TYPICAL_CHANNELS["test"]
    with_it = job_from_opt_ml(opt_ml(inputdataconfig={"test": {**entry, key: {"a": 1}}}))
    without = job_from_opt_ml(opt_ml(inputdataconfig={"test": entry}))
    assert with_it == without


def test_an_unknown_key_of_the_hosts_is_ignored(opt_ml: OptMl) -> None:
    config = {"current_host": "algo-1", "hosts": ["algo-1"]}
    with_it = job_from_opt_ml(opt_ml(resourceconfig={**config, "new": 1}))
    assert with_it == job_from_opt_ml(opt_ml(resourceconfig=config))


def test_an_unknown_file_is_ignored(opt_ml: OptMl) -> None:
    files = {"init-config": b"{", "debughookconfig": {}, "metric-definition-regex": b"\xff"}
    assert job_from_opt_ml(opt_ml(**files)) == job_from_opt_ml(opt_ml())


def test_a_bare_tree_is_one_host_without_channels(opt_ml: OptMl, tmp_path: Path) -> None:
    job = job_from_opt_ml(opt_ml())
    assert (job.hosts, job.channels, job.hyperparameters, job.paths.root) == (
        Hosts(),
        {},
        {},
        tmp_path,
    )


def test_not_even_the_folder_must_exist(tmp_path: Path) -> None:
    environment = {"SAGEMAKER_BASE_DIR": str(tmp_path / "absent"), "SM_DL_ALGORITHM": " deepar "}
    assert job_from_opt_ml(environment).algorithm == "deepar"


# The newer keys of the hosts.


GROUPS = [
    {"instance_group_name": "cpus", "instance_type": "ml.c5.xlarge", "hosts": ["algo-1"]},
    {"instance_group_name": "gpus", "instance_type": "ml.p3.2xlarge", "hosts": ["algo-2"]},
]
TWO = {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"], "instance_groups": GROUPS}


@pytest.mark.parametrize("key", ["current_group_name", "current_instance_group"])
def test_a_host_is_of_its_group_s_type(opt_ml: OptMl, key: str) -> None:
    job = job_from_opt_ml(opt_ml(resourceconfig={**TWO, key: "gpus"}))
    assert job.resources.instance_type == "ml.p3.2xlarge"


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"current_group_name": "others"},
        {"current_group_name": "gpus", "instance_groups": None},
        {"current_group_name": "gpus", "instance_groups": {"a": 1}},
        {"current_group_name": "gpus", "instance_groups": [1, "gpus", {}]},
        {"current_instance_type": "local"},
        {"current_instance_type": "local_gpu"},
    ],
)
def test_groups_that_say_nothing_of_this_host_leave_it_local(
    opt_ml: OptMl, keys: dict[str, object]
) -> None:
    assert job_from_opt_ml(opt_ml(resourceconfig=TWO | keys)).resources.instance_type == "local"


def test_a_host_alone_need_not_be_listed(opt_ml: OptMl) -> None:
    job = job_from_opt_ml(opt_ml(resourceconfig={"current_host": "algo-7"}))
    assert job.hosts == Hosts("algo-7", ("algo-7",))


def test_a_host_listed_twice_is_refused(opt_ml: OptMl) -> None:
    config = {"current_host": "algo-1", "hosts": ["algo-1", "algo-1"]}
    assert "hosts: expected each host once; got" in _message(opt_ml(resourceconfig=config))


# Checkpoints.


@pytest.mark.parametrize(
    ("config", "folder"),
    [
        ({}, "checkpoints"),
        ({"LocalPath": None}, "checkpoints"),
        ({"LocalPath": ""}, "checkpoints"),
        ({"LocalPath": "/opt/ml/checkpoints"}, "checkpoints"),
        ({"LocalPath": "/opt/ml/checkpoints/", "S3Uri": "s3://b/c"}, "checkpoints"),
        ({"LocalPath": "/opt/ml/mine/deep"}, "mine/deep"),
        ({"LocalPath": "mine"}, "mine"),
    ],
)
def test_checkpoints_are_below_the_root(
    opt_ml: OptMl, tmp_path: Path, config: dict[str, object], folder: str
) -> None:
    job = job_from_opt_ml(opt_ml(checkpointconfig=config))
    assert job.paths.checkpoints == tmp_path / folder


def test_checkpoints_may_be_anywhere(opt_ml: OptMl) -> None:
    job = job_from_opt_ml(opt_ml(checkpointconfig={"LocalPath": "/mnt/fast"}))
    assert job.paths.checkpoints == Path("/mnt/fast")


@pytest.mark.parametrize("folder", [5, ["a"], {"a": 1}, True, "a\0b"])
def test_a_folder_that_is_no_path_is_refused(opt_ml: OptMl, folder: object) -> None:
    message = _message(opt_ml(checkpointconfig={"LocalPath": folder}))
    assert message.startswith("checkpointconfig.json: LocalPath: expected a path; got ")


# Limits on channels.


def test_as_many_channels_as_the_service_allows_are_read(opt_ml: OptMl) -> None:
    entries = {f"c{index}": {} for index in range(20)}
    assert len(job_from_opt_ml(opt_ml(inputdataconfig=entries)).channels) == 20


def test_one_channel_more_is_refused(opt_ml: OptMl) -> None:
    message = _message(opt_ml(inputdataconfig={f"c{index}": {} for index in range(21)}))
    assert message == "inputdataconfig.json: expected at most 20 channels; got 21."


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "x" * 64, "..."])
def test_a_channel_may_have_any_name_of_the_service(opt_ml: OptMl, name: str) -> None:
    assert list(job_from_opt_ml(opt_ml(inputdataconfig={name: {}})).channels) == [name]


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "a/b", "é", ".", "..", "a\n", "../x", "/"])
def test_a_channel_of_another_name_is_refused(opt_ml: OptMl, name: str) -> None:
    message = _message(opt_ml(inputdataconfig={name: {}}))
    assert "channel name: expected 1 to 64 letters, digits, '.', '-' or '_'; got " in message


def test_the_longest_content_type_is_read(opt_ml: OptMl) -> None:
    text = "x" * 256
    job = job_from_opt_ml(opt_ml(inputdataconfig={"train": {"ContentType": text}}))
    assert job.channels["train"].content_type == text


def test_a_longer_content_type_is_refused(opt_ml: OptMl) -> None:
    message = _message(opt_ml(inputdataconfig={"train": {"ContentType": "x" * 257}}))
    assert "channel train: ContentType: expected a media type of at most 256" in message


PIPE = {"TrainingInputMode": "Pipe"}


@pytest.mark.parametrize(("wrapper", "mode"), [("RecordIO", PIPE), ("None", {}), ("None", PIPE)])
def test_a_record_wrapper_is_kept(opt_ml: OptMl, wrapper: str, mode: dict[str, str]) -> None:
    entry = {**mode, "RecordWrapperType": wrapper}
    channels = job_from_opt_ml(opt_ml(inputdataconfig={"train": entry})).channels
    assert channels["train"].record_wrapper == wrapper


@pytest.mark.parametrize(("packed", "mode"), [("Gzip", PIPE), ("None", {}), ("None", PIPE)])
def test_a_compression_is_kept(opt_ml: OptMl, packed: str, mode: dict[str, str]) -> None:
    entry = {**mode, "CompressionType": packed}
    channels = job_from_opt_ml(opt_ml(inputdataconfig={"train": entry})).channels
    assert channels["train"].compression == packed


@pytest.mark.parametrize("mode", ["File", "FastFile"])
@pytest.mark.parametrize(
    ("key", "value"), [("CompressionType", "Gzip"), ("RecordWrapperType", "RecordIO")]
)
def test_what_belongs_to_pipe_mode_is_refused_elsewhere(
    opt_ml: OptMl, mode: str, key: str, value: str
) -> None:
    entry = {"TrainingInputMode": mode, key: value}
    message = _message(opt_ml(inputdataconfig={"train": entry}))
    assert message.startswith(f"channel train: {key}: expected None in {mode} mode; got '{value}'.")


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("S3DistributionType", "FullyReplicated, ShardedByS3Key"),
        ("CompressionType", "None, Gzip"),
        ("RecordWrapperType", "None, RecordIO"),
    ],
)
@pytest.mark.parametrize("value", ["gzip2", 5, ["Gzip"], {"a": 1}, True])
def test_an_unknown_value_is_answered_by_the_known_ones(
    opt_ml: OptMl, key: str, known: str, value: object
) -> None:
    message = _message(opt_ml(inputdataconfig={"train": {key: value}}))
    assert message.startswith(f"channel train: {key}: expected one of {known}; got {value!r}")


@pytest.mark.parametrize("entry", [5, "File", ["File"], True])
def test_an_entry_that_is_no_object_is_refused(opt_ml: OptMl, entry: object) -> None:
    message = _message(opt_ml(inputdataconfig={"train": entry}))
    assert message == f"inputdataconfig.json: channel train: expected an object; got {entry!r}."


@steady
@given(
    st.dictionaries(
        st.sampled_from(["train", "test", "..", "é"]),
        st.none()
        | st.integers(-9, 9)
        | st.dictionaries(
            st.sampled_from(
                [
                    "ContentType",
                    "TrainingInputMode",
                    "S3DistributionType",
                    "CompressionType",
                    "RecordWrapperType",
                    "x",
                ]
            ),
            st.none() | st.booleans() | st.sampled_from(["File", "Pipe", "Gzip", "None", "é", ""]),
        ),
        max_size=4,
    )
)
def test_no_channel_file_leads_to_anything_but_channels_or_a_sentence(
    entries: dict[str, object],
) -> None:
    try:
        channels = _channels(entries, Paths(Path("/opt/ml")))
    except JobError as refusal:
        assert len(str(refusal).splitlines()) == 1  # noqa: PT017 - both ends are right
    else:
        assert list(channels) == list(entries)


# Refusals.


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_an_algorithm_the_variable_is_named(opt_ml: OptMl, value: str | None) -> None:
    environment = opt_ml()
    del environment["SM_DL_ALGORITHM"]
    given = {} if value is None else {"SM_DL_ALGORITHM": value}
    assert "environment variable SM_DL_ALGORITHM: expected" in _message(environment | given)


NOT_JSON = {
    "nothing": b"",
    "cut": b'{"a": ',
    "single quotes": b"{'a': 1}",
    "trailing comma": b'{"a": 1,}',
    "comment": b'{"a": 1} // x',
    "two values": b"{}{}",
    "not a number": b'{"a": NaN}',
    "infinity": b'{"a": Infinity}',
    "not utf-8": b'{"a": "\xff"}',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "zero bytes": b"\x00" * 100,
    "yaml": b"a: 1",
    "deep lists": b"[" * 10_000,
    "deep closed lists": b"[" * 10_000 + b"]" * 10_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "repeated key": b'{"a": "1", "b": "2", "a": "3"}',
    "repeated inner key": b'{"train": {"ContentType": "a", "ContentType": "b"}}',
}
NO_OBJECT = {
    "list": b"[]",
    "text": b'"a"',
    "null": b"null",
    "number": b"1",
    "deepest list": b"[" * 1000 + b"]" * 1000,
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON)
def test_a_file_that_is_no_plain_json_is_refused_by_name(
    opt_ml: OptMl, name: str, content: bytes
) -> None:
    assert f"{name}.json: expected" in _message(opt_ml(**{name: content}))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", NO_OBJECT.values(), ids=NO_OBJECT)
def test_a_file_without_an_object_is_refused_by_name(
    opt_ml: OptMl, name: str, content: bytes
) -> None:
    assert f"{name}.json: expected a JSON object; got " in _message(opt_ml(**{name: content}))


@pytest.mark.parametrize("content", [*NOT_JSON.values(), *NO_OBJECT.values()])
def test_a_refusal_is_one_short_line(opt_ml: OptMl, content: bytes) -> None:
    message = _message(opt_ml(hyperparameters=content))
    assert (len(message.splitlines()), len(message) < 400) == (1, True)


@pytest.mark.parametrize("content", [*NOT_JSON.values(), *NO_OBJECT.values()])
def test_a_hostile_file_is_refused_in_under_a_second(opt_ml: OptMl, content: bytes) -> None:
    environment = opt_ml(hyperparameters=content)
    start = time.process_time()
    _message(environment)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("name", FILES)
def test_a_huge_file_is_refused_without_reading_it_all(
    opt_ml: OptMl, tmp_path: Path, name: str
) -> None:
    environment = opt_ml(**{name: {}})
    with (tmp_path / "input" / "config" / f"{name}.json").open("rb+") as file:
        file.truncate(150_000_000)
    tracemalloc.start()
    _message(environment)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 100e6


def test_a_file_that_cannot_be_read_is_the_platforms_error(opt_ml: OptMl, tmp_path: Path) -> None:
    environment = opt_ml()
    (tmp_path / "input" / "config" / "hyperparameters.json").mkdir()
    with pytest.raises(PlatformError, match=r"hyperparameters\.json: cannot be read"):
        job_from_opt_ml(environment)


@pytest.mark.parametrize("mode", ["file", "Pipes", 5, ["File"], {"a": 1}, True])
def test_an_unknown_input_mode_is_answered_by_the_known_ones(opt_ml: OptMl, mode: object) -> None:
    message = _message(opt_ml(inputdataconfig={"train": {"TrainingInputMode": mode}}))
    assert "channel train: TrainingInputMode: expected one of File, FastFile, Pipe" in message


@pytest.mark.parametrize("content_type", [5, ["application/json"], {"a": 1}, True])
def test_a_content_type_that_is_no_text_is_refused(opt_ml: OptMl, content_type: object) -> None:
    message = _message(opt_ml(inputdataconfig={"train": {"ContentType": content_type}}))
    assert "channel train: ContentType: expected" in message


def test_a_host_that_is_not_listed_is_refused(opt_ml: OptMl) -> None:
    message = _message(opt_ml(resourceconfig={"current_host": "algo-3", "hosts": ["algo-1"]}))
    assert message == "resourceconfig.json: current_host 'algo-3' is not among hosts algo-1."


@pytest.mark.parametrize("hosts", [5, True, "algo-1", {"algo-1": 1}])
def test_hosts_that_are_no_list_are_refused(opt_ml: OptMl, hosts: object) -> None:
    message = _message(opt_ml(resourceconfig={"current_host": "algo-1", "hosts": hosts}))
    assert message.startswith("resourceconfig.json: ")


@steady
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("hosts", "current_host", "network_interface_name", "current_instance_type"),
                *("current_group_name", "instance_groups", "x"),
            ]
        ),
        st.none()
        | st.booleans()
        | st.integers(-9, 9)
        | st.text(max_size=3)
        | st.lists(st.text(max_size=3) | st.integers(-9, 9), max_size=3),
        max_size=4,
    )
)
def test_no_resource_file_leads_to_anything_but_hosts_or_a_sentence(
    config: dict[str, object],
) -> None:
    try:
        hosts, _ = _hosts(config)
    except JobError:
        return
    assert hosts.current in hosts.names
