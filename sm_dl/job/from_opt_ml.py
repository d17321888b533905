"""A job from the platform's tree: three JSON files below `input/config` (contract, section 1)."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import orjson

from sm_dl.errors import PlatformError, UserError, shown
from sm_dl.job.job import ChannelSource, Hosts, InputMode, RawJob, Resources
from sm_dl.job.paths import Paths

ALGORITHM_VARIABLE = "SM_DL_ALGORITHM"
MAX_FILE_BYTES = 1 << 22
"""The service's own limits come to 1.7 MB: 100 hyperparameters of 2,756 characters, escaped."""


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
    hosts, instance_type = _hosts(_object(paths.input_config / "resourceconfig.json"))
    return RawJob(
        algorithm=algorithm,
        hyperparameters=_object(paths.input_config / "hyperparameters.json"),
        channels=_channels(_object(paths.input_config / "inputdataconfig.json"), paths),
        resources=Resources(instance_type=instance_type, instance_count=len(hosts.names)),
        hosts=hosts,
        paths=paths,
    )


def _object(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise PlatformError(f"{path}: cannot be read ({error.strerror}).") from None
    if len(content) > MAX_FILE_BYTES:
        raise UserError(f"{path}: expected at most {MAX_FILE_BYTES} bytes; got more.")
    try:
        value = orjson.loads(content)  # strict, with a limit on depth
    except orjson.JSONDecodeError as error:
        raise UserError(f"{path}: expected JSON; {error}.") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object; got {shown(value)}.")
    try:
        json.loads(content, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: expected JSON; {error}.") from None
    return value


def _without_repeats(pairs: list[tuple[str, object]]) -> None:
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"key {shown(name)} appears twice")
        seen.add(name)


def _channels(entries: Mapping[str, Any], paths: Paths) -> dict[str, ChannelSource]:
    channels = {}
    for name, entry in entries.items():
        values = entry if isinstance(entry, dict) else {}
        mode: Any = values.get("TrainingInputMode") or "File"
        if mode not in get_args(InputMode):
            raise UserError(
                f"channel {name}: TrainingInputMode: expected one of {', '.join(get_args(InputMode))}; "
                f"got {shown(mode)}."
            )
        content_type = values.get("ContentType") or None
        if not isinstance(content_type, str | None):
            raise UserError(
                f"channel {name}: ContentType: expected a media type; got {shown(content_type)}."
            )
        sharded = values.get("S3DistributionType") == "ShardedByS3Key"
        channels[name] = ChannelSource(
            name=name,
            path=paths.channel(name),
            content_type=content_type,
            input_mode=mode,
            distribution="ShardedByS3Key" if sharded else "FullyReplicated",
        )
    return channels


def _hosts(config: Mapping[str, Any]) -> tuple[Hosts, str]:
    """Return the hosts and this host's instance type; an absent file means one local host."""
    if not config:
        return Hosts(), "local"
    hosts = config.get("hosts") or ["algo-1"]
    if not isinstance(hosts, list):
        raise UserError(f"resourceconfig.json: hosts: expected a list; got {shown(hosts)}.")
    names = tuple(sorted(map(str, hosts)))
    current = str(config.get("current_host") or names[0])
    if current not in names:
        raise UserError(
            f"resourceconfig.json: current_host {current!r} is not among hosts {', '.join(names)}."
        )
    interface = config.get("network_interface_name")
    instance_type = str(config.get("current_instance_type") or "local")
    return Hosts(current, names, str(interface) if interface else None), instance_type
