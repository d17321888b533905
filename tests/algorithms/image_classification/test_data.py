"""Batches: each image once, the same picture whoever reads it, and every refusal by name."""

from pathlib import Path

import pytest
import torch

from sm_dl.algorithms.image_classification import batches as made
from sm_dl.algorithms.image_classification.data import ImageBatches
from sm_dl.engine.place import Place
from tests.algorithms.image_classification.pictures import (
    Settings,
    numbered,
    opened,
    records,
    textured,
)


def levels(batches: ImageBatches, place: Place) -> list[int]:
    """Return which images an epoch shows, by their grey level."""
    return [
        int(image[0, 0, 0])
        for batch in batches(place)
        for image, weight in zip(batch.images_BCHW, batch.weight_B, strict=True)
        if weight
    ]


def pictures(batches: ImageBatches, place: Place) -> torch.Tensor:
    """Return the images of an epoch, one behind the other."""
    return torch.cat([batch.images_BCHW[batch.weight_B > 0] for batch in batches(place)])


def test_an_epoch_shows_each_image_once_and_the_next_one_in_another_order(tmp_path: Path) -> None:
    batches = opened(records(tmp_path, numbered(10)))
    first, second = levels(batches, Place(0)), levels(batches, Place(1))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


@pytest.mark.parametrize("num_threads", [1, 3])
def test_pictures_do_not_depend_on_the_number_of_threads(
    num_threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = opened(records(tmp_path, textured(10)), settings=Settings(augmentation_type="crop"))
    monkeypatch.setattr(made, "_num_threads", lambda _: 0)
    inline = pictures(batches, Place(2))
    monkeypatch.setattr(made, "_num_threads", lambda _: num_threads)
    torch.testing.assert_close(pictures(batches, Place(2)), inline, rtol=0, atol=0)
