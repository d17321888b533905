"""Where a batch's images come from: a set that is read in any order, or a stream that comes once.

A position is a place in an epoch's order. Step k of all ranks together covers the next `batch_size`
positions, of which a rank takes every `world_size`-th.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sm_dl.algorithms.image_classification.labels import LabelRule
from sm_dl.data.image_record import image_record_from_bytes
from sm_dl.data.image_set import ImageSet
from sm_dl.data.image_stream import StreamedImage, read_image_stream
from sm_dl.data.shard import record_at
from sm_dl.data.shuffle import shuffled
from sm_dl.data.source import ByteSource
from sm_dl.engine.place import Place
from sm_dl.errors import UserError

logger = logging.getLogger(__name__)

SHUFFLE_BYTES, MAX_SHUFFLED, MIN_SHUFFLED = 1 << 28, 4096, 16
"""A stream is shuffled among as many images as 256 MiB hold, going by its first one."""

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


class StreamedSamples:
    """The images of a pipe, or of a `.rec` in a bucket: read forward, once an epoch."""

    num_images: int | None = None
    class_counts: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] | None = None

    def __init__(
        self,
        source: ByteSource,
        name: str,
        *,
        rule: LabelRule,
        seed: int,
        least: int,
        num_pipes: int | None,
    ) -> None:
        """Remember where the streams come from.

        Args:
            source: Gives a stream for each epoch.
            name: Of the channel.
            rule: How labels are read.
            seed: Of the job.
            least: Fewer images than that are refused.
            num_pipes: Hosts of the job, each with a pipe of its own; None for what is no pipe.
        """
        self._source, self._name, self._rule = source, name, rule
        self._seed, self._least = seed, least
        self._num_pipes = num_pipes

    def parts(self, place: Place, batch_size: int, *, shuffles: bool) -> Iterator[Part]:
        """Yield this rank's part of each batch of an epoch, from a record on."""
        if self._num_pipes and place.world_size > self._num_pipes:
            raise UserError(
                f"channel {self._name}: input mode Pipe: expected one process a host, since a pipe is "
                f"read once; got {place.world_size} processes on {self._num_pipes} hosts. Set "
                "resources.devices=1, or input mode FastFile."
            )
        stream = self._stream()
        first = next(stream, None)
        if first is None:
            raise self._refuse_emptiness()
        records: Iterator[StreamedImage] = chain([first], stream)
        if shuffles:
            fitting = SHUFFLE_BYTES // max(1, len(first.payload))
            records = shuffled(
                records,
                buffer_records=max(MIN_SHUFFLED, min(fitting, MAX_SHUFFLED)),
                seed=self._seed,
                epoch=place.epoch,
                position=place.first_record,
            )
        else:
            records = islice(records, place.first_record, None)
        begin = place.first_record
        while batch := list(islice(records, batch_size)):
            if begin + len(batch) < self._least:
                raise UserError(
                    "The number of input images must be bigger or equal to the mini_batch_size: "
                    f"channel {self._name} holds {begin + len(batch)}; mini_batch_size is "
                    f"{self._least}."
                )
            yield self._part(batch, begin, place)
            begin += len(batch)

    def _refuse_emptiness(self) -> UserError:
        if self._num_pipes is None:
            return UserError(f"Unable to start training. Empty .rec file in {self._name} channel.")
        return UserError(
            f"channel {self._name}: Got empty batch from pipe. Please check if the manifest file "
            "contains valid batches and the value of training job parameter AttributeNames "
            "matches attributes names in the augmented manifest."
        )

    def _stream(self) -> Iterator[StreamedImage]:
        for file in self._source.next_epoch():
            yield from read_image_stream(file)

    def _part(self, batch: list[StreamedImage], begin: int, place: Place) -> Part:
        positions = np.arange(place.rank, len(batch), place.world_size)
        is_padding = not len(positions)
        if is_padding:
            positions = np.zeros(1, dtype=np.int64)
        mine = [batch[position] for position in positions.tolist()]
        images: list[bytes | UserError] = []
        labels = []
        for one in mine:
            try:
                image, label = self._read(one)
            except UserError as error:
                image, label = error, self._rule.nothing()
            images.append(image)
            labels.append(label)
        return Part(
            positions + begin,
            [_key(one.payload) for one in mine],
            self._rule.batch(labels),
            is_padding,
            tuple(images),
            tuple(one.place for one in mine),
        )

    def _read(self, one: StreamedImage) -> tuple[bytes | UserError, NDArray[np.float32]]:
        if one.annotation is not None:
            return one.payload, self._rule.from_text(one.annotation, one.place)
        record = image_record_from_bytes(one.payload, one.place)
        return record.image, self._rule.from_vector(record.labels, one.place)

    def content(self, part: Part, index: int) -> bytes:
        """Return one image file of a part.

        Raises:
            UserError: Its record is no image record, or its label no label.
        """
        image = part.streamed[index]
        if isinstance(image, UserError):
            raise image
        return image

    def place(self, part: Part, index: int) -> str:
        """Return what to call an image of a part in an error."""
        return part.places[index]


def _key(payload: bytes) -> int:
    """Return what tells an image from others; to hash all of it would cost a tenth of decoding."""
    return hash((len(payload), payload[:256], payload[-256:]))
