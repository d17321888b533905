"""Channels to batches of images: which image stands where in an epoch, and how it gets there.

B: images of a batch, C: channels, H, W: height and width of the network's input.
"""

import copy
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sm_dl.algorithms.image_classification.augment import NUM_DRAWS, Augmentation, Shape
from sm_dl.algorithms.image_classification.crop import Crop, Pixels, resize
from sm_dl.algorithms.image_classification.labels import LabelRule
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.image import Colours, decode
from sm_dl.data.image_set import ImageSet, open_image_set
from sm_dl.data.loader import in_order
from sm_dl.data.shard import record_at, uniform_at
from sm_dl.engine import machine
from sm_dl.engine.place import Place
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource, Job

logger = logging.getLogger(__name__)

IMAGES_A_TASK = 16
"""Most images a thread takes at once."""
BATCHES_AHEAD = 2
"""So many batches are being made while one is used."""


class Settings(Protocol):
    """The hyperparameters that decide what a batch is."""

    @property
    def num_classes(self) -> int: ...  # noqa: D102
    @property
    def num_training_samples(self) -> int: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, int, int]: ...  # noqa: D102
    @property
    def resize(self) -> int | None: ...  # noqa: D102
    @property
    def augmentation_type(self) -> str | None: ...  # noqa: D102
    @property
    def multi_label(self) -> int: ...  # noqa: D102
    @property
    def mini_batch_size(self) -> int: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102


class Batch(NamedTuple):
    """One rank's part of a batch."""

    images_BCHW: Tensor
    """Bytes 0 to 255, channels last."""
    labels: Tensor
    """Classes, int64 (B,); with several labels an image, marks, float32 (B, num_classes)."""
    weight_B: Tensor
    """1 for an image, 0 for what only fills a place: an image left out, or a rank without one."""


@dataclass
class _Draft:
    """A batch in the making: threads fill its pixels in."""

    place: Place
    numbers: NDArray[np.int64]
    """Which images of the set."""
    draws: NDArray[np.float64]
    images_BHWC: Tensor
    weight_B: NDArray[np.float32]
    errors: dict[int, UserError]


@dataclass(frozen=True)
class KnownImages:
    """The images of a set whose labels could be read."""

    images: ImageSet
    labels: list[NDArray[np.float32]]
    numbers: list[int]
    """By which the set hands them out."""


