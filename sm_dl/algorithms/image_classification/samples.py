"""Where a batch's images come from: here a set that is read in any order.

A position is a place in an epoch's order. Step k of all ranks together covers the next `batch_size`
positions, of which a rank takes every `world_size`-th.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sm_dl.algorithms.image_classification.labels import LabelRule
from sm_dl.data.image_set import ImageSet
from sm_dl.data.shard import record_at
from sm_dl.engine.place import Place
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
    class_counts: NDArray[np.int64] | None
    class_names: tuple[str, ...] | None

    def parts(self, place: Place, batch_size: int, *, shuffles: bool) -> Iterator[Part]:
        """Yield this rank's part of each batch of an epoch, from a record on."""

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
    """The images of a set whose labels have been read; at least one."""

    def __init__(self, images: ImageSet, found: Labelled, *, rule: LabelRule, seed: int) -> None:
        """Remember the images."""
        self._images, self._seed = images, seed
        self._numbers = np.array(found.numbers, dtype=np.int64)
        self._labels: Labels = rule.batch(found.labels)
        self.num_images: int | None = len(found.numbers)
        self.class_counts: NDArray[np.int64] | None = rule.positives(found.labels)
        self.class_names = found.class_names

    def parts(self, place: Place, batch_size: int, *, shuffles: bool) -> Iterator[Part]:
        """Yield this rank's part of each batch of an epoch, from a record on."""
        num_images = len(self._numbers)
        for begin in range(place.first_record, num_images, batch_size):
            stop = min(begin + batch_size, num_images)
            positions = np.arange(begin + place.rank, stop, place.world_size)
            is_padding = not len(positions)
            if is_padding:
                positions = np.array([begin])
            records = positions
            if shuffles:
                records = record_at(positions, num_images, self._seed, place.epoch)
            keys: list[int] = self._numbers[records].tolist()
            yield Part(positions, keys, self._labels[records], is_padding)

    def content(self, part: Part, index: int) -> bytes:
        """Return one image file of a part."""
        return self._images.content(part.keys[index])

    def place(self, part: Part, index: int) -> str:
        """Return what to call an image of a part in an error."""
        return self._images.place(part.keys[index])
