"""Each line is an object, and a line that is not is named by its number."""

import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.content_types import JSON_LINES
from sm_dl.data import jsonlines
from sm_dl.data.jsonlines import object_from_line, read_objects
from sm_dl.data.source import DataFile
from sm_dl.errors import PlatformError, UserError

Make = Callable[..., DataFile]
steady = settings(derandomize=True, deadline=None)
TWO = b'{"a": 1}\n{"b": 2}\n'


def _objects(file: DataFile) -> list[dict[str, object]]:
    return [value for _, value in read_objects(file)]


def _places(file: DataFile) -> list[str]:
    return [place for place, _ in read_objects(file)]


def _message(file: DataFile) -> str:
    with pytest.raises(UserError) as refusal:
        list(read_objects(file))
    return str(refusal.value)


# What a good file means.


@pytest.mark.parametrize(
    "content",
    [
        TWO,
        TWO[:-1],
        TWO.replace(b"\n", b"\r\n"),
        b"\n\n" + TWO,
        TWO + b"\n  \n\t\r\n",
        b"\xef\xbb\xbf" + TWO,
        b'  {"a":1}  \n\n{ "b" : 2 }',
        gzip.compress(TWO),
        gzip.compress(TWO[:9]) + gzip.compress(TWO[9:]),
        gzip.compress(TWO[:4]) + gzip.compress(TWO[4:]),
        gzip.compress(TWO) + b"\x00" * 100,
        gzip.compress(b"\xef\xbb\xbf" + TWO),
    ],
    ids=[
        "plain",
        "no line end at the end",
        "windows",
        "blank lines first",
        "blank lines last",
        "byte order mark",
        "blanks",
        "gzip",
        "gzip of two members",
        "gzip cut in mid-line",
        "padded gzip",
        "gzip with byte order mark",
    ],
)
def test_two_lines_are_two_objects(data_file: Make, content: bytes) -> None:
    assert _objects(data_file(content)) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "part-0", "a.parquet"])
@pytest.mark.parametrize("content", [TWO, gzip.compress(TWO)], ids=["plain", "gzip"])
def test_the_bytes_and_not_the_name_say_whether_it_is_gzip(
    data_file: Make, name: str, content: bytes
) -> None:
    assert _objects(data_file(content, name)) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    "content", [b"", b"\n", b" \n\t\n\r\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)]
)
def test_nothing_is_no_object(data_file: Make, content: bytes) -> None:
    assert _objects(data_file(content)) == []


def test_blank_lines_are_counted(data_file: Make) -> None:
    assert _places(data_file(b'\n{"a":1}\r\n\r\n\n{"b":2}')) == [
        "train/a.json line 2",
        "train/a.json line 5",
    ]


def test_values_keep_their_kinds(data_file: Make) -> None:
    content = b'{"start": "2009-11-01", "target": [1, 2.5, null, "NaN"], "cat": [0], "x": true}'
    assert _objects(data_file(content)) == [
        {"start": "2009-11-01", "target": [1, 2.5, None, "NaN"], "cat": [0], "x": True}
    ]


def test_a_line_break_within_a_text_is_no_line(data_file: Make) -> None:
    assert _places(data_file(rb'{"a": "x\ny"}' + b"\n" + TWO[:9])) == [
        "train/a.json line 1",
        "train/a.json line 2",
    ]


def test_lines_are_read_one_by_one(data_file: Make) -> None:
    reading = read_objects(data_file(TWO + b"broken"))
    assert [next(reading)[1], next(reading)[1]] == [{"a": 1}, {"b": 2}]


def test_a_reader_that_stops_early_leaves_no_file_open(data_file: Make) -> None:
    reading = read_objects(data_file(TWO))
    next(reading)
    reading.close()  # an open file would be a warning, and warnings are errors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for many files."""
    return tmp_path_factory.mktemp("jsonlines")


OBJECTS = st.lists(
    st.dictionaries(
        st.text(max_size=5),
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=10)
        | st.lists(st.integers(0, 9), max_size=3),
        max_size=4,
    ),
    max_size=8,
)


