"""What is in a file? Every golden file is told, and no bytes do harm."""

import gzip
import io
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.data.image_record import image_record_bytes
from sm_dl.data.protobuf.write import dense_records
from sm_dl.data.recordio import framed
from sm_dl.errors import UserError
from sm_dl.inspection import records
from sm_dl.inspection.look import look
from tests.data.images import encoded, png_header, rgb
from tests.golden import FILES, GOLDEN, content, needs_golden

SAID = {
    "README.md": "text, 93 lines",
    "bytes_and_metadata.rec.pbr": "features['image']: bytes",
    "dense_float32.rec.pbr": "features['values']: float32, 3 values",
    "dense_float64_nolabel.rec.pbr": "features['values']: float64, 2 values",
    "dense_int32.rec.pbr": "label['values']: int32, 1 value",
    "detection.idx": "index of a RecordIO file: id and byte offset, 4 lines",
    "detection.lst": "list of images with boxes, 4 lines",
    "detection.rec": "boxes by class, from detection labels:",
    "detection_object_width6.idx": "index of a RecordIO file: id and byte offset, 2 lines",
    "detection_object_width6.lst": "list of images with boxes, 2 lines",
    "detection_object_width6.rec": "boxes by class, from detection labels:",
    "embedded_magic_sdk_framing.rec": (
        "framing: one part each, with magic numbers inside, as the service's SDK writes"
    ),
    "expected_masks.json": "JSON object, 55 lines",
    "expected_mxnet.json": "JSON object, 399 lines",
    "expected_ndarray.json": "JSON object, 38 lines",
    "expected_pipe.json": "JSON object, 88 lines",
    "expected_protobuf.json": "JSON object, 190 lines",
    "images.idx": "index of a RecordIO file: id and byte offset, 6 lines",
    "images.lst": "list of images with a class each, 6 lines",
    "images.rec": "images by class:",
    "images/img_00.png": "image: PNG 8 x 8 (3 x 8 bit)",
    "images/img_01.png": "image: PNG 12 x 10 (3 x 8 bit)",
    "images/img_02.jpg": "image: JPEG 8 x 12 (3 x 8 bit)",
    "images/img_03.png": "image: PNG 16 x 9 (3 x 8 bit)",
    "images/img_04.jpg": "image: JPEG 16 x 16 (3 x 8 bit)",
    "images/img_05.png": "image: PNG 7 x 11 (3 x 8 bit)",
    "label_forms.rec": "labels for each image: 1 (3 images), 3 (1 image)",
    "masks/mask_gray.png": "as a mask, pixels by value (255 is a hole):",
    "masks/mask_palette.png": "image: PNG 5 x 3 (palette)",
    "multilabel.idx": "index of a RecordIO file: id and byte offset, 6 lines",
    "multilabel.lst": "list of images with several labels each, 6 lines",
    "multilabel.rec": "images by position of a label that is not 0:",
    "multipart.rec": "framing: some records in several parts, cut at magic numbers as MXNet does",
    "ndarray_dict.params": "  arg:fc_weight  float32 [2, 3]",
    "pipe_classification.manifest": "augmented manifest (references: source-ref), 3 lines",
    "pipe_classification.rec": "3 images and 3 records of label text",
    "pipe_detection.manifest": "augmented manifest (references: source-ref), 2 lines",
    "pipe_detection.rec": "2 images and 2 records of label text",
    "pipe_multilabel.rec": "2 images and 2 records of label text",
    "pipe_segmentation.rec": "every record is an image: images alone, or each followed by its mask",
    "segmentation_response.rec.pbr": "1 record of 131 bytes",
    "seq2seq_int32_pair.rec": "features['source']: int32, 2 to 4 values",
    "sparse_float32.rec.pbr": "features['values']: sparse float32, 0 to 2 values, shape [8]",
}


@needs_golden
def test_every_golden_file_has_a_line_to_be_told_by() -> None:
    assert sorted(SAID) == FILES


@needs_golden
@pytest.mark.parametrize("name", FILES)
def test_every_golden_file_is_told(name: str) -> None:
    lines = look(GOLDEN / name)
    assert lines[0] == f"{Path(name).name}: {len(content(name))} bytes"
    assert SAID[name] in [
        line.removeprefix("  ") if line[2:] == SAID[name] else line for line in lines
    ]