class ImageBatches:
    """The images of a channel, batch by batch, for as many epochs as wanted."""

    def __init__(
        self,
        known: KnownImages,
        *,
        rule: LabelRule,
        settings: Settings,
        batch_size: int,
        is_training: bool,
        bad: BadRecords,
    ) -> None:
        """Remember the images, and what is to be done to them."""
        self._images = known.images
        self._labels = rule.batch(known.labels)
        self._numbers = np.array(known.numbers, dtype=np.int64)
        self._batch_size, self._is_training, self._bad = batch_size, is_training, bad
        self._seed = settings.seed
        channels, height, width = settings.shape
        self._colours: Colours = "L" if channels == 1 else "RGB"
        self._channels = channels
        self._crop = Crop(height, width, settings.resize)
        self._augmentation = Augmentation(settings.augmentation_type if is_training else None)
        self._is_squashing = False
        self._left_out: set[int] = set()
        self.num_images: int | None = len(known.numbers)
        self.class_counts: NDArray[np.int64] | None = rule.positives(known.labels)
        self.class_names: tuple[str, ...] | None = None

    def __call__(self, place: Place) -> Iterator[Batch]:
        """Yield this rank's part of each batch of an epoch, from a record on."""
        if place.world_size > self._batch_size:
            raise UserError(
                f"hyperparameter mini_batch_size: expected at least one image for each of the "
                f"{place.world_size} processes; got {self._batch_size} for all of them together."
            )
        num_threads = _num_threads(place)
        tasks_a_batch = max(1, num_threads, -(-self._batch_size // IMAGES_A_TASK))
        drafts = self._drafts(place)
        tasks = ((draft, piece) for draft in drafts for piece in _pieces(draft, tasks_a_batch))
        done = in_order(
            self._fill, tasks, num_threads=num_threads, num_ahead=BATCHES_AHEAD * tasks_a_batch
        )
        for draft, piece in done:
            if piece.stop >= len(draft.numbers):
                yield self._finished(draft)

    def _drafts(self, place: Place) -> Iterator[_Draft]:
        size, num_images = self._batch_size, len(self._numbers)
        # after images that were left out, a run may say it has seen a few less than it has
        start = -(-place.first_record // size) * size
        for begin in range(start, num_images, size):
            positions = np.arange(
                begin + place.rank, min(begin + size, num_images), place.world_size
            )
            weight_B = np.ones(max(1, len(positions)), dtype=np.float32)
            if not len(positions):  # fewer images than ranks: all take part in the step
                positions, weight_B[0] = np.array([begin]), 0
            records = positions
            if self._is_training:
                records = record_at(positions, num_images, self._seed, place.epoch)
            yield _Draft(
                place,
                records,
                uniform_at(positions, NUM_DRAWS, self._seed, place.epoch),
                _buffer(
                    (len(records), self._crop.height_px, self._crop.width_px, self._channels), place
                ),
                weight_B,
                {},
            )

    def _fill(self, task: tuple[_Draft, slice]) -> tuple[_Draft, slice]:
        """Put some images of a batch into their places."""
        draft, piece = task
        images_BHWC = draft.images_BHWC.numpy()
        for index in range(piece.start, min(piece.stop, len(draft.numbers))):
            number = int(self._numbers[draft.numbers[index]])
            shape = self._augmentation.shape(draft.draws[index])
            try:
                images_BHWC[index] = self._window(number, shape)
            except UserError as error:
                draft.errors[index] = error
        return task

    def _window(self, number: int, shape: Shape) -> Pixels:
        """Return what the network sees of an image, (height, width, channels)."""
        content, place = self._images.content(number), self._images.place(number)
        if self._is_squashing:
            size = (self._channels, self._crop.height_px, self._crop.width_px)
            return prepared(content, shape=size, place=place).transpose(1, 2, 0)
        pixels = pixels_of(content, place, self._colours, self._crop.shorter_px)
        return self._crop.cut(pixels, shape, place)

    def squashed(self) -> "ImageBatches":
        """Return the same images as an endpoint sees them: squashed to size, their aspect not kept."""
        other = copy.copy(self)
        other._is_squashing = True  # noqa: SLF001 - a copy of this one
        return other

    def _finished(self, draft: _Draft) -> Batch:
        for index in sorted(draft.errors):
            record = int(draft.numbers[index])
            if record not in self._left_out:
                self._left_out.add(record)
                self._bad.leave_out(draft.errors[index])
            draft.weight_B[index] = 0
        good = [index for index in range(len(draft.numbers)) if index not in draft.errors]
        for index in draft.errors:  # statistics over the batch should not see a black image
            draft.images_BHWC[index] = draft.images_BHWC[good[0]] if good else 127
        device = draft.place.device
        images_BCHW = draft.images_BHWC.to(device, non_blocking=True).permute(0, 3, 1, 2)
        return Batch(
            self._augmentation(images_BCHW, draft.draws),
            torch.from_numpy(self._labels[draft.numbers]).to(device, non_blocking=True),
            torch.from_numpy(draft.weight_B).to(device, non_blocking=True),
        )


def pixels_of(content: bytes, place: str, colours: Colours, shorter_px: int | None) -> Pixels:
    """Return an image file's pixels, (height, width, channels), decoded no larger than needed."""
    at_least = None if shorter_px is None else (shorter_px, shorter_px)
    pixels = decode(content, place, colours=colours, at_least=at_least)
    return pixels if pixels.ndim == 3 else pixels[:, :, None]


def prepared(
    body: bytes, *, shape: tuple[int, int, int], crop: int | None = None, place: str = "image"
) -> Pixels:
    """Return a request's image as the network wants it: bytes (channels, height, width).

    Args:
        body: A JPEG or PNG file.
        shape: Channels, height, width.
        crop: None squashes the image to the shape, its aspect not kept, as the service does. Else
            the shorter side is resized to so many pixels and the centre cut out, as in validation.
        place: What to call the image in an error.
    Raises:
        UserError: The image cannot be read, or is too small to be cropped.
    """
    channels, height, width = shape
    colours: Colours = "L" if channels == 1 else "RGB"
    if crop is not None:
        pixels = pixels_of(body, place, colours, crop)
        cut = Crop(height, width, crop).cut(pixels, Shape(), place)
    else:
        pixels = decode(body, place, colours=colours, at_least=(height, width))
        cut = resize(pixels if pixels.ndim == 3 else pixels[:, :, None], height, width)
    return np.ascontiguousarray(cut.transpose(2, 0, 1))


def open_images(
    job: Job[object],
    channel_name: str,
    *,
    hyperparameters: Settings,
    is_training: bool,
    bad: BadRecords,
) -> ImageBatches:
    """Return the batches of a channel.

    Raises:
        UserError: The channel does not hold what the algorithm reads; file and line are named.
    """
    channel = job.channels[channel_name]
    images = open_image_set(channel, job.channels.get(f"{channel_name}_lst"))
    rule = LabelRule(hyperparameters.num_classes, bool(hyperparameters.multi_label))
    known = KnownImages(images, [], [])
    for entry in images.entries():
        try:
            known.labels.append(rule.from_vector(entry.labels, entry.place))
        except UserError as error:
            bad.leave_out(error)
        else:
            known.numbers.append(entry.number)
    _check_enough(channel, len(known.numbers), hyperparameters, is_training=is_training)
    return ImageBatches(
        known,
        rule=rule,
        settings=hyperparameters,
        batch_size=hyperparameters.mini_batch_size * len(job.hosts.names),
        is_training=is_training,
        bad=bad,
    )


def _check_enough(
    channel: ChannelSource, num_images: int, settings: Settings, *, is_training: bool
) -> None:
    if not num_images:
        raise UserError(f"Unable to start training. Empty .rec file in {channel.name} channel.")
    if not is_training:
        return
    if num_images < settings.mini_batch_size:
        raise UserError(
            "The number of input images must be bigger or equal to the mini_batch_size. "
            f"channel {channel.name} holds {num_images}; mini_batch_size is "
            f"{settings.mini_batch_size}."
        )
    if num_images != settings.num_training_samples:
        logger.warning(
            "hyperparameter num_training_samples is %d; channel %s holds %d images, and they count.",
            settings.num_training_samples, channel.name, num_images,
        )  # fmt: skip


def _pieces(draft: _Draft, tasks_a_batch: int) -> Iterator[slice]:
    step = -(-len(draft.numbers) // tasks_a_batch)
    return (slice(start, start + step) for start in range(0, len(draft.numbers), step))


def _buffer(shape: tuple[int, ...], place: Place) -> Tensor:
    return torch.empty(shape, dtype=torch.uint8, pin_memory=place.device.type == "cuda")


def _num_threads(place: Place) -> int:
    """Return the threads of one process: its share of the processors; none where that is one."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE") or place.world_size)
    share = machine.num_cpus() // processes
    return 0 if share <= 1 and place.device.type == "cpu" else max(1, share)