@steady
@given(OBJECTS, st.booleans(), st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n"]), st.booleans())
def test_what_was_written_is_read(
    folder: Path, objects: list[dict[str, object]], packed: bool, end: bytes, ended: bool
) -> None:
    text = end.join(map(orjson.dumps, objects)) + (end if ended else b"")
    path = folder / "a.json"
    path.write_bytes(gzip.compress(text) if packed else text)
    assert _objects(DataFile(path, "train/a.json", JSON_LINES)) == objects


@steady
@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_lead_to_anything_but_objects_or_a_sentence(
    folder: Path, content: bytes, packed: bool
) -> None:
    path = folder / "a.json"
    path.write_bytes(gzip.compress(content) if packed else content)
    try:
        assert all(isinstance(value, dict) for value in _objects(DataFile(path, "t", JSON_LINES)))
    except UserError as refusal:
        assert str(refusal).startswith("t")  # noqa: PT017 - both ends are right


PACKED = gzip.compress(b'{"a": [1, 2, 3]}\n' * 40, mtime=0)


@steady
@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_a_changed_byte_in_gzip_is_never_more_than_a_refusal(
    folder: Path, position: int, change: int
) -> None:
    damaged = bytearray(PACKED)
    damaged[position] ^= change
    path = folder / "a.json"
    path.write_bytes(damaged)
    try:
        _objects(DataFile(path, "t", JSON_LINES))
    except UserError:
        return


# Refusals, each with file and line.


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b'{"a": 1',
        b'{"a": [1, 2',
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1,}',
        b'{"a": 1} {"b": 2}',
        b'{"a": 1};',
        b"a,b,c",
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        '{"a": "é"}'.encode("latin-1"),
        '{"a": 1}'.encode("utf-16"),
        b"\x00",
        b"\xef\xbb\xbf{}",
        b"PAR1\x15\x04",
        b"[" * 10_000,
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    ],
    ids=lambda line: repr(line[:20]),
)
def test_a_line_that_is_no_json_is_named_by_its_number(data_file: Make, line: bytes) -> None:
    message = _message(data_file(TWO + line.replace(b"\n", b"")))
    assert message.startswith("train/a.json line 3: expected a JSON object in UTF-8; ")


@pytest.mark.parametrize(
    "line",
    [b"[1, 2]", b"1", b'"a"', b"null", b"true", b"[" * 1000 + b"]" * 1000],
    ids=lambda line: repr(line[:20]),
)
def test_a_line_that_is_no_object_is_named_by_its_number(data_file: Make, line: bytes) -> None:
    message = _message(data_file(b"\n" + TWO + line))
    assert message.startswith("train/a.json line 4: expected a JSON object; got ")


@pytest.mark.parametrize("line", [b"{", b'{"a": "\xff"}', b"[1]"])
def test_a_refusal_names_one_line_only(data_file: Make, line: bytes) -> None:
    assert _message(data_file(TWO + line)).count("line ") == 1


@pytest.mark.parametrize("line", [b"x" * 100_000, b"[" + b"1," * 50_000 + b"1]"])
def test_a_refusal_is_one_short_line_however_long_the_data(data_file: Make, line: bytes) -> None:
    message = _message(data_file(line))
    assert (len(message.splitlines()), len(message) < 300) == (1, True)


@pytest.mark.parametrize("kept", [2, 3, 10, 30, -8, -1], ids="{} bytes".format)
def test_gzip_that_is_cut_short_is_refused(data_file: Make, kept: int) -> None:
    message = _message(data_file(PACKED[:kept]))
    assert "the gzip data are damaged or cut short" in message


def test_gzip_that_is_cut_short_names_the_last_whole_line(data_file: Make) -> None:
    plain = gzip.compress(b'{"a": 1}\n' * 5, compresslevel=0, mtime=0)
    message = _message(data_file(plain[:-8]))
    assert message.startswith("train/a.json: after line 5: the gzip data")


def test_gzip_with_a_wrong_checksum_is_refused(data_file: Make) -> None:
    damaged = bytearray(PACKED)
    damaged[-6] ^= 255
    assert "the gzip data are damaged" in _message(data_file(bytes(damaged)))


@pytest.mark.parametrize("tail", [b"junk", b"\x1f\x8b", TWO])
def test_gzip_with_something_behind_it_is_refused(data_file: Make, tail: bytes) -> None:
    assert "the gzip data are damaged" in _message(data_file(PACKED + tail))


def test_gzip_within_gzip_is_refused(data_file: Make) -> None:
    message = _message(data_file(gzip.compress(gzip.compress(TWO))))
    assert message == (
        "train/a.json: expected data packed by gzip once; got gzip within gzip. Unpack it."
    )


def test_the_longest_line_is_read(data_file: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonlines, "MAX_LINE_BYTES", len(TWO) // 2)
    assert len(_objects(data_file(TWO))) == 2


@pytest.mark.parametrize("packed", [False, True])
def test_a_longer_line_is_refused(
    data_file: Make, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    monkeypatch.setattr(jsonlines, "MAX_LINE_BYTES", 10)
    content = b'{}\n{"a": "too long"}\n'
    message = _message(data_file(gzip.compress(content) if packed else content))
    assert message == "train/a.json line 2: expected at most 10 bytes; got more."


def test_a_gzip_bomb_does_not_fill_the_memory(
    data_file: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = data_file(gzip.compress(b" " * 50_000_000, compresslevel=1))
    monkeypatch.setattr(jsonlines, "MAX_LINE_BYTES", 1_000_000)
    tracemalloc.start()
    _message(bomb)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 10e6


@pytest.mark.parametrize("name", ["absent.json", "."])
def test_a_file_that_cannot_be_read_is_the_platforms_error(data_file: Make, name: str) -> None:
    with pytest.raises(PlatformError, match=rf"train/{name}: cannot be read"):
        list(read_objects(data_file(None, name)))


def test_a_request_body_goes_through_the_same_door() -> None:
    assert object_from_line(b'{"instances": []}', "body") == {"instances": []}


def test_a_request_body_is_refused_by_its_place() -> None:
    with pytest.raises(UserError, match=r"^body: expected a JSON object; got \[\]\.$"):
        object_from_line(b"[]", "body")
