"""What records of images hold: labels, boxes, kinds of image."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from sm_dl.data.annotations import MIN_VECTOR, boxes_from_vector
from sm_dl.data.image_header import is_image
from sm_dl.data.image_record import ImageRecord, image_record_from_bytes
from sm_dl.data.recordio import Frames
from sm_dl.errors import UserError, shown
from sm_dl.inspection.histogram import counted, histogram
from sm_dl.inspection.picture import picture_title

NUM_FIRST = 3
MAX_RECORDS = 100_000
"""Looked at one by one; the rest is only counted."""


def payloads(frames: Iterator[Frames]) -> Iterator[tuple[str, bytes]]:
    """Yield (place, payload) of the first records."""
    every = (
        (piece.place(index), payload)
        for piece in frames
        for index, payload in enumerate(piece.payloads())
    )
    return islice(every, MAX_RECORDS)


def look_at_image_records(frames: Iterator[Frames]) -> list[str]:
    """Return the first image records, and how often each label occurs.

    Raises:
        UserError: A record is no image record.
    """
    first: list[str] = []
    widths: Counter[object] = Counter()
    classes: Counter[object] = Counter()
    boxes: Counter[object] = Counter()
    is_detection = True
    for place, payload in payloads(frames):
        record = image_record_from_bytes(payload, place)
        if len(first) < NUM_FIRST:
            first.append(_line(record))
        widths[len(record.labels)] += 1
        is_detection = is_detection and len(record.labels) >= MIN_VECTOR
        if is_detection:
            try:
                boxes.update(boxes_from_vector(record.labels, place).class_ids.tolist())
            except UserError:
                is_detection = False
        if len(record.labels) == 1:
            classes[float(record.labels[0])] += 1
        else:
            classes.update(index for index, mark in enumerate(record.labels.tolist()) if mark)
    title = "labels for each image: " + ", ".join(
        f"{width} ({counted(count, 'image')})" for width, count in sorted(widths.items(), key=str)
    )
    if is_detection:
        counts = ["boxes by class, from detection labels:", *histogram(boxes)]
    elif set(widths) == {1}:
        counts = ["images by class:", *histogram(classes)]
    else:
        counts = ["images by position of a label that is not 0:", *histogram(classes)]
    return ["first records:", *first, title, *counts]


def _line(record: ImageRecord) -> str:
    picture = picture_title(record.image) or f"no JPEG or PNG: {shown(record.image[:8])}"
    labels = ", ".join(f"{label:g}" for label in record.labels[:12].tolist())
    more = ", ..." if len(record.labels) > 12 else ""
    return f"  id {record.identity}: {picture}, label [{labels}{more}]"


def look_at_manifest_stream(frames: Iterator[Frames]) -> list[str]:
    """Return the first records of a manifest's stream, and how often each label text occurs."""
    first: list[str] = []
    labels: Counter[object] = Counter()
    num_images = num_others = 0
    for _, payload in payloads(frames):
        if len(first) < 2 * NUM_FIRST:
            first.append(f"  {picture_title(payload) or shown(payload)}")
        if is_image(payload):
            num_images += 1
        else:
            num_others += 1
            labels[shown(payload)] += 1
    if not num_others:
        kind = "every record is an image: images alone, or each followed by its mask"
        return ["first records:", *first, kind]
    kind = f"{counted(num_images, 'image')} and {counted(num_others, 'record')} of label text"
    return ["first records:", *first, kind, "records by label text:", *histogram(labels)]
