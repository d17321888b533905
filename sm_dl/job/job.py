"""The job: which algorithm, with which hyperparameters, on which channels, on what, to where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from sm_dl.job.paths import Paths

InputMode = Literal["File", "FastFile", "Pipe"]
Distribution = Literal["FullyReplicated", "ShardedByS3Key"]
Compression = Literal["None", "Gzip"]
RecordWrapper = Literal["None", "RecordIO"]
S3DataType = Literal["S3Prefix", "ManifestFile"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
H_co = TypeVar("H_co", covariant=True)


@dataclass(frozen=True)
class ChannelSource:
    """One input by name: where its bytes are and what they claim to be."""

    name: str
    path: Path
    """A file, or a folder whose files are all read."""
    content_type: str | None = None
    """As given by the user; None means: by the file extension."""
    input_mode: InputMode = "File"
    distribution: Distribution = "FullyReplicated"
    is_shared_out: bool = False
    """Whether this host has been given its share already, as the platform does it."""
    compression: Compression = "None"
    """Of the stored objects, in Pipe mode; the platform unpacks before the pipe."""
    record_wrapper: RecordWrapper = "None"
    """In Pipe mode: whether each object comes as one RecordIO record."""
    s3_uri: str | None = None
    """Read from here, without a local copy; `path` is then of no meaning."""
    s3_data_type: S3DataType = "S3Prefix"
    """What `s3_uri` names: the beginning of keys, or a list of objects."""


class Resources(BaseModel):
    """What the job may run on."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    instance_type: str = "local"
    """`local` uses what the machine has; an `ml.*` type enforces the service's limits."""
    instance_count: int = Field(default=1, ge=1)
    """Hosts of the job."""
    devices: Literal["auto"] | int = "auto"
    """Processes per host: `auto` is one per GPU, or one on a machine without GPU."""
    precision: Precision = "auto"
    """Number format of the training arithmetic; `auto` is the algorithm's measured choice."""
    weights: Path | None = None
    """A file of weights to start from, where an algorithm is told to start from trained ones."""


@dataclass(frozen=True)
class Hosts:
    """The machines of the job, as `resourceconfig.json` names them."""

    current: str = "algo-1"
    names: tuple[str, ...] = ("algo-1",)
    network_interface: str | None = None
    """Of the network between the hosts; None means: whichever the system takes."""

    @property
    def first(self) -> str:
        """Return the host that the others meet at."""
        return self.names[0]

    @property
    def rank(self) -> int:
        """Return this host's position among all, the same on every host."""
        return self.names.index(self.current)


@dataclass(frozen=True)
class Job(Generic[H_co]):
    """One training job. `H_co` is the type of its hyperparameters: raw values, or a checked model."""

    algorithm: str
    hyperparameters: H_co
    channels: Mapping[str, ChannelSource]
    paths: Paths
    resources: Resources = field(default_factory=Resources)
    hosts: Hosts = field(default_factory=Hosts)
    source: Path | None = None
    """The file that asked for these hyperparameters."""


RawJob = Job[Mapping[str, object]]
"""A job whose hyperparameters nobody has checked yet."""
