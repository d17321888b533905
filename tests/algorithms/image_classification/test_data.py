"""Channels: every way in gives the same images and labels, and every refusal names its place."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sm_dl.algorithms.image_classification import samples
from sm_dl.algorithms.image_classification.data import prepared
from sm_dl.algorithms.image_classification.streamed import Share
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.image_stream import StreamedImage
from sm_dl.data.recordio import framed
from sm_dl.engine.place import Place
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource
from tests.algorithms.image_classification.pictures import (
    Settings,
    flat,
    levels,
    levels_of,
    listed,
    manifest_bytes,
    marks,
    numbered,
    opened,
    pictures,
    record_bytes,
    records,
    textured,
)
from tests.data.images import encoded, png_header, rgb
from tests.fifo import feeding
from tests.golden import GOLDEN, needs_golden

MULTI = Settings(multi_label=1)
MULTI_HOT = [[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]]


def pipe(folder: Path, **options: str) -> ChannelSource:
    return ChannelSource(
        "train",
        folder / "train",
        **{"content_type": "application/x-recordio", "input_mode": "Pipe", **options},
    )


def refusal(*channels: ChannelSource, **options: object) -> str:
    """Return what is said when a channel is opened and read."""
    with pytest.raises(UserError) as caught:
        list(opened(*channels, **options)(Place(0)))
    return str(caught.value)


def test_records_and_a_list_of_files_give_the_same_epoch(tmp_path: Path) -> None:
    images = textured(10)
    settings = Settings(resize=18, augmentation_type="crop")
    of_records = opened(records(tmp_path / "a", images), settings=settings)
    of_files = opened(*listed(tmp_path / "b", images), settings=settings)
    assert (pictures(of_records, Place(1)) == pictures(of_files, Place(1))).all()
    assert marks(of_records) == marks(of_files)


@pytest.mark.parametrize("suffix", ["", "application/x-recordio"])
def test_an_index_beside_the_records_changes_nothing(suffix: str, tmp_path: Path) -> None:
    channel = records(tmp_path, numbered(10), content_type=suffix or None)
    (tmp_path / "train" / "a.idx").write_bytes(b"0\t0\n")
    assert sorted(levels(opened(channel), Place(0))) == list(range(10))


def test_validation_comes_in_order_and_unchanged_by_augmentation(tmp_path: Path) -> None:
    channel = records(tmp_path, textured(10))
    plain = opened(channel, is_training=False)
    told = opened(channel, settings=Settings(augmentation_type="crop_color"), is_training=False)
    assert (pictures(plain, Place(0)) == pictures(told, Place(3))).all()
    assert marks(plain) == [number % 3 for number in range(10)]


@pytest.mark.parametrize("kind", ["records", "manifest"])
@pytest.mark.parametrize("content_type", ["application/x-recordio", "image/png"])
def test_a_pipe_brings_each_image_once_an_epoch(
    kind: str, content_type: str, tmp_path: Path
) -> None:
    images = numbered(10)
    labels = [str(number % 3) if number % 2 else f'"{number % 3}"' for number in range(10)]
    sent = manifest_bytes(images, labels) if kind == "manifest" else record_bytes(images)
    batches = opened(pipe(tmp_path, content_type=content_type))
    assert batches.num_images is None
    assert batches.class_counts is None
    seen = []
    with feeding(tmp_path / "train", [[sent], [sent]]):
        for epoch in range(2):
            epoch_seen = []
            for batch in batches(Place(epoch)):
                epoch_seen += batch.images_BCHW[:, 0, 0, 0].tolist()
                expected = (batch.images_BCHW[:, 0, 0, 0].long() % 3).tolist()
                assert batch.labels.tolist() == expected
            seen.append(epoch_seen)
    assert sorted(seen[0]) == sorted(seen[1]) == list(range(10))
    assert seen[0] != seen[1]


def test_a_pipe_goes_on_where_the_run_was_stopped(tmp_path: Path) -> None:
    sent = record_bytes(textured(10))
    whole, rest = (
        opened(pipe(tmp_path / name), settings=Settings(augmentation_type="crop"))
        for name in ("a", "b")
    )
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with feeding(tmp_path / "a" / "train", [[sent]]):
        expected = pictures(whole, Place(3))[4:]
    with feeding(tmp_path / "b" / "train", [[sent]]):
        assert (pictures(rest, Place(3, first_record=4)) == expected).all()


def test_each_host_takes_its_share_of_a_pipe(tmp_path: Path) -> None:
    sent = record_bytes(numbered(10))
    hosts = ("algo-1", "algo-2")
    seen, sizes = [], []
    for rank, host in enumerate(hosts):
        (tmp_path / host).mkdir()
        with feeding(tmp_path / host / "train", [[sent]]):
            batches = opened(
                pipe(tmp_path / host), settings=Settings(mini_batch_size=2), hosts=hosts
            )
            seen += levels(batches, Place(0, rank=rank, world_size=2))
        sizes.append(len(seen))
    assert sorted(seen) == list(range(10))
    assert sizes == [5, 10]


def test_several_labels_an_image_are_marks(tmp_path: Path) -> None:
    channel = records(tmp_path, numbered(4), MULTI_HOT)
    batches = opened(channel, settings=MULTI, is_training=False)
    assert marks(batches) == MULTI_HOT
    assert batches.class_counts is not None
    assert batches.class_counts.tolist() == [2, 2, 2]


def test_several_labels_of_a_list_are_marks(tmp_path: Path) -> None:
    batches = opened(*listed(tmp_path, numbered(4), MULTI_HOT), settings=MULTI, is_training=False)
    assert marks(batches) == MULTI_HOT


@pytest.mark.parametrize(
    ("parameter", "labels"),
    [
        ("", ["[1, 0, 1]", '"[0, 1, 0]"', "[0,0,0]", "[1, 1, 1]"]),
        (";label-format=multi-hot", ["[1, 0, 1]", "[0, 1, 0]", "[0,0,0]", "[1, 1, 1]"]),
        ("; Label-Format = class-id", ["[2, 0]", '"[1]"', "[]", "[1,0,2]"]),
    ],
)
def test_a_manifest_names_several_classes_by_marks_or_numbers(
    parameter: str, labels: list[str], tmp_path: Path
) -> None:
    channel = pipe(tmp_path, content_type=f"application/x-recordio{parameter}")
    batches = opened(channel, settings=MULTI, is_training=False)
    with feeding(tmp_path / "train", [[manifest_bytes(numbered(4), labels)]]):
        assert marks(batches) == MULTI_HOT


def test_classes_are_counted_and_named_by_their_folders(tmp_path: Path) -> None:
    batches = opened(*listed(tmp_path, numbered(10)))
    assert batches.num_images == 10
    assert batches.class_counts is not None
    assert batches.class_counts.tolist() == [4, 3, 3]
    assert batches.class_names == ("kind 0", "kind 1", "kind 2")


def test_records_and_mixed_folders_name_no_classes(tmp_path: Path) -> None:
    images, lists = listed(tmp_path / "a", numbered(4), [[0], [1], [2], [0]])
    text = (lists.path / "train.lst").read_text().replace("3\t0.000000", "3\t1.000000")
    (lists.path / "train.lst").write_text(text)
    assert opened(images, lists).class_names is None
    assert opened(records(tmp_path / "b", numbered(4))).class_names is None


@needs_golden
def test_the_golden_records_of_mxnet_are_read() -> None:
    channel = ChannelSource("train", GOLDEN / "images.rec")
    settings = Settings(num_classes=10, shape=(3, 5, 5), mini_batch_size=1)
    batches = opened(channel, settings=settings, is_training=False)
    assert marks(batches)[:2] == [0, 1]
    several = Settings(num_classes=4, shape=(3, 5, 5), mini_batch_size=1, multi_label=1)
    channel = ChannelSource("train", GOLDEN / "multilabel.rec")
    assert marks(opened(channel, settings=several, is_training=False))[0] == [1, 0, 0, 1]


def test_grey_models_get_one_channel(tmp_path: Path) -> None:
    settings = Settings(shape=(1, 16, 16), resize=18, augmentation_type="crop_color_transform")
    batches = opened(records(tmp_path, textured(10)), settings=settings)
    assert pictures(batches, Place(0)).shape == (10, 1, 16, 16)


@pytest.mark.parametrize(
    "image",
    [
        encoded(Image.fromarray(rgb()).convert("L")),
        encoded(Image.fromarray(rgb()).convert("P")),
        encoded(Image.fromarray(rgb()).convert("RGBA")),
        encoded(Image.fromarray(rgb()).convert("CMYK"), "JPEG"),
        encoded(Image.fromarray(rgb()[:, :, 0].astype(np.uint16) << 8)),
        encoded(Image.fromarray(rgb()), save_all=True, append_images=[Image.fromarray(rgb() // 2)]),
    ],
    ids=["grey", "palette", "alpha", "CMYK", "16 bit", "animated"],
)
def test_unusual_images_become_rgb(image: bytes, tmp_path: Path) -> None:
    channel = records(tmp_path, [image], [[0]])
    got = pictures(opened(channel, is_training=False), Place(0))
    assert got.shape == (1, 3, 16, 16)
    assert got.float().std() > 5


def test_an_exif_rotated_photograph_stays_as_it_is_stored(tmp_path: Path) -> None:
    picture = Image.fromarray(rgb())
    exif = picture.getexif()
    exif[0x0112] = 6
    turned, plain = encoded(picture, "JPEG", exif=exif), encoded(picture, "JPEG")
    assert turned != plain
    channel = records(tmp_path, [turned, plain], [[0], [0]])
    got = pictures(opened(channel, is_training=False), Place(0))
    assert (got[0] == got[1]).all()


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (encoded(rgb(15, 30)), "at least 16 x 16 pixels.* got 30 x 15"),
        (encoded(rgb(1, 1)), "at least 16 x 16 pixels.* got 1 x 1"),
        (encoded(rgb(), "JPEG")[:-60], "damaged or cut short"),
        (png_header(60_000, 60_000), "at most 50000000 pixels; got 60000 x 60000"),
        (b"GIF89a" + bytes(50), "JPEG or PNG"),
        (b"", "JPEG or PNG"),
    ],
    ids=["too small", "1 x 1", "cut short", "bomb", "GIF", "empty"],
)
def test_an_image_that_cannot_be_used_is_named(image: bytes, expected: str, tmp_path: Path) -> None:
    channels = listed(tmp_path, [*numbered(4), image])
    text = refusal(*channels)
    assert "train_lst/train.lst line 5 at byte 96 (kind 1/4.png)" in text
    assert re.search(expected, text)


def test_a_long_and_narrow_image_is_not_blown_up(tmp_path: Path) -> None:
    channel = records(tmp_path, [encoded(rgb(1, 50_000))], [[0]])
    settings = Settings(resize=256, mini_batch_size=1)
    assert "at most 50000000 pixels after resize=256" in refusal(channel, settings=settings)


def test_a_wrong_budget_of_pixels_is_no_matter_of_one_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SM_DL_MAX_IMAGE_PIXELS", "lots")
    assert "got 'lots'" in refusal(records(tmp_path, numbered(4)), bad=BadRecords(9))


def write_list(folder: Path, text: str, images: int = 4) -> tuple[ChannelSource, ChannelSource]:
    channels = listed(folder, numbered(images))
    (folder / "train_lst" / "train.lst").write_text(text)
    return channels


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0\t0\tkind 0/0.png\n1\t1\tgone.png\n", "line 2 at byte 17: expected an image at .*gone"),
        ("0\t0\t../train_lst/train.lst\n", "line 1 .*leads out"),
        ("0\t0\tkind 0/0.png\n0\t1\tkind 1/1.png\n", "line 2 .* got 0, as in .* line 1"),
        ("0\tkind 0/0.png\n", "line 1 .*expected index, label and path"),
        ("0\t3\tkind 0/0.png\n", r"line 1 .*expected a class of 0 to 2.* got 3"),
        ("0\t-1\tkind 0/0.png\n", "expected a class of 0 to 2.* got -1"),
        ("0\t0.5\tkind 0/0.png\n", "expected a whole number as class; got 0.5"),
        ("0\t0\t1\tkind 0/0.png\n", "2-dimensional label but label_width is set to 1"),
        ("0\tcat\tkind 0/0.png\n", "expected numbers as labels; got 'cat'"),
        ("", "Empty .lst file in train channel"),
    ],
)
def test_a_list_line_that_does_not_fit_is_named(text: str, expected: str, tmp_path: Path) -> None:
    assert re.search(expected, refusal(*write_list(tmp_path, text)))


def test_a_list_with_marks_of_another_number_is_refused(tmp_path: Path) -> None:
    channels = write_list(tmp_path, "0\t1\t0\tkind 0/0.png\n")
    expected = (
        "train_lst/train.lst line 1 at byte 0 (kind 0/0.png): Mismatch between number of labels in "
        "the multi-label data (2) and the num_classes parameter (3)."
    )
    assert refusal(*channels, settings=MULTI) == expected


def two_files(folder: Path) -> tuple[ChannelSource, ...]:
    channel = records(folder, numbered(4))
    (folder / "train" / "b.rec").write_bytes(record_bytes(numbered(4)))
    return (channel,)


def two_lists(folder: Path) -> tuple[ChannelSource, ...]:
    channels = listed(folder, numbered(4))
    (folder / "train_lst" / "b.lst").write_text("")
    return channels


def damaged(folder: Path) -> tuple[ChannelSource, ...]:
    channel = records(folder, numbered(4))
    path = folder / "train" / "a.rec"
    path.write_bytes(path.read_bytes()[:-8])
    return (channel,)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (two_files, "expected exactly one .rec file; got 2: train/a.rec, train/b.rec"),
        (two_lists, "channel train_lst: expected exactly one .lst file; got 2"),
        (lambda folder: listed(folder, numbered(4))[:1], "need a list in channel train_lst"),
        (lambda folder: (records(folder, []),), "Empty .rec file in train channel."),
        (
            lambda folder: (records(folder, numbered(3)),),
            "The number of input images must be bigger or equal to the mini_batch_size.* 3.* 4",
        ),
        (
            lambda folder: (records(folder, numbered(4), [[0, 1, 2, 3]] * 4),),
            "record 1 at byte 0: rec file provide 4-dimensional label but label_width is set to 1",
        ),
        (damaged, "record 4 .*cut short"),
        (
            lambda folder: (records(folder, numbered(4), content_type="text/csv"),),
            "expected the content type application/x-recordio or one of .* got text/csv",
        ),
        (
            lambda folder: (records(folder, numbered(4), content_type="image/png;label-format=x"),),
            "expected label-format=multi-hot or label-format=class-id",
        ),
    ],
)
def test_a_channel_that_does_not_fit_is_refused(
    make: Callable[[Path], tuple[ChannelSource, ...]], expected: str, tmp_path: Path
) -> None:
    assert re.search(expected, refusal(*make(tmp_path)))


def test_marks_are_zeros_and_ones(tmp_path: Path) -> None:
    channel = records(tmp_path, numbered(4), [[0, 1, 2]] * 4)
    assert "label-format=class-id" in refusal(channel, settings=MULTI)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (
            b"",
            "Got empty batch from pipe. Please check if the manifest file contains valid batches",
        ),
        (flat(1), "The Record IO header does not start with the magic number.*RecordWrapperType"),
        (record_bytes(numbered(3)), "must be bigger or equal to the mini_batch_size"),
        (
            manifest_bytes(numbered(4), ["0"] * 4) + framed(flat(1), cuts=True),
            "expected 2 records for each sample",
        ),
        (manifest_bytes(numbered(4), ["0", "1", "7", "0"]), "expected a class of 0 to 2.* got 7"),
        (manifest_bytes(numbered(4), ["cat"] * 4), "expected a label as JSON"),
        (record_bytes([*numbered(4), b"no image"]), "record 5 .*JPEG or PNG"),
    ],
    ids=["empty", "unwrapped", "few", "half a sample", "class", "text", "no image"],
)
def test_a_pipe_that_does_not_fit_is_refused(sent: bytes, expected: str, tmp_path: Path) -> None:
    batches = opened(pipe(tmp_path), is_training=True)
    with feeding(tmp_path / "train", [[sent]]), pytest.raises(UserError, match=expected) as caught:
        list(batches(Place(0)))
    assert "train" in str(caught.value)


def test_what_the_reading_process_hands_on_is_what_it_read() -> None:
    images = [
        StreamedImage("train_0 record 1", b"\n{\x00", b'"1"\n'),
        StreamedImage("train_0 record 2", b"", b""),
        StreamedImage("train_0 réc 3", b"x" * 1000, None),
    ]
    for rank in range(2):
        share = Share.of(images, 10, rank, 2)
        assert share == Share(list(range(10 + rank, 13, 2)), images[rank::2])
        assert Share.decoded(share.encoded()) == share
    padding = Share.of(images, 10, 3, 4)
    assert padding == Share([10], images[:1], is_padding=True)
    assert Share.decoded(padding.encoded()) == padding


def test_one_host_is_told_that_it_gets_all_images(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    channel = records(tmp_path, numbered(10), distribution="ShardedByS3Key")
    assert sorted(levels(opened(channel), Place(0))) == list(range(10))
    assert "ShardedByS3Key is not supported by the service; one host gets all" in log.text


HOSTS = ("algo-1", "algo-2")


def of_host(number: int, folder: Path, kind: str) -> tuple[ChannelSource, ...]:
    """Return what the platform gives one of two hosts: images 0 to 7, or 8 to 10."""
    mine = range(8) if number == 0 else range(8, 11)
    if kind == "records":
        channels: tuple[ChannelSource, ...] = (
            records(folder, [flat(one) for one in mine], [[one % 3] for one in mine]),
        )
    else:  # the list is whole, the files are not
        channels = listed(folder, numbered(11))
        for one in set(range(11)) - set(mine):
            (folder / "train" / f"kind {one % 3}" / f"{one}.png").unlink()
    sharded = replace(channels[0], distribution="ShardedByS3Key", is_shared_out=True)
    return (sharded, *channels[1:])


@pytest.mark.parametrize("kind", ["records", "list"])
@pytest.mark.parametrize("num_local", [1, 2])
def test_hosts_with_images_of_their_own_share_each_batch(
    kind: str,
    num_local: int,
    tmp_path: Path,
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(samples, "numbers_of_all", lambda *_: np.repeat([8, 3], num_local).tolist())
    settings = Settings(mini_batch_size=3)
    batches = [
        opened(*of_host(number, tmp_path / host, kind), settings=settings, hosts=HOSTS)
        for number, host in enumerate(HOSTS)
    ]
    assert log.text.count("each of 2 hosts has its own images here") == 2
    assert "num_training_samples" not in log.text

    def steps(place: Place) -> list[list[int]]:
        """Return the images of each batch, those of all ranks."""
        ranks = [
            replace(place, rank=rank, world_size=2 * num_local) for rank in range(2 * num_local)
        ]
        every = [[levels_of(one) for one in batches[it.rank // num_local](it)] for it in ranks]
        return [list(chain(*parts)) for parts in zip(*every, strict=True)]

    whole = steps(Place(0))
    assert [len(batch) for batch in whole] == [6, 3, 2]
    assert sorted(chain(*whole)) == list(range(11))
    assert steps(Place(0, first_record=6)) == whole[1:]
    assert steps(Place(0, first_record=9)) == whole[2:]
    assert steps(Place(0, first_record=11)) == []
    assert steps(Place(1)) != whole


def test_hosts_that_share_one_folder_share_its_images(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    channel = records(tmp_path, numbered(10), distribution="ShardedByS3Key")
    batches = opened(channel, hosts=HOSTS)
    seen = [level for rank in range(2) for level in levels(batches, Place(0, 0, rank, 2))]
    assert sorted(seen) == list(range(10))
    assert "all 2 hosts see all images here, and each trains on its own share" in log.text


def test_a_host_without_images_and_a_pipe_in_pieces_are_refused(tmp_path: Path) -> None:
    channel, lists = of_host(0, tmp_path, "list")
    for path in channel.path.rglob("*.png"):
        path.unlink()
    assert "channel train: ShardedByS3Key has left no image to this host. Use" in refusal(
        channel, lists, hosts=HOSTS
    )
    assert "expected FullyReplicated in input mode Pipe, in which all 2 hosts" in refusal(
        pipe(tmp_path, distribution="ShardedByS3Key"), hosts=HOSTS
    )


def test_another_number_of_training_samples_is_told(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    opened(records(tmp_path, numbered(9)))
    assert "num_training_samples is 10; channel train holds 9 images" in log.text


@pytest.mark.parametrize("first_record", [0, 4])
def test_another_number_of_training_samples_is_told_of_a_pipe_once(
    first_record: int, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    batches = opened(pipe(tmp_path))
    with feeding(tmp_path / "train", [[record_bytes(numbered(count))] for count in (9, 9, 9)]):
        for epoch in range(3):
            list(batches(Place(epoch, first_record if epoch == 0 else 0)))
    assert log.text.count("num_training_samples is 10; channel train brought 9 images") == 1


def test_the_right_number_of_samples_and_that_of_a_validation_pipe_are_not_told(
    tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    for name, count, is_training in (("a", 10, True), ("b", 9, False)):
        (tmp_path / name).mkdir()
        batches = opened(pipe(tmp_path / name), is_training=is_training)
        with feeding(tmp_path / name / "train", [[record_bytes(numbered(count))]]):
            list(batches(Place(0)))
    assert "num_training_samples" not in log.text


def test_bad_images_and_labels_are_left_out_up_to_a_number_and_counted_once(
    tmp_path: Path,
) -> None:
    images = numbered(10)
    images[4] = images[4][:-20]
    labels = [[number % 3] for number in range(10)]
    labels[7] = [9]
    bad = BadRecords(2)
    batches = opened(records(tmp_path, images, labels), bad=bad)
    for epoch in range(2):
        assert sorted(levels(batches, Place(epoch))) == [0, 1, 2, 3, 5, 6, 8, 9]
    assert bad.count == 2
    assert "record 8 " in bad.reasons[0]
    assert "record 5 " in bad.reasons[1]


def test_bad_lines_of_a_list_are_left_out(tmp_path: Path) -> None:
    lines = "".join(
        f"{number}\t{number % 3}\tkind {number % 3}/{number}.png\n" for number in range(6)
    )
    bad = BadRecords(3)
    batches = opened(
        *write_list(tmp_path, f"{lines}7\t0\n0\t0\tkind 0/0.png\n8\t0\tgone.png\n", images=6),
        bad=bad,
    )
    assert sorted(levels(batches, Place(0))) == list(range(6))
    assert [reason.partition(" at ")[0] for reason in bad.reasons] == [
        f"train_lst/train.lst line {number}" for number in (7, 8, 9)
    ]


def test_records_that_are_no_image_records_are_left_out(tmp_path: Path) -> None:
    channel = records(tmp_path, numbered(5))
    with (channel.path / "a.rec").open("ab") as stream:
        stream.write(framed(b"short", cuts=True) + record_bytes(numbered(1)))
    bad = BadRecords(1)
    assert sorted(levels(opened(channel, bad=bad), Place(0))) == [0, 0, 1, 2, 3, 4]
    assert "record 6 at byte" in bad.reasons[0]


def test_a_bad_image_of_a_pipe_is_counted_once(tmp_path: Path) -> None:
    images = numbered(10)
    images[4] = b"no image"
    sent, bad = record_bytes(images), BadRecords(1)
    batches = opened(pipe(tmp_path), bad=bad)
    with feeding(tmp_path / "train", [[sent]] * 3):
        for again in (batches, batches, batches.squashed()):
            assert sorted(levels(again, Place(0))) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert bad.count == 1


def test_a_request_is_squashed_or_cropped_as_in_validation(tmp_path: Path) -> None:
    image = textured(1, 40, 60)[0]
    channel = records(tmp_path, [image], [[0]])
    batches = opened(channel, settings=Settings(resize=20), is_training=False)
    cropped = prepared(image, shape=(3, 16, 16), crop=20)
    squashed = prepared(image, shape=(3, 16, 16))
    assert (cropped == pictures(batches, Place(0))[0].numpy()).all()
    assert (squashed == pictures(batches.squashed(), Place(0))[0].numpy()).all()
    assert not np.array_equal(cropped, squashed)


def test_a_grey_model_takes_a_colour_request() -> None:
    assert prepared(flat(9), shape=(1, 16, 16)).tolist() == [[[9] * 16] * 16]


def test_a_request_that_is_no_image_is_refused() -> None:
    with pytest.raises(UserError, match=r"request body: .*JPEG or PNG"):
        prepared(b"hello", shape=(3, 16, 16), place="request body")
