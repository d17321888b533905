"""Records by number."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sm_dl.data.record_index import (
    RecordFile,
    find_offsets,
    index_line,
    read_index,
    record_heads,
)
from sm_dl.data.recordio import framed, read_records
from sm_dl.errors import PlatformError, UserError
from tests.golden import GOLDEN, RECORD_FILES, needs_golden

INDEXED = ["images", "multilabel", "detection", "detection_object_width6"]


@needs_golden
@pytest.mark.parametrize("name", INDEXED)
def test_a_golden_index_leads_to_its_records(name: str) -> None:
    ids, offsets = read_index(GOLDEN / f"{name}.idx", "a.idx")
    with (
        (GOLDEN / f"{name}.rec").open("rb") as stream,
        RecordFile(GOLDEN / f"{name}.rec", "a.rec", offsets) as records,
    ):
        assert [records[index] for index in range(len(records))] == list(read_records(stream, "a"))
    assert ids == list(range(len(offsets)))


@needs_golden
@pytest.mark.parametrize("name", INDEXED)
def test_offsets_are_found_without_an_index(name: str) -> None:
    _, offsets = read_index(GOLDEN / f"{name}.idx", "a.idx")
    assert find_offsets(GOLDEN / f"{name}.rec", "a.rec").tolist() == offsets


@needs_golden
@pytest.mark.parametrize("name", INDEXED)
def test_a_golden_index_is_written_byte_for_byte(name: str) -> None:
    path = GOLDEN / f"{name}.idx"
    lines = [index_line(*pair) for pair in zip(*read_index(path, "a.idx"), strict=True)]
    assert b"".join(lines) == path.read_bytes()


@needs_golden
@pytest.mark.parametrize("name", RECORD_FILES)
def test_a_record_cut_short_is_refused_at_every_byte(name: str, tmp_path: Path) -> None:
    whole = (GOLDEN / name).read_bytes()
    last = int(find_offsets(GOLDEN / name, name)[-1])
    path = tmp_path / name
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        with RecordFile(path, "a.rec", [last]) as records, pytest.raises(UserError) as caught:
            records[0]
        assert str(caught.value).startswith(f"a.rec record 1 at byte {last}: ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "a.rec"
    target.write_bytes(framed(b"one", cuts=True) + framed(b"two", cuts=True))
    return target


@pytest.mark.parametrize("offset", [4, 8, 1000])
def test_an_offset_where_no_record_begins_is_refused(path: Path, offset: int) -> None:
    with (
        RecordFile(path, "a.rec", [offset]) as records,
        pytest.raises(UserError, match=rf"a\.rec record 1 at byte {offset}: "),
    ):
        records[0]


def test_parts_out_of_order_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    path.write_bytes(bytes.fromhex("0a23d7ce04000060") + b"abcd")
    with RecordFile(path, "a.rec", [0]) as records, pytest.raises(UserError, match="do not follow"):
        records[0]


def test_an_offset_that_a_line_of_the_index_misspells_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.idx"
    for line in (b"1\tx\n", b"1 2\n", b"1\n", b"-1\t4\n", b"1\t" + b"9" * 100):
        path.write_bytes(b"0\t0\n" + line)
        with pytest.raises(UserError, match=r"a\.idx line 2: expected an index line"):
            read_index(path, "a.idx")


def test_a_file_that_cannot_be_read_is_the_machines_fault(tmp_path: Path) -> None:
    missing = tmp_path / "no.rec"
    for read in (
        lambda: read_index(missing, "no"),
        lambda: find_offsets(missing, "no"),
        lambda: RecordFile(missing, "no", [0]),
    ):
        with pytest.raises(PlatformError, match="no: cannot be read"):
            read()


def test_threads_may_share_a_file(path: Path) -> None:
    with RecordFile(path, "a.rec", [0, 12]) as records, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: records[number % 2], range(200)))
    assert found == [b"one", b"two"] * 100


@needs_golden
@pytest.mark.parametrize("name", RECORD_FILES)
@pytest.mark.parametrize("num_bytes", [0, 30, 100_000])
def test_heads_are_the_beginnings_of_the_records(name: str, num_bytes: int) -> None:
    heads = list(record_heads(GOLDEN / name, name, num_bytes))
    with (GOLDEN / name).open("rb") as stream:
        whole = list(read_records(stream, name))
    assert [offset for offset, _ in heads] == find_offsets(GOLDEN / name, name).tolist()
    for (_, head), payload in zip(heads, whole, strict=True):
        assert payload.startswith(head)
        assert len(head) >= min(num_bytes, len(payload))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"not framed at all", r"a\.rec record 1 at byte 0: expected a RecordIO record"),
        (framed(b"abcd", cuts=True) + b"\x01\x02", r"a\.rec record 2 at byte 12"),
        (framed(b"abcd" * 9, cuts=True)[:-4], "cut short"),
    ],
)
def test_heads_of_what_is_no_record_file_are_refused(
    content: bytes, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "a.rec").write_bytes(content)
    with pytest.raises(UserError, match=expected):
        list(record_heads(tmp_path / "a.rec", "a.rec", 8))
