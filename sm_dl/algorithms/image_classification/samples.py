"""Where a batch's images come from: here a set that is read in any order.

A position is a place in an epoch's order. Step k of all ranks together covers the next `batch_size`
positions, of which a rank takes every `world_size`-th.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sm_dl.algorithms.image_classification.labels import LabelRule
from sm_dl.data.image_set import ImageSet
from sm_dl.data.shard import record_at
from sm_dl.engine.gathering import numbers_of_all
from sm_dl.engine.place import Place, address
from sm_dl.errors import UserError

Labels = NDArray[np.int64 | np.float32]


@dataclass(frozen=True)
class Part:
    """One rank's images of one batch, none of them decoded."""

    positions: NDArray[np.int64]
    keys: list[int]
    """By which an image is known again in the next epoch."""
    labels: Labels
    is_padding: bool = False
    """Whether the one image stands for none: there are fewer images than ranks."""
    streamed: tuple[bytes | UserError, ...] = ()
    """The image files, where they come only once."""
    places: tuple[str, ...] = ()
    """What to call them in an error."""


class Samples(Protocol):
    """The labelled images of a channel."""

    num_images: int | None
    """Of this host; None of a stream."""
    class_counts: NDArray[np.int64] | None
    """Images of each class; None of a stream, and where hosts have images of their own."""
    class_names: tuple[str, ...] | None

    def parts(self, place: Place, batch_size: int, *, shuffles: bool) -> Iterator[Part]:
        """Yield this rank's part of each batch of an epoch, from a record on."""

    def may_have_ended(self) -> None:
        """Hear that training is over, and with it perhaps what comes only once."""

    def content(self, part: Part, index: int) -> bytes:
        """Return one image file of a part."""

    def place(self, part: Part, index: int) -> str:
        """Return what to call an image of a part in an error."""


@dataclass(frozen=True)
class Labelled:
    """Which images of a set have a label, and which; what their folders call the classes."""

    numbers: list[int] = field(default_factory=list)
    labels: list[NDArray[np.float32]] = field(default_factory=list)
    class_names: tuple[str, ...] | None = None


class KnownSamples:
    """The images of a set whose labels have been read; at least one.

    Where each host has images of its own (`ShardedByS3Key`), each shuffles its own and gives its
    share to every batch for as long as it has some. Positions count on from host to host.
    """

    def __init__(
        self,
        images: ImageSet,
        found: Labelled,
        *,
        rule: LabelRule,
        seed: int,
        num_groups: int = 1,
    ) -> None:
        """Remember the images.

        Args:
            images: Gives their files.
            found: Which they are, and their labels.
            rule: How labels are read.
            seed: Of the job.
            num_groups: Hosts with images of their own, or 1: all have the same.
        """
        self._images, self._seed, self._num_groups = images, seed, num_groups
        self._numbers = np.array(found.numbers, dtype=np.int64)
        self._labels: Labels = rule.batch(found.labels)
        self._num_of_groups: list[int] | None = None
        self.num_images: int | None = len(found.numbers)
        self.class_counts = rule.positives(found.labels) if num_groups == 1 else None
        self.class_names = found.class_names

    def parts(self, place: Place, batch_size: int, *, shuffles: bool) -> Iterator[Part]:
        """Yield this rank's part of each batch of an epoch, from a record on."""
        num_groups = 1 if place.world_size == 1 else self._num_groups
        size, width = place.world_size // num_groups, batch_size // num_groups
        group, rank = divmod(place.rank, size)
        numbers = self._images_of_groups(place, num_groups)
        own, offset = len(self._numbers), sum(numbers[:group])
        seed = address(self._seed, group) if num_groups > 1 else self._seed
        for begin in range(_first_of(numbers, width, place.first_record), max(numbers), width):
            places = np.arange(begin + rank, min(begin + width, own), size)
            is_padding = not len(places)
            if is_padding:
                places = np.array([min(begin, own - 1)])
            records = places
            if shuffles:
                records = record_at(places, own, seed, place.epoch)
            keys: list[int] = self._numbers[records].tolist()
            yield Part(offset + places, keys, self._labels[records], is_padding)

    def _images_of_groups(self, place: Place, num_groups: int) -> list[int]:
        """Return how many images each group has; asked once, when the processes have met."""
        if num_groups == 1:
            return [len(self._numbers)]
        if self._num_of_groups is None:
            every = numbers_of_all(len(self._numbers), place.device)
            self._num_of_groups = every[:: place.world_size // num_groups]
        return self._num_of_groups

    def may_have_ended(self) -> None:
        """Do nothing: a set stays."""

    def content(self, part: Part, index: int) -> bytes:
        """Return one image file of a part."""
        return self._images.content(part.keys[index])

    def place(self, part: Part, index: int) -> str:
        """Return what to call an image of a part in an error."""
        return self._images.place(part.keys[index])


def _first_of(numbers: Sequence[int], width: int, num_seen: int) -> int:
    """Return the place within a group's images that a run goes on with.

    Args:
        numbers: Images of each group.
        width: Of them in a batch.
        num_seen: Images of all groups together that the epoch has had.
    """
    if len(numbers) == 1:
        return num_seen
    begins = np.arange(0, max(numbers) + width, width)
    before = sum(np.minimum(begins, number) for number in numbers)
    return int(begins[np.searchsorted(before, num_seen)])