@needs_golden
@pytest.mark.parametrize("name", FILES)
def test_a_golden_file_cut_anywhere_is_told_or_refused(name: str, tmp_path: Path) -> None:
    whole = content(name)
    path = tmp_path / Path(name).name
    for cut in range(0, len(whole), max(1, len(whole) // 250)):
        path.write_bytes(whole[:cut])
        _told_or_refused(path)


def _told_or_refused(path: Path) -> None:
    try:
        assert len(look(path)) > 1
    except UserError as error:
        assert path.name in str(error)  # noqa: PT017 - both ways out are right


BEGINS = [
    b"",
    framed(b"abc", cuts=False)[:8],
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"\x1f\x8b",
    bytes.fromhex("12010000000000000000000000000000"),
    b'{"annotations": ',
    b"1\t2\t",
    b"PAR1",
]


@settings(max_examples=300, deadline=None)
@given(begin=st.sampled_from(BEGINS), rest=st.binary(max_size=200), copies=st.integers(1, 3))
def test_any_bytes_are_told_or_refused(
    tmp_path_factory: pytest.TempPathFactory, begin: bytes, rest: bytes, copies: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(begin + rest * copies)
    _told_or_refused(path)


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(FILES or [""]),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=5),
)
@needs_golden
def test_damaged_golden_files_are_told_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, edits: list[tuple[int, int]]
) -> None:
    damaged = bytearray(content(name))
    for at, byte in edits:
        damaged[at % len(damaged)] = byte
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(damaged)
    _told_or_refused(path)


def _say(tmp_path: Path, content: bytes) -> list[str]:
    path = tmp_path / "file"
    path.write_bytes(content)
    return look(path)[1:]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "empty"),
        (b" \n\n", "blank text"),
        (b"\x00\x01\x02", "unknown bytes, which begin b'\\x00\\x01\\x02'"),
        (b"PAR1", "Parquet table: read by DeepAR's channels, and by any Parquet tool"),
        (b"\x93NUMPY\x01", "NumPy array (.npy)"),
        (b"a,b\n1,2\n", "table of 2 columns, comma-separated, with a header, 2 lines"),
        (b"3,4\n1,2\n", "table of 2 columns, comma-separated, without a header, 2 lines"),
        (b"1 3:2.5 7:1\n0\n", "sparse rows as text (svmlight): label, then column:value, 2 lines"),
        (b'{"start": 1}\n', "JSON Lines, 1 line"),
        (b"[1,\n2]", "JSON list, 2 lines"),
        (b'[{"prefix": "s3://b/"}, "a"]', "manifest of objects below a prefix, 1 line"),
        (b'{"annotations": []}', "JSON annotation of boxes, 1 line"),
        (b'{"a": 1,\n"b"', "JSON, 2 lines, malformed"),
        (b'{"a":\n' + b"1" * (1 << 21), "JSON, more than 1 line, going by its begin"),
        (b"once upon a time\nthere was\n", "text, 2 lines"),
    ],
)
def test_other_files_are_told_too(tmp_path: Path, content: bytes, line: str) -> None:
    assert _say(tmp_path, content)[0] == line


def test_what_gzip_holds_is_told(tmp_path: Path) -> None:
    packed = gzip.compress(b"1,2\n" * 9)
    assert _say(tmp_path, packed)[:2] == [
        "gzip, which holds:",
        "table of 2 columns, comma-separated, without a header, 9 lines",
    ]
    assert "gzip again" in _say(tmp_path, gzip.compress(packed))[1]
    assert _say(tmp_path, gzip.compress(b""))[1] == "nothing"


def test_a_gzip_bomb_is_looked_into_for_a_mebibyte(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with gzip.open(stream, "wb") as inside:
        for _ in range(64):
            inside.write(b"1,2\n" * (1 << 18))
    began = time.process_time()
    assert "more than 262143 lines" in _say(tmp_path, stream.getvalue())[1]
    assert time.process_time() - began < 5  # 64 MiB are there, and a bound of 1 MiB was read


def test_records_inside_gzip_are_counted_as_far_as_they_were_read(tmp_path: Path) -> None:
    one = framed(next(dense_records(np.float32([[1, 2]]))), cuts=False)
    said = _say(tmp_path, gzip.compress(one * 100_000))
    assert "records in the begin of the file that was read of" in said[2]


def test_a_png_bomb_is_told_and_not_decoded(tmp_path: Path) -> None:
    assert _say(tmp_path, png_header(60_000, 60_000))[1].startswith("more than 50000000 pixels")


def test_the_number_of_records_of_a_long_file_is_estimated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_BYTES", 1 << 20)
    image = encoded(rgb(), "JPEG")
    one = framed(image_record_bytes(image, np.float32([3]), 1), cuts=True)
    said = _say(tmp_path, one * (5 * (1 << 20) // len(one)))
    number = 5 * (1 << 20) // len(one)
    assert said[1].startswith(f"about {number} records, going by ")


def test_the_door_goes_on_after_a_damaged_file(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.rec", tmp_path / "cut.rec"
    whole.write_bytes(framed(b"abc", cuts=True))
    cut.write_bytes(framed(b"abc", cuts=True)[:-1])
    command = [sys.executable, "-m", "sm_dl", "inspect", cut, whole, tmp_path, tmp_path / "no"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "records of no kind known here" in done.stdout
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [
        "cut.rec record 1 at byte 0",
        str(tmp_path),
        str(tmp_path / "no"),
    ]
