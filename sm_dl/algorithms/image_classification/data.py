"""Channels to batches of images, whichever way they come in, and a request's image."""

import logging
from dataclasses import replace
from typing import Protocol

import numpy as np

from sm_dl.algorithms.image_classification.augment import Augmentation, Shape
from sm_dl.algorithms.image_classification.batches import Batch, ImageBatches
from sm_dl.algorithms.image_classification.crop import Crop, Pixels, Squash, pixels_of
from sm_dl.algorithms.image_classification.labels import LabelRule
from sm_dl.algorithms.image_classification.samples import (
    KnownSamples,
    Labelled,
    Samples,
)
from sm_dl.algorithms.image_classification.streamed import StreamedSamples
from sm_dl.content_types import parse
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.image_set import (
    ImageSet,
    holds_records,
    one_record_file,
    open_image_set,
)
from sm_dl.data.pixel_budget import pixel_budget
from sm_dl.data.source import ListedSource, byte_source
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource, Hosts, Job

__all__ = ["Batch", "ImageBatches", "open_images", "prepared"]

logger = logging.getLogger(__name__)

LABEL_FORMAT, MULTI_HOT, CLASS_ID = "label-format", "multi-hot", "class-id"


class Settings(Protocol):
    """The hyperparameters that decide what a batch is."""

    @property
    def num_classes(self) -> int: ...
    @property
    def num_training_samples(self) -> int: ...
    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def resize(self) -> int | None: ...
    @property
    def augmentation_type(self) -> str | None: ...
    @property
    def multi_label(self) -> int: ...
    @property
    def mini_batch_size(self) -> int: ...
    @property
    def seed(self) -> int: ...


def open_images(
    job: Job[object],
    channel_name: str,
    *,
    hyperparameters: Settings,
    is_training: bool,
    bad: BadRecords,
) -> ImageBatches:
    """Return the batches of a channel: shuffled and augmented for training, else in order.

    Raises:
        UserError: The channel does not hold what the algorithm reads; file and line are named.
    """
    channel, hosts = job.channels[channel_name], job.hosts
    pixel_budget()  # of an image, a wrong one would pass for a bad record
    is_part = _holds_part(channel, hosts)
    rule = LabelRule(
        hyperparameters.num_classes,
        bool(hyperparameters.multi_label),
        are_class_ids=_label_format(channel) == CLASS_ID,
    )
    samples: Samples
    is_pipe = channel.input_mode == "Pipe" and channel.s3_uri is None
    if is_pipe or (channel.s3_uri is not None and holds_records(channel)):
        samples = StreamedSamples(
            byte_source(channel) if is_pipe else ListedSource([one_record_file(channel)]),
            channel_name,
            rule=rule,
            seed=hyperparameters.seed,
            least=hyperparameters.mini_batch_size if is_training else 1,
            expected=hyperparameters.num_training_samples if is_training else None,
            is_pipe=is_pipe,
        )
    else:
        lists = job.channels.get(f"{channel_name}_lst")
        images = open_image_set(channel, lists, is_part=is_part)
        found = _labelled(images, rule, bad)
        _check_number(
            channel, len(found.numbers), hyperparameters, is_training=is_training, is_part=is_part
        )
        samples = KnownSamples(
            images,
            found,
            rule=rule,
            seed=hyperparameters.seed,
            num_groups=len(hosts.names) if is_part else 1,
        )
    channels, height, width = hyperparameters.shape
    return ImageBatches(
        samples,
        Crop(height, width, channels, hyperparameters.resize),
        Augmentation(hyperparameters.augmentation_type, is_training=is_training),
        batch_size=hyperparameters.mini_batch_size * len(hosts.names),
        seed=hyperparameters.seed,
        bad=bad,
    )


