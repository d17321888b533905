"""The `SM_*` variables of the service's framework containers, for what a user hooks in.

The platform does not set them (contract, section 3) and nothing here reads them.
"""

import os
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import orjson

from sm_dl.job.job import RawJob
from sm_dl.job.json_file import read_object

USUAL_INTERFACE = "eth0"
LOG_LEVEL = 20
"""Python's INFO."""
DEVICES = Path("/dev")
MAX_CHARACTERS = 100_000
"""Linux starts no program with a variable beyond 128 KiB, so such a one would stop the job."""


def export_variables(
    job: RawJob, *, num_cpus: int, environment: MutableMapping[str, str] = os.environ
) -> None:
    """Set the variables of a job on the platform; what is set already stays as it is."""
    if job.paths.on_platform:
        for name, value in variables(job, num_cpus=num_cpus, environment=environment).items():
            environment.setdefault(name, value)


def variables(
    job: RawJob, *, num_cpus: int, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the variables by name: text as it is, everything else as JSON."""
    paths = job.paths
    facts: dict[str, Any] = {
        "model_dir": str(paths.model),
        "output_dir": str(paths.output),
        "output_data_dir": str(paths.extras),
        "input_dir": str(paths.input_config.parent),
        "input_config_dir": str(paths.input_config),
        "channels": sorted(job.channels),
        "hps": job.hyperparameters,
        "current_host": job.hosts.current,
        "hosts": job.hosts.names,
        "network_interface_name": job.hosts.network_interface or USUAL_INTERFACE,
        "num_gpus": _num_gpus(environment),
        "num_cpus": num_cpus,
        "log_level": LOG_LEVEL,
        "resource_config": read_object(paths.input_config / "resourceconfig.json"),
        "input_data_config": read_object(paths.input_config / "inputdataconfig.json"),
    }
    channels = {f"channel_{name}": str(source.path) for name, source in job.channels.items()}
    values = {f"hp_{name}": value for name, value in job.hyperparameters.items()}
    whole = {"training_env": {**facts, "job_name": environment.get("TRAINING_JOB_NAME", "")}}
    texts = {
        f"SM_{name.upper()}": _text(value)
        for name, value in {**facts, **channels, **values, **whole}.items()
    }
    return {name: text for name, text in texts.items() if _can_be_set(name, text)}


def _can_be_set(name: str, text: str) -> bool:
    return len(text) <= MAX_CHARACTERS and not {"\0", "="} & set(name) and "\0" not in text


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


def _num_gpus(environment: Mapping[str, str]) -> int:
    """Return the GPUs this process may see, without asking torch."""
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return len([one for one in chosen.split(",") if one.strip() not in ("", "-1")])
    return sum(bool(re.fullmatch(r"nvidia\d+", path.name)) for path in DEVICES.glob("nvidia*"))
