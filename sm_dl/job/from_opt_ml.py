"""A job from the platform's tree: three JSON files below `input/config` (contract, section 1)."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import orjson

from sm_dl.errors import PlatformError, UserError, shown
from sm_dl.job.job import ChannelSource, Hosts, InputMode, RawJob, Resources
from sm_dl.job.paths import Paths

ALGORITHM_VARIABLE = "SM_DL_ALGORITHM"


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
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise PlatformError(f"{path}: cannot be read ({error.strerror}).") from None
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UserError(f"{path}: expected JSON; {error}.") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object; got {shown(value)}.")
    return value


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
        sharded = values.get("S3DistributionType") == "ShardedByS3Key"
        channels[name] = ChannelSource(
            name=name,
            path=paths.channel(name),
            content_type=values.get("ContentType") or None,
            input_mode=mode,
            distribution="ShardedByS3Key" if sharded else "FullyReplicated",
        )
    return channels


def _hosts(config: Mapping[str, Any]) -> tuple[Hosts, str]:
    """Return the hosts and this host's instance type; an absent file means one local host."""
    if not config:
        return Hosts(), "local"
    names = tuple(sorted(str(host) for host in config.get("hosts") or ["algo-1"]))
    current = str(config.get("current_host") or names[0])
    if current not in names:
        raise UserError(
            f"resourceconfig.json: current_host {current!r} is not among hosts {', '.join(names)}."
        )
    interface = config.get("network_interface_name")
    instance_type = str(config.get("current_instance_type") or "local")
    return Hosts(current, names, str(interface) if interface else None), instance_type