def _labelled(images: ImageSet, rule: LabelRule, bad: BadRecords) -> Labelled:
    """Return the images of a set whose labels can be read.

    Raises:
        UserError: One cannot, and may not be left out.
    """
    found = Labelled()
    folders: set[tuple[float, str]] = set()
    for entry in images.entries(bad):
        try:
            found.labels.append(rule.from_vector(entry.labels, entry.place))
        except UserError as error:
            bad.leave_out(error)
        else:
            found.numbers.append(entry.number)
            folders.add((float(entry.labels[0]), entry.path.rpartition("/")[0]))
    return replace(found, class_names=_class_names(folders, rule))


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
    way = Squash(height, width, channels) if crop is None else Crop(height, width, channels, crop)
    pixels_HWC = way.cut(pixels_of(body, place, way), Shape(), place)
    return np.ascontiguousarray(pixels_HWC.transpose(2, 0, 1))


def _class_names(folders: set[tuple[float, str]], rule: LabelRule) -> tuple[str, ...] | None:
    """Return the names of the images' folders, where each class has one of its own."""
    names = {int(label): folder for label, folder in folders}
    is_told = len(folders) == len(names) == len(set(names.values())) == rule.num_classes
    if rule.is_multi or not is_told or "" in names.values():
        return None
    return tuple(names[number].rpartition("/")[2] for number in range(rule.num_classes))


def _label_format(channel: ChannelSource) -> str:
    given = parse(channel.content_type or "").parameters.get(LABEL_FORMAT, MULTI_HOT)
    if given not in (MULTI_HOT, CLASS_ID):
        raise UserError(
            f"channel {channel.name}: expected {LABEL_FORMAT}={MULTI_HOT} or {LABEL_FORMAT}={CLASS_ID} "
            f"in the content type; got {given!r}."
        )
    return given


def _holds_part(channel: ChannelSource, hosts: Hosts) -> bool:
    """Return whether this host has images that the others have not, and say so.

    Raises:
        UserError: It has, of a pipe.
    """
    if channel.distribution != "ShardedByS3Key":
        return False
    num_hosts = len(hosts.names)
    if num_hosts == 1:
        logger.warning(
            "channel %s: ShardedByS3Key is not supported by the service; one host gets all images.",
            channel.name,
        )
        return False
    if channel.input_mode == "Pipe":
        raise UserError(
            f"channel {channel.name}: distribution: expected FullyReplicated in input mode Pipe, in "
            f"which all {num_hosts} hosts read the same images; got ShardedByS3Key. Use "
            "FullyReplicated, of which each host still trains on its own share, or input mode File."
        )
    if not channel.is_shared_out:
        logger.warning(
            "channel %s: ShardedByS3Key is not supported by the service; all %d hosts see all images "
            "here, and each trains on its own share of them.",
            channel.name, num_hosts,
        )  # fmt: skip
        return False
    logger.warning(
        "channel %s: ShardedByS3Key is not supported by the service; each of %d hosts has its own "
        "images here, and those of the first one alone are scored class by class. Use FullyReplicated, "
        "of which each host still trains on its own share.",
        channel.name, num_hosts,
    )  # fmt: skip
    return True


def _check_number(
    channel: ChannelSource,
    num_images: int,
    settings: Settings,
    *,
    is_training: bool,
    is_part: bool,
) -> None:
    if not num_images and is_part:
        raise UserError(
            f"channel {channel.name}: ShardedByS3Key has left no image to this host. Use FullyReplicated, "
            "of which each host still trains on its own share."
        )
    if not num_images:
        kind = ".rec" if holds_records(channel) else ".lst"
        raise UserError(f"Unable to start training. Empty {kind} file in {channel.name} channel.")
    if not is_training:
        return
    if num_images < settings.mini_batch_size:
        raise UserError(
            "The number of input images must be bigger or equal to the mini_batch_size: channel "
            f"{channel.name} holds {num_images}; mini_batch_size is {settings.mini_batch_size}."
        )
    if num_images != settings.num_training_samples and not is_part:
        logger.warning(
            "hyperparameter num_training_samples is %d; channel %s holds %d images, and they count.",
            settings.num_training_samples, channel.name, num_images,
        )  # fmt: skip
