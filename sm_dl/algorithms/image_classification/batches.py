"""Batches of images: decoded and cropped by threads; on a GPU augmented there, all at once.

B: images of a batch, C: channels, H, W: height and width of the network's input, D: draws of an image.
"""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sm_dl.algorithms.image_classification.augment import NUM_DRAWS, Augmentation
from sm_dl.algorithms.image_classification.crop import Crop, Pixels, Squash, pixels_of
from sm_dl.algorithms.image_classification.samples import Part, Samples
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.loader import in_order
from sm_dl.data.pixel_cache import PixelCache
from sm_dl.data.shard import uniform_at
from sm_dl.engine import machine
from sm_dl.engine.place import Place
from sm_dl.errors import UserError

IMAGES_A_TASK = 16
"""Most images a thread takes at once."""
BATCHES_AHEAD = 2
"""So many batches are being made while one is used."""
GREY = 127


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

    part: Part
    draws_BD: NDArray[np.float64]
    images_BHWC: Tensor
    is_for_device: bool
    """Whether it is augmented there, all at once; else by the threads."""
    errors: dict[int, UserError] = field(default_factory=dict)


class ImageBatches:
    """The images of a channel, batch by batch, for as many epochs as wanted."""

    def __init__(
        self,
        samples: Samples,
        crop: Crop | Squash,
        augmentation: Augmentation,
        *,
        batch_size: int,
        seed: int,
        bad: BadRecords,
        left_out: set[int] | None = None,
    ) -> None:
        """Remember what is to be done.

        Args:
            samples: The images and their labels.
            crop: How an image gets the network's size.
            augmentation: What is drawn for each image; it decides on shuffling as well.
            batch_size: Images of a batch, over all processes of the job together.
            seed: Of the job.
            bad: Lets images be left out that cannot be read.
            left_out: Keys of those that are known to be left out already, which count no more.
        """
        self._samples, self._crop, self._augmentation = samples, crop, augmentation
        self._batch_size, self._seed, self._bad = batch_size, seed, bad
        self._left_out: set[int] = set() if left_out is None else left_out
        self._cache = PixelCache(samples.num_images) if samples.num_images else None

    @property
    def num_images(self) -> int | None:
        """Return how many images there are; None where they come through a pipe."""
        return self._samples.num_images

    @property
    def class_counts(self) -> NDArray[np.int64] | None:
        """Return how many images have each class; None where they come through a pipe."""
        return self._samples.class_counts

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Return the names of the classes, where the folders of the images tell them."""
        return self._samples.class_names

    def may_have_ended(self) -> None:
        """Wait no longer than a moment for a stream's next epoch: its writer may know of no more."""
        self._samples.may_have_ended()

    def squashed(self) -> "ImageBatches":
        """Return the same images brought to the network's size as the service's endpoint does it."""
        crop = Squash(self._crop.height_px, self._crop.width_px, self._crop.channels)
        return ImageBatches(
            self._samples,
            crop,
            self._augmentation,
            batch_size=self._batch_size,
            seed=self._seed,
            bad=self._bad,
            left_out=self._left_out,
        )

    def __call__(self, place: Place) -> Iterator[Batch]:
        """Yield this rank's part of each batch of an epoch, from a record on.

        An image is the same at its (seed, epoch, position), whoever makes it. The threads end with
        the iterator.

        Raises:
            UserError: An image cannot be read and may not be left out, or there are fewer images in
                a batch than processes.
        """
        if place.world_size > self._batch_size:
            raise UserError(
                "hyperparameter mini_batch_size: expected at least one image for each of the "
                f"{place.world_size} processes; got {self._batch_size} for all of them together."
            )
        num_threads = _num_threads(place)
        size = -(-self._batch_size // place.world_size)
        tasks_a_batch = max(num_threads, -(-size // IMAGES_A_TASK))
        step = -(-size // tasks_a_batch)
        tasks = (
            (draft, slice(start, start + step))
            for draft in self._drafts(place)
            for start in range(0, size, step)  # of a smaller part too: all ranks read as far ahead
        )
        done = in_order(
            self._fill, tasks, num_threads=num_threads, num_ahead=BATCHES_AHEAD * tasks_a_batch
        )
        with closing(done):
            for draft, piece in done:
                if piece.stop >= size:
                    yield self._finished(draft, place.device)

    def _drafts(self, place: Place) -> Iterator[_Draft]:
        shape = (self._crop.height_px, self._crop.width_px, self._crop.channels)
        parts = self._samples.parts(
            place, self._batch_size, shuffles=self._augmentation.is_training
        )
        for part in parts:
            draws_BD = uniform_at(part.positions, NUM_DRAWS, self._seed, place.epoch)
            images_BHWC = torch.empty(
                (len(part.keys), *shape),
                dtype=torch.uint8,
                pin_memory=place.device.type == "cuda",
            )
            yield _Draft(part, draws_BD, images_BHWC, place.device.type != "cpu")

    def _fill(self, task: tuple[_Draft, slice]) -> tuple[_Draft, slice]:
        """Put some images of a batch into their places."""
        draft, piece = task
        if piece.start >= len(draft.part.keys):
            return task
        images_BHWC = draft.images_BHWC.numpy()
        for index in range(piece.start, min(piece.stop, len(draft.part.keys))):
            shape = self._augmentation.shape(draft.draws_BD[index])
            try:
                images_BHWC[index] = self._crop.cut(
                    self._pixels(draft.part, index), shape, self._samples.place(draft.part, index)
                )
            except UserError as error:
                draft.errors[index] = error
        if not draft.is_for_device:
            self._augmentation(draft.images_BHWC[piece].permute(0, 3, 1, 2), draft.draws_BD[piece])
        return task

    def _pixels(self, part: Part, index: int) -> Pixels:
        key = part.keys[index]
        pixels_HWC = self._cache.get(key) if self._cache else None
        if pixels_HWC is None:
            content = self._samples.content(part, index)
            pixels_HWC = pixels_of(content, self._samples.place(part, index), self._crop)
            if self._cache:
                self._cache.keep(key, pixels_HWC)
        return pixels_HWC

    def _finished(self, draft: _Draft, device: torch.device) -> Batch:
        part, images_BHWC = draft.part, draft.images_BHWC
        weight_B = np.full(len(part.keys), 0 if part.is_padding else 1, dtype=np.float32)
        for index in sorted(draft.errors):
            if part.keys[index] not in self._left_out:
                self._bad.leave_out(draft.errors[index])
                self._left_out.add(part.keys[index])
            weight_B[index] = 0
        good = next((index for index in range(len(weight_B)) if index not in draft.errors), None)
        for index in draft.errors:  # statistics over the batch should see an image like others
            images_BHWC[index] = GREY if good is None else images_BHWC[good]
        images_BCHW = images_BHWC.to(device, non_blocking=True).permute(0, 3, 1, 2)
        if draft.is_for_device:
            images_BCHW = self._augmentation(images_BCHW, draft.draws_BD)
        return Batch(
            images_BCHW,
            torch.from_numpy(part.labels).to(device, non_blocking=True),
            torch.from_numpy(weight_B).to(device, non_blocking=True),
        )


def _num_threads(place: Place) -> int:
    """Return the threads of one process: its share of the processors; none where that is one."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE") or place.world_size)
    share = machine.num_cpus() // processes
    return 0 if share <= 1 and place.device.type == "cpu" else max(1, share)
