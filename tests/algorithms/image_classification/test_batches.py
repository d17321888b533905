"""Batches: each image once, and the same picture whoever makes it, whenever and with how many."""

import gc
import threading
from pathlib import Path

import pytest
import torch

from sm_dl.algorithms.image_classification import batches as module
from sm_dl.algorithms.image_classification.batches import ImageBatches
from sm_dl.data import pixel_cache
from sm_dl.data.loader import THREADS
from sm_dl.engine.place import Place
from sm_dl.errors import PlatformError, UserError
from tests.algorithms.image_classification.pictures import (
    Settings,
    levels,
    levels_of,
    listed,
    numbered,
    opened,
    pictures,
    records,
    textured,
)

AUGMENTED = Settings(resize=20, augmentation_type="crop_color_transform")


def num_loaders() -> int:
    """Return the loading threads there are; other tests leave threads of other libraries."""
    return sum(one.name.startswith(THREADS) for one in threading.enumerate())


def use_threads(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(module, "_num_threads", lambda _: number)


def with_threads(monkeypatch: pytest.MonkeyPatch, number: int, folder: Path) -> ImageBatches:
    use_threads(monkeypatch, number)
    return opened(records(folder, textured(10)), settings=AUGMENTED)


def test_an_epoch_shows_each_image_once_and_the_next_one_in_another_order(tmp_path: Path) -> None:
    batches = opened(records(tmp_path, numbered(10)))
    first, second = levels(batches, Place(0)), levels(batches, Place(1))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_the_last_batch_holds_what_is_left(tmp_path: Path) -> None:
    batches = opened(records(tmp_path, numbered(10)))
    assert [len(batch.images_BCHW) for batch in batches(Place(0))] == [4, 4, 2]


@pytest.mark.parametrize("number", [1, 3, 16])
def test_pictures_do_not_depend_on_the_number_of_threads(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inline = pictures(with_threads(monkeypatch, 0, tmp_path), Place(2))
    threaded = pictures(with_threads(monkeypatch, number, tmp_path), Place(2))
    assert (threaded == inline).all()


@pytest.mark.parametrize("world_size", [2, 3])
def test_pictures_do_not_depend_on_the_number_of_ranks(world_size: int, tmp_path: Path) -> None:
    batches = opened(records(tmp_path, textured(10)), settings=AUGMENTED)
    alone = pictures(batches, Place(1))
    together = [
        list(batches(Place(1, rank=rank, world_size=world_size))) for rank in range(world_size)
    ]
    assert {len(parts) for parts in together} == {3}
    for number, parts in enumerate(zip(*together, strict=True)):
        for rank, part in enumerate(parts):
            mine = part.images_BCHW[part.weight_B > 0]
            assert (mine == alone[4 * number + rank : 4 * number + 4 : world_size]).all()


def test_a_rank_without_an_image_gets_one_that_does_not_count(tmp_path: Path) -> None:
    batches = opened(records(tmp_path, numbered(9)))
    parts = [list(batches(Place(0, rank=rank, world_size=4))) for rank in range(4)]
    assert {len(part) for part in parts} == {3}
    assert [part[-1].weight_B.tolist() for part in parts] == [[1.0], [0.0], [0.0], [0.0]]
    assert sorted(level for part in parts for batch in part for level in levels_of(batch)) == list(
        range(9)
    )


def test_a_run_goes_on_with_the_pictures_it_would_have_seen(tmp_path: Path) -> None:
    batches = opened(records(tmp_path, textured(10)), settings=AUGMENTED)
    expected = pictures(batches, Place(3))[4:]
    assert (pictures(batches, Place(3, first_record=4)) == expected).all()


def test_another_seed_or_epoch_draws_other_pictures(tmp_path: Path) -> None:
    channel = records(tmp_path, textured(1, 60, 60), [[0]])
    seen = [
        pictures(
            opened(
                channel,
                settings=Settings(augmentation_type="crop", seed=seed, mini_batch_size=1),
            ),
            Place(epoch),
        )
        for seed in (1, 2)
        for epoch in (0, 1)
    ]
    assert len({one.numpy().tobytes() for one in seen}) == 4


def test_kept_pixels_give_the_pictures_that_decoded_ones_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = records(tmp_path, textured(10))
    keeping = opened(channel, settings=AUGMENTED)
    monkeypatch.setattr(pixel_cache.PixelCache, "get", lambda *_: None)
    decoding = [pictures(opened(channel, settings=AUGMENTED), Place(epoch)) for epoch in (0, 1)]
    monkeypatch.undo()
    for epoch in (0, 1):
        assert (pictures(keeping, Place(epoch)) == decoding[epoch]).all()


def test_the_second_epoch_of_a_small_data_set_reads_no_files(tmp_path: Path) -> None:
    images, lists = listed(tmp_path, textured(10))
    batches = opened(images, lists, settings=AUGMENTED)
    first = pictures(batches, Place(0))
    for path in images.path.rglob("*.png"):
        path.unlink()
    assert len(pictures(batches, Place(1))) == len(first)


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    images, lists = listed(tmp_path, textured(10))
    batches = opened(images, lists)
    (images.path / "kind 1" / "4.png").unlink()
    with pytest.raises(PlatformError, match=r"line 5 .*kind 1/4\.png.*No such file"):
        list(batches(Place(0)))


@pytest.mark.parametrize("number", [0, 2])
def test_a_bad_image_is_told_by_the_thread_that_asked(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_threads(monkeypatch, number)
    images = textured(10)
    images[6] = images[6][:-20]
    batches = opened(records(tmp_path, images))
    with pytest.raises(UserError, match=r"train/a\.rec record 7 at byte"):
        list(batches(Place(0)))
    assert num_loaders() == 0


@pytest.mark.parametrize("way", ["closed", "dropped", "raised"])
def test_an_abandoned_epoch_leaves_no_thread_behind(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iterator = with_threads(monkeypatch, 3, tmp_path)(Place(0))
    next(iterator)
    assert num_loaders() > 0
    if way == "closed":
        iterator.close()  # type: ignore[attr-defined]
    elif way == "raised":
        with pytest.raises(RuntimeError):
            stopped(iterator)
    del iterator
    gc.collect()
    assert num_loaders() == 0


def stopped(iterator: object) -> None:
    for _ in iterator:  # type: ignore[attr-defined]
        raise RuntimeError


def test_more_processes_than_images_a_batch_are_refused(tmp_path: Path) -> None:
    batches = opened(records(tmp_path, numbered(10)))
    with pytest.raises(UserError, match=r"mini_batch_size: expected at least one .* 5 processes"):
        next(batches(Place(0, world_size=5)))


def test_batches_lie_in_memory_as_convolutions_want_them(tmp_path: Path) -> None:
    batch = next(opened(records(tmp_path, textured(10)), settings=AUGMENTED)(Place(0)))
    assert batch.images_BCHW.dtype == torch.uint8
    assert batch.images_BCHW.is_contiguous(memory_format=torch.channels_last)
    assert batch.labels.dtype == torch.int64


def test_the_batch_is_for_each_host(tmp_path: Path) -> None:
    batches = opened(records(tmp_path, numbered(10)), hosts=("algo-1", "algo-2"))
    sizes = [len(batch.images_BCHW) for batch in batches(Place(0, rank=1, world_size=2))]
    assert sizes == [4, 1]
