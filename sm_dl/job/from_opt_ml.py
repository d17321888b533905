"""A job from the platform's tree: four JSON files below `input/config` (contract, section 1)."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from sm_dl.errors import UserError, near_miss, shown
from sm_dl.job.job import (
    ChannelSource,
    Compression,
    Distribution,
    Hosts,
    InputMode,
    RawJob,
    RecordWrapper,
    Resources,
)
from sm_dl.job.json_file import read_object
from sm_dl.job.paths import PLATFORM_ROOT, Paths

ALGORITHM_VARIABLE = "SM_DL_ALGORITHM"
MAX_CHANNELS, MAX_CONTENT_TYPE_CHARACTERS = 20, 256
CHANNEL_NAME = re.compile(r"[A-Za-z0-9.\-_]{1,64}")
"""The service's limits on channels (contract, section 1.2)."""
LOCAL_MODE = {"local", "local_gpu"}
"""What the Python SDK's local mode writes for an instance type."""


def job_from_opt_ml(environment: Mapping[str, str] = os.environ) -> RawJob:
    """Return the job the platform has laid out; unknown files and unknown keys are ignored.

    Raises:
        UserError: No algorithm is named, or a file does not hold what the contract says.
    """
    paths = Paths.of_platform(environment)
    algorithm = environment.get(ALGORITHM_VARIABLE, "").strip()
    if not algorithm:
        raise UserError(
            f"environment variable {ALGORITHM_VARIABLE}: expected the name of an algorithm; "
            "got nothing. Set it on the image or the job, or pass --config."
        )
    config = paths.input_config
    hosts, instance_type = _hosts(read_object(config / "resourceconfig.json"))
    return RawJob(
        algorithm=algorithm,
        hyperparameters=read_object(config / "hyperparameters.json"),
        channels=_channels(read_object(config / "inputdataconfig.json"), paths),
        resources=Resources(instance_type=instance_type, instance_count=len(hosts.names)),
        hosts=hosts,
        paths=_with_checkpoints(paths, read_object(config / "checkpointconfig.json")),
        source=config / "hyperparameters.json",
    )


def _channels(entries: Mapping[str, Any], paths: Paths) -> dict[str, ChannelSource]:
    if len(entries) > MAX_CHANNELS:
        raise UserError(
            f"inputdataconfig.json: expected at most {MAX_CHANNELS} channels; got {len(entries)}."
        )
    return {name: _channel(name, entry, paths) for name, entry in entries.items()}


def _channel(name: str, entry: object, paths: Paths) -> ChannelSource:
    if not CHANNEL_NAME.fullmatch(name) or name in (".", ".."):
        raise UserError(
            f"inputdataconfig.json: channel name: expected 1 to 64 letters, digits, '.', '-' or '_'; "
            f"got {shown(name)}."
        )
    if not isinstance(entry, dict | None):
        raise UserError(
            f"inputdataconfig.json: channel {name}: expected an object; got {shown(entry)}."
        )
    values = entry or {}
    mode = _one_of(InputMode, "TrainingInputMode", "File", values, name)
    source = ChannelSource(
        name=name,
        path=paths.channel(name),
        content_type=_content_type(values.get("ContentType") or None, name),
        input_mode=mode,
        distribution=_one_of(Distribution, "S3DistributionType", "FullyReplicated", values, name),
        is_shared_out=True,
        compression=_one_of(Compression, "CompressionType", "None", values, name),
        record_wrapper=_one_of(RecordWrapper, "RecordWrapperType", "None", values, name),
    )
    for key, value in (
        ("CompressionType", source.compression),
        ("RecordWrapperType", source.record_wrapper),
    ):
        if value != "None" and mode != "Pipe":
            raise UserError(
                f"channel {name}: {key}: expected None in {mode} mode; got {value!r}. "
                f"{value} belongs to Pipe mode; in the others a file's name says how to read it."
            )
    return source


def _content_type(value: object, name: str) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= MAX_CONTENT_TYPE_CHARACTERS):
        return value
    raise UserError(
        f"channel {name}: ContentType: expected a media type of at most "
        f"{MAX_CONTENT_TYPE_CHARACTERS} characters; got {shown(value)}."
    )


def _one_of(choices: Any, key: str, default: str, values: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - one of the literal's strings
    value = values.get(key) or default
    known = get_args(choices)
    if value in known:
        return value
    hint = near_miss(value, known) if isinstance(value, str) else ""
    raise UserError(
        f"channel {name}: {key}: expected one of {', '.join(known)}; got {shown(value)}.{hint}"
    )


def _hosts(config: Mapping[str, Any]) -> tuple[Hosts, str]:
    """Return the hosts and this host's instance type; an absent file means one local host."""
    if not config:
        return Hosts(), "local"
    current = str(config.get("current_host") or "")
    hosts = config.get("hosts") or [current or "algo-1"]
    if not isinstance(hosts, list):
        raise UserError(f"resourceconfig.json: hosts: expected a list; got {shown(hosts)}.")
    names = tuple(sorted(map(str, hosts)))
    current = current or names[0]
    if len(set(names)) < len(names):
        raise UserError(
            f"resourceconfig.json: hosts: expected each host once; got {', '.join(names)}."
        )
    if current not in names:
        raise UserError(
            f"resourceconfig.json: current_host {current!r} is not among hosts {', '.join(names)}."
        )
    interface = config.get("network_interface_name")
    return Hosts(current, names, str(interface) if interface else None), _instance_type(config)


def _instance_type(config: Mapping[str, Any]) -> str:
    """Return what the newer keys say of this host, or `local` where they are missing."""
    given = config.get("current_instance_type")
    group_name = config.get("current_group_name") or config.get("current_instance_group")
    groups = config.get("instance_groups")
    for group in groups if isinstance(groups, list) and group_name and not given else []:
        if isinstance(group, dict) and group.get("instance_group_name") == group_name:
            given = group.get("instance_type")
    return "local" if not given or str(given) in LOCAL_MODE else str(given)


def _with_checkpoints(paths: Paths, config: Mapping[str, Any]) -> Paths:
    """Return the folders with checkpoints where the platform synchronises them, if it does."""
    if not config:
        return paths
    folder = config.get("LocalPath") or str(PLATFORM_ROOT / "checkpoints")
    if not isinstance(folder, str) or "\0" in folder:
        raise UserError(f"checkpointconfig.json: LocalPath: expected a path; got {shown(folder)}.")
    chosen = Path(folder)
    if chosen.is_relative_to(PLATFORM_ROOT):  # SAGEMAKER_BASE_DIR moves the whole tree
        chosen = paths.root / chosen.relative_to(PLATFORM_ROOT)
    return paths.with_checkpoints(chosen)
