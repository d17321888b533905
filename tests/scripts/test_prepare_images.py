"""The image scripts of scripts/prepare, run as a user runs them, without a network."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from sm_dl.data.image import decode
from sm_dl.data.image_record import read_image_records
from sm_dl.data.lst import read_list
from tests.data.images import encoded, rgb

ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Return the finished run of one script."""
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "prepare" / script, *map(str, arguments)],
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return class folders: two classes, three pictures to train, one to test."""
    for part, count in (("train", 3), ("test", 1)):
        for label, name in enumerate(("cat", "dog")):
            target = tmp_path / "source" / part / name
            target.mkdir(parents=True)
            for number in range(count):
                picture = np.roll(rgb(32, 32), number + 5 * label, axis=1)
                (target / f"{number}.jpg").write_bytes(encoded(picture, "JPEG"))
    return tmp_path / "source"


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def records_of(path: Path) -> list[tuple[int, bytes]]:
    with path.open("rb") as stream:
        return [(int(one.labels[0]), one.image) for one in read_image_records(stream, path.name)]


def test_cifar_folders_become_records_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    done = run("cifar10.py", "--source", folder, "--output", tmp_path / "out")
    assert "train.rec: 6 pictures" in done.stdout
    for channel, part in (("train", "train"), ("validation", "test")):
        got = records_of(tmp_path / "out" / channel / f"{channel}.rec")
        expected = [
            (label, path.read_bytes())
            for label, name in enumerate(("cat", "dog"))
            for path in (folder / part / name).iterdir()
        ]
        assert sorted(got) == sorted(expected)
    assert (tmp_path / "out" / "classes.txt").read_text() == "cat\ndog\n"


def test_the_cifar_archive_becomes_pictures_without_a_loss(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    planes = random.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    batches = [bytes([label]) + planes[label].tobytes() for label in range(4)]
    archive = write_archive(
        tmp_path / "cifar.tar.gz",
        {
            "cifar-10-batches-bin/data_batch_1.bin": batches[0] + batches[1],
            "cifar-10-batches-bin/data_batch_2.bin": batches[2],
            "cifar-10-batches-bin/test_batch.bin": batches[3],
            "cifar-10-batches-bin/readme.html": b"hello",
        },
    )
    run("cifar10.py", "--source", archive, "--output", tmp_path / "out")
    train = records_of(tmp_path / "out" / "train" / "train.rec")
    (tested,) = records_of(tmp_path / "out" / "validation" / "validation.rec")
    assert sorted(label for label, _ in train) == [0, 1, 2]
    for label, image in [*train, tested]:
        assert (decode(image, "a") == planes[label].transpose(1, 2, 0)).all()


def test_a_cifar_archive_cut_short_is_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar.gz", {"x/data_batch_1.bin": bytes(3000)})
    done = run("cifar10.py", "--source", archive, "--output", tmp_path / "out")
    assert "data_batch_1: expected records of 3073 bytes, got 3000" in done.stderr
    archive.write_bytes(archive.read_bytes()[:40])
    done = run("cifar10.py", "--source", archive, "--output", tmp_path / "out")
    assert "could not be read" in done.stderr
    assert "pass --source" in done.stderr


def test_flower_folders_become_files_and_lists(folder: Path, tmp_path: Path) -> None:
    run("flowers.py", "--source", folder, "--output", tmp_path / "out")
    with (tmp_path / "out" / "train_lst" / "train.lst").open("rb") as stream:
        lines = list(read_list(stream, "train.lst"))
    assert sorted(line.index for line in lines) == list(range(6))
    for line in lines:
        assert line.path.startswith(("cat/", "dog/")[int(line.labels[0])])
        copied = tmp_path / "out" / "train" / line.path
        assert copied.read_bytes() == (folder / "train" / line.path).read_bytes()


def test_the_flower_archive_is_split_by_its_numbers(tmp_path: Path) -> None:
    picture = encoded(rgb(8, 8), "JPEG")
    members = {f"jpg/image_{number:04d}.jpg": picture for number in range(1, 1361)}
    archive = write_archive(tmp_path / "17.tgz", members | {"jpg/files.txt": b"x"})
    done = run("flowers.py", "--source", archive, "--output", tmp_path / "out")
    assert "1020 pictures" in done.stdout
    assert "340 pictures" in done.stdout
    assert (tmp_path / "out" / "train" / "daffodil" / "0060.jpg").exists()
    assert (tmp_path / "out" / "validation" / "daffodil" / "0061.jpg").exists()
    assert (tmp_path / "out" / "validation" / "pansy" / "1360.jpg").exists()
    members.popitem()
    write_archive(tmp_path / "17.tgz", members)
    done = run("flowers.py", "--source", tmp_path / "17.tgz", "--output", tmp_path / "two")
    assert "expected 1360 photographs" in done.stderr


@pytest.mark.parametrize("script", ["cifar10.py", "flowers.py"])
def test_different_classes_to_train_and_to_test_are_refused(
    script: str, folder: Path, tmp_path: Path
) -> None:
    (folder / "test" / "dog").rename(folder / "test" / "cow")
    done = run(script, "--source", folder, "--output", tmp_path / "out")
    assert "expected the same classes in train and test" in done.stderr


@pytest.mark.parametrize("script", ["cifar10.py", "flowers.py"])
def test_the_same_pictures_give_the_same_bytes(script: str, folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run(script, "--source", folder, "--output", tmp_path / name)
    files = [path for path in sorted((tmp_path / "a").rglob("*")) if path.is_file()]
    assert len(files) > 4
    for path in files:
        twin = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == twin.read_bytes()
