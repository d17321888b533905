"""Channels: what an algorithm reads, and whether a job brings it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sm_dl.content_types import parse
from sm_dl.errors import UserError, near_miss
from sm_dl.files import iter_data_files
from sm_dl.job.job import ChannelSource

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Channel:
    """One input an algorithm knows by name."""

    name: str
    doc: str
    content_types: tuple[str, ...]
    required: bool = False
    modes: tuple[str, ...] = ("File",)
    distributions: tuple[str, ...] = ("FullyReplicated",)
    may_be_empty: bool = False
    """Whether a host trains with the others although a `ShardedByS3Key` channel left nothing for it."""


def check_channels(
    declared: Sequence[Channel], given: Mapping[str, ChannelSource], num_hosts: int = 1
) -> dict[str, ChannelSource]:
    """Return the channels that hold something.

    A channel whose folder is absent or empty counts as absent, with a warning when the
    algorithm can do without it (contract, section 1.2). A host's share of a sharded channel may
    hold nothing where there are fewer files than hosts (section 2).

    Args:
        declared: What the algorithm reads.
        given: What the job brings.
        num_hosts: Of the job.
    Raises:
        UserError: A required channel is missing, or one is unknown, or comes in a mode,
            a distribution or a content type that the algorithm does not read.
    """
    known = {channel.name: channel for channel in declared}
    present = {}
    for name, source in given.items():
        channel = known.get(name)
        if channel is None:
            hint = near_miss(name, known) or f" Known: {', '.join(known)}."
            raise UserError(f"Extraneous channel found: {name}.{hint}")
        _check_source(channel, source)
        is_share = source.distribution == "ShardedByS3Key" and num_hosts > 1
        if _holds_files(source) or (channel.may_be_empty and is_share):
            present[name] = source
        elif not channel.required:
            logger.warning(
                "channel %s: %s is absent or empty; going on without it.", name, source.path
            )
    for channel in declared:
        if channel.required and channel.name not in present:
            missing = given.get(channel.name)
            where = f" {missing.path} is absent or empty;" if missing else ""
            raise UserError(
                f"Missing required channel: {channel.name}.{where} "
                f"expected {channel.doc[0].lower()}{channel.doc[1:]}"
            )
    return present


def _check_source(channel: Channel, source: ChannelSource) -> None:
    checks: list[tuple[str, str, tuple[str, ...]]] = [
        ("TrainingInputMode", source.input_mode, channel.modes),
        ("S3DistributionType", source.distribution, channel.distributions),
    ]
    if source.content_type is not None:
        checks.append(("ContentType", parse(source.content_type).name, channel.content_types))
    for key, got, accepted in checks:
        if got not in accepted:
            raise UserError(
                f"Channel configuration for '{channel.name}' channel is not supported: "
                f"{ {key: got} }. expected one of {', '.join(accepted)}.{near_miss(got, accepted)}"
            )
    is_pipe = source.input_mode == "Pipe"  # it has no extension
    if is_pipe and source.content_type is None and len(channel.content_types) > 1:
        raise UserError(
            f"Missing content type for channel: {channel.name}. expected one of "
            f"{', '.join(channel.content_types)}."
        )


def _holds_files(source: ChannelSource) -> bool:
    if source.input_mode == "Pipe" or source.s3_uri is not None:
        return True  # what comes is seen when it is read
    if source.path.is_dir():
        return next(iter_data_files(source.path), None) is not None
    return source.path.exists()
