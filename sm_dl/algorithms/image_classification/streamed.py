"""Images that come through a pipe, or lie in one `.rec` of a bucket: read forward, by one process of a host."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import orjson
from numpy.typing import NDArray

from sm_dl.algorithms.image_classification.labels import LabelRule
from sm_dl.algorithms.image_classification.samples import Part
from sm_dl.data.image_record import image_record_from_bytes
from sm_dl.data.image_stream import StreamedImage, read_image_stream
from sm_dl.data.shuffle import shuffled
from sm_dl.data.source import ByteSource, PipeSource
from sm_dl.engine.one_reader import OneReader
from sm_dl.engine.place import Place
from sm_dl.errors import UserError

logger = logging.getLogger(__name__)

SHUFFLE_BYTES, MAX_SHUFFLED, MIN_SHUFFLED = 1 << 28, 4096, 16
"""A stream is shuffled among as many images as 256 MiB hold, going by its first one."""
APPEARS_S = 60.0
"""A pipe's next epoch may take so long to appear after training; the platform's is there in moments."""


@dataclass(frozen=True)
class Share:
    """One rank's images of one batch as the reading process hands them on, none of them taken apart."""

    positions: list[int]
    images: list[StreamedImage]
    is_padding: bool = False
    """Whether the one image stands for none: there are fewer images than ranks."""

    @classmethod
    def of(cls, batch: Sequence[StreamedImage], begin: int, rank: int, world_size: int) -> "Share":
        """Return the share of a rank in a batch whose first image has the position `begin`."""
        places = range(rank, len(batch), world_size)
        if not places:
            return cls([begin], [batch[0]], is_padding=True)
        return cls([begin + place for place in places], [batch[place] for place in places])

    def encoded(self) -> bytes:
        """Return a line of JSON, the sizes among it, and the payloads and annotations behind it."""
        images = [
            [one.place, len(one.payload), None if one.annotation is None else len(one.annotation)]
            for one in self.images
        ]
        contents = chain.from_iterable((one.payload, one.annotation or b"") for one in self.images)
        return b"".join((orjson.dumps([self.positions, self.is_padding, images]), b"\n", *contents))

    @classmethod
    def decoded(cls, content: bytes) -> "Share":
        """Return what `encoded` made bytes of."""
        begin = content.index(b"\n") + 1
        positions, is_padding, sizes = orjson.loads(content[:begin])
        images = []
        for place, payload_bytes, annotation_bytes in sizes:
            middle = begin + payload_bytes
            end = middle + (annotation_bytes or 0)
            annotation = None if annotation_bytes is None else content[middle:end]
            images.append(StreamedImage(place, content[begin:middle], annotation))
            begin = end
        return cls(positions, images, is_padding)


class StreamedSamples:
    """The images of a pipe, or of a `.rec` in a bucket."""

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
        expected: int | None,
        is_pipe: bool,
    ) -> None:
        """Remember where the streams come from.

        Args:
            source: Gives a stream for each epoch.
            name: Of the channel.
            rule: How labels are read.
            seed: Of the job.
            least: Fewer images than that are refused.
            expected: `num_training_samples`, of which a first whole pass tells when it is wrong.
            is_pipe: Whether it is a pipe, of which each host has its own, with all images.
        """
        self._source, self._name, self._rule = source, name, rule
        self._seed, self._least, self._expected = seed, least, expected
        self._is_pipe = is_pipe
        self._reader = OneReader(name, Share.encoded, Share.decoded)

    def parts(self, place: Place, batch_size: int, *, shuffles: bool) -> Iterator[Part]:
        """Yield this rank's part of each batch of an epoch, from a record on."""

        def shares(ranks: range) -> Iterator[list[Share]]:
            begin = place.first_record
            for batch in self._batches(place, batch_size, shuffles=shuffles):
                yield [Share.of(batch, begin, rank, place.world_size) for rank in ranks]
                begin += len(batch)

        for share in self._reader.parts(place, shares):
            yield self._part(share)

    def may_have_ended(self) -> None:
        """Give up soon on a pipe of which no more epochs may come."""
        if isinstance(self._source, PipeSource):
            self._source.appears_s = APPEARS_S

    def _batches(
        self, place: Place, batch_size: int, *, shuffles: bool
    ) -> Iterator[list[StreamedImage]]:
        """Yield the batches of all ranks together."""
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
        num_images = place.first_record
        while batch := list(islice(records, batch_size)):
            num_images += len(batch)
            if num_images < self._least:
                raise UserError(
                    "The number of input images must be bigger or equal to the mini_batch_size: "
                    f"channel {self._name} holds {num_images}; mini_batch_size is {self._least}."
                )
            yield batch
        if self._expected not in (None, num_images):
            logger.warning(
                "hyperparameter num_training_samples is %d; channel %s brought %d images, and they count.",
                self._expected, self._name, num_images,
            )  # fmt: skip
        self._expected = None

    def _refuse_emptiness(self) -> UserError:
        if not self._is_pipe:
            return UserError(f"Unable to start training. Empty .rec file in {self._name} channel.")
        return UserError(
            f"channel {self._name}: Got empty batch from pipe. Please check if the manifest file "
            "contains valid batches and the value of training job parameter AttributeNames "
            "matches attributes names in the augmented manifest."
        )

    def _stream(self) -> Iterator[StreamedImage]:
        for file in self._source.next_epoch():
            yield from read_image_stream(file)

    def _part(self, share: Share) -> Part:
        images: list[bytes | UserError] = []
        labels = []
        for one in share.images:
            try:
                image, label = self._read(one)
            except UserError as error:
                image, label = error, self._rule.nothing()
            images.append(image)
            labels.append(label)
        return Part(
            np.array(share.positions, dtype=np.int64),
            [_key(one.payload) for one in share.images],
            self._rule.batch(labels),
            share.is_padding,
            tuple(images),
            tuple(one.place for one in share.images),
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
