"""Images to records: as im2rec, and back without loss."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from sm_dl import pack
from sm_dl.data.annotations import boxes_from_vector
from sm_dl.data.image_record import read_image_records
from sm_dl.data.lst import read_list
from sm_dl.data.record_index import RecordFile, read_index
from tests.data.images import encoded, rgb
from tests.golden import DATA, GOLDEN, needs_golden

SETS = [
    "cifar10_subset/test",
    "flowers12/test",
    "fruits/JPEGImages",
    "bccd/JPEGImages",
    "camvid/val",
]


@needs_golden
@pytest.mark.parametrize("name", ["images", "multilabel", "detection", "detection_object_width6"])
def test_golden_lists_become_golden_records(name: str, tmp_path: Path) -> None:
    arguments = ["--root", str(GOLDEN / "images"), "--list", str(GOLDEN / f"{name}.lst")]
    assert pack.main(["images", *arguments, "--output", str(tmp_path / name)]) == 0
    for suffix in (".rec", ".idx"):
        made = tmp_path / f"{name}{suffix}"
        assert made.read_bytes() == (GOLDEN / f"{name}{suffix}").read_bytes()


@pytest.mark.parametrize("name", SETS)
def test_a_real_set_of_images_comes_back(name: str, tmp_path: Path) -> None:
    root = DATA / name
    if not root.is_dir():
        pytest.skip(f"the data set is not at {root}")
    assert pack.main(["images", "--root", str(root), "--output", str(tmp_path / "a")]) == 0
    with (tmp_path / "a.lst").open("rb") as stream:
        lines = list(read_list(stream, "a.lst"))
    files = {path for path in root.rglob("*") if path.suffix in (".jpg", ".png")}
    assert {root / line.path for line in lines} == files
    ids, offsets = read_index(tmp_path / "a.idx", "a.idx")
    with (
        (tmp_path / "a.rec").open("rb") as stream,
        RecordFile(tmp_path / "a.rec", "a.rec", offsets) as by_offset,
    ):
        records = list(read_image_records(stream, "a.rec"))
        for index in range(0, len(records), 97):
            assert by_offset[index].endswith(records[index].image)
    assert ids == [record.identity for record in records]
    folders = sorted({path.parent.relative_to(root).as_posix() for path in files})
    for record, line in zip(records, lines, strict=True):
        path = root / line.path
        assert record.image == path.read_bytes()
        assert folders[int(record.labels[0])] == path.parent.relative_to(root).as_posix()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("cat/a.jpg", "cat/b c.PNG", "dog/a.png", "dog/notes.txt", ".hidden/x.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(rgb(), "JPEG" if name.endswith("jpg") else "PNG"))
    return tmp_path / "images"


def test_folders_are_classes_and_are_listed(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out" / "train"
    assert pack.main(["images", "--root", str(root), "--output", str(target), "--sorted"]) == 0
    assert capsys.readouterr().out == f"{target}.rec: 3 images\n  0: cat\n  1: dog\n"
    assert Path(f"{target}.lst").read_text() == (
        "0\t0.000000\tcat/a.jpg\n1\t0.000000\tcat/b c.PNG\n2\t1.000000\tdog/a.png\n"
    )


def test_annotations_become_boxes(root: Path, tmp_path: Path) -> None:
    box = {"class_id": 2, "left": 3, "top": 4, "width": 6, "height": 10}
    for name, boxes in (("cat/a", [box]), ("cat/b c", []), ("dog/a", [box, box])):
        path = tmp_path / "json" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = [{"width": 30, "height": 20, "depth": 3}]
        path.write_text(json.dumps({"image_size": size, "annotations": boxes}))
    target = tmp_path / "train"
    arguments = ["--root", str(root), "--annotations", str(tmp_path / "json"), "--sorted"]
    assert pack.main(["images", *arguments, "--output", str(target)]) == 0
    with Path(f"{target}.rec").open("rb") as stream:
        labels = [record.labels for record in read_image_records(stream, "a")]
    assert [len(boxes_from_vector(label, "a")) for label in labels] == [1, 2]
    assert labels[0] == pytest.approx(np.float32([2, 5, 2, 0.1, 0.2, 0.3, 0.7]))


def test_the_same_folder_is_shuffled_the_same_way(root: Path, tmp_path: Path) -> None:
    lists = []
    for name in ("one", "other"):
        assert pack.main(["images", "--root", str(root), "--output", str(tmp_path / name)]) == 0
        lists.append((tmp_path / f"{name}.lst").read_text())
    assert lists[0] == lists[1]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0\t1\tdog/notes.txt", r"line 1 at byte 0 \(dog/notes.txt\): expected a JPEG or PNG"),
        ("0\t1\tdog/no.png", "expected an image at .* no such file"),
        ("0\tdog.png", "expected index, label and path"),
    ],
)
def test_what_cannot_be_packed_is_named_and_leaves_no_file(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, problem: str
) -> None:
    (root / "dog/notes.txt").write_text("no image")
    (tmp_path / "a.lst").write_text(line)
    arguments = ["--root", str(root), "--list", str(tmp_path / "a.lst")]
    assert pack.main(["images", *arguments, "--output", str(tmp_path / "a")]) == 2

    assert re.search(problem, capsys.readouterr().err)
    assert not (tmp_path / "a.rec").exists()


def test_a_folder_without_images_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pack.main(["images", "--root", str(tmp_path), "--output", str(tmp_path / "a")]) == 2
    assert "expected images (.jpg, .jpeg, .png) in it; found none." in capsys.readouterr().err


def test_a_missing_annotation_is_named(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--root", str(root), "--annotations", str(tmp_path)]
    assert pack.main(["images", *arguments, "--output", str(tmp_path / "a")]) == 2
    assert "cat/a.jpg: expected its boxes in" in capsys.readouterr().err
