"""A job from a YAML file: four strict blocks, and `--set block.key=value` on top."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from sm_dl.errors import UserError, shown
from sm_dl.job.job import (
    ChannelSource,
    Distribution,
    InputMode,
    RawJob,
    Resources,
    S3DataType,
)
from sm_dl.job.paths import Paths
from sm_dl.job.validation import validate

MAX_FILE_BYTES = 1 << 18
MAX_DEPTH = 20
MAX_VALUES = 10_000
"""Keys and values in a file: the parser needs about 10 microseconds for each."""
BLOCKS = ("hyperparameters", "channels", "resources")
FolderName = Annotated[
    str,
    Field(pattern=r"\S", json_schema_extra={"expected": "a path"}),
]


class ChannelConfig(BaseModel):
    """One entry of the `channels` block."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    path: FolderName
    """A file or a folder, relative to the working directory, or an address `s3://bucket/prefix`."""
    content_type: str | None = None
    """Media type; by the file extension when absent."""
    input_mode: InputMode = "File"
    """How the service would hand the channel over."""
    distribution: Distribution = "FullyReplicated"
    """Whether each host gets everything or its share of the files, by the order of their names."""
    s3_data_type: S3DataType = "S3Prefix"
    """Whether an `s3://` address is the beginning of keys or a manifest that lists objects."""


class JobConfig(BaseModel):
    """A whole config file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    algorithm: str
    """Name of a folder below `sm_dl/algorithms`."""
    hyperparameters: Mapping[str, Any] = Field(default_factory=dict)
    """The service's names and values."""
    channels: Mapping[str, Any]
    """Input by name: `train: {path: data/train}`."""
    resources: Mapping[str, Any] = Field(default_factory=dict)
    """Machine, devices, precision."""
    output: FolderName
    """The run's folder."""


def job_from_yaml(path: Path, overrides: Sequence[str] = ()) -> RawJob:
    """Return the job a config file describes.

    Args:
        path: The YAML file.
        overrides: `block.key=value` or `output=value`, the value in YAML syntax.
    Raises:
        UserError: The file cannot be read, is not plain YAML or holds an unknown key.
    """
    document = _read(path)
    for override in overrides:
        _apply(document, override)
    config = validate(JobConfig, document, place=f"{path}: key")
    channels = {}
    for name, entry in config.channels.items():
        values = {"path": entry} if isinstance(entry, str) else entry
        if not isinstance(values, Mapping):
            raise UserError(
                f"{path}: channels.{name}: expected a path or a mapping; got {shown(entry)}."
            )
        checked = validate(ChannelConfig, values, place=f"{path}: channels.{name}: key")
        channels[str(name)] = ChannelSource(
            name=str(name),
            path=Path(checked.path),
            content_type=checked.content_type,
            input_mode=checked.input_mode,
            distribution=checked.distribution,
            s3_uri=checked.path if checked.path.startswith("s3://") else None,
            s3_data_type=checked.s3_data_type,
        )
    return RawJob(
        algorithm=config.algorithm,
        hyperparameters=config.hyperparameters,
        channels=channels,
        resources=validate(Resources, config.resources, place=f"{path}: resources key"),
        paths=Paths(Path(config.output)),
        source=path,
    )


class _PlainLoader(yaml.SafeLoader):
    """SafeLoader that also refuses aliases, tags, repeated keys, deep nesting and long lists."""

    depth = 0
    count = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="aliases are not allowed", problem_mark=event.start_mark
            )
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise yaml.MarkedYAMLError(
                problem=f"tags such as {event.tag} are not allowed", problem_mark=event.start_mark
            )
        self.depth += 1
        self.count += 1
        if self.count > MAX_VALUES:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_VALUES} keys and values")
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH} levels")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the base class's signature
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem="a key must be plain text", problem_mark=key_node.start_mark
                )
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} appears twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_PlainLoader.add_implicit_resolver(  # YAML 1.1 reads 1e-4 as text; everybody means the number
    "tag:yaml.org,2002:float",
    __import__("re").compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)
_PlainLoader.add_constructor(  # and 032 as 26; the service's string "032" is 32
    "tag:yaml.org,2002:int", lambda _, node: int(node.value)
)


def _load(text: str, place: str) -> Any:  # noqa: ANN401 - YAML holds anything
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader made stricter
    except (yaml.YAMLError, ValueError) as error:
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}:" if mark else ""
        raise UserError(f"{place}:{line} expected plain YAML; {problem}.") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise UserError(f"{path}: larger than {MAX_FILE_BYTES} bytes; a config holds no data.")
        text = content.decode()
    except OSError as error:
        raise UserError(f"{path}: cannot read the config file ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: byte {error.start}: expected UTF-8 text; save it as UTF-8."
        ) from None
    document = _load(text, str(path))
    if not isinstance(document, dict):
        raise UserError(
            f"{path}: expected a mapping with algorithm, channels and output; got {shown(document)}."
        )
    return document


def _apply(document: dict[str, Any], override: str) -> None:
    target, equals, text = override.partition("=")
    *parents, key = target.split(".")
    if not equals or (parents and parents[0] not in BLOCKS) or not key:
        raise UserError(
            f"--set {override}: expected block.key=value with a block of {', '.join(BLOCKS)}, "
            "or algorithm=value, or output=value."
        )
    block = document
    for parent in parents:
        block = block.setdefault(parent, {})
        if not isinstance(block, dict):
            raise UserError(f"--set {override}: {parent} is not a mapping in the config file.")
    block[key] = _load(text, f"--set {target}")
