"""Input objects are opened as they are compressed, and bombs and moving targets are refused."""

import gzip

import pytest

from sm_dl.errors import UserError
from sm_dl.serving.batch.source import FREE_EXPANDED_BYTES, opened, type_from_extension
from tests.serving.batch.calls import transformed

MIB = 1024 * 1024
CONTENT = b"1\n2\n"


def read(path, name=None, compression=None):
    with opened(path, name or path.name, compression) as source:
        return source.read(1000)


@pytest.mark.parametrize(
    ("name", "compression", "is_gzipped"),
    [
        ("a.jsonl", None, False),
        ("a.jsonl.gz", None, True),
        ("A.JSONL.GZ", None, True),
        ("a.jsonl", "Gzip", True),
        ("a.jsonl.gz", "Gzip", True),
        ("a.jsonl.gz", "None", False),
    ],
)
def test_an_object_is_gunzipped_by_its_name_or_as_it_is_said(
    tmp_path, name, compression, is_gzipped
):
    (tmp_path / name).write_bytes(gzip.compress(CONTENT) if is_gzipped else CONTENT)
    assert read(tmp_path / name, compression=compression) == CONTENT


def test_gzip_in_pieces_is_one_object(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"1\n") + gzip.compress(b"2\n"))
    assert read(tmp_path / "a.gz") == CONTENT


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "A.JSONL.GZ", "b.json.gz", "c.d/a.json"])
def test_the_extension_gives_the_content_type(doubler, name):
    assert transformed(doubler, b"1\n2", name=name) == b"2\n4"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b.CSV.gz", "text/csv"),
        ("a/b.png", "image/png"),
        ("a.JPG", "image/jpeg"),
        ("a.b.jpeg", "image/jpeg"),
    ],
)
def test_tables_and_images_are_known_by_their_extensions(name, expected):
    assert type_from_extension(name) == expected


@pytest.mark.parametrize("name", ["a", "json", "a.txt", "a.gz", ".json.d/a"])
def test_an_extension_that_tells_nothing_is_a_user_error(doubler, name):
    with pytest.raises(UserError, match="Set --content-type"):
        transformed(doubler, b"1", name=name)


def size_bytes(source):
    return sum(len(piece) for piece in iter(lambda: source.readline(MIB), b""))


@pytest.mark.parametrize("line", [bytes(MIB), b"\n" * MIB], ids=["zeros", "empty lines"])
def test_a_bomb_is_refused_on_the_way(tmp_path, line):
    with gzip.open(tmp_path / "a.gz", "wb", 9) as bomb:
        for _ in range(2 * FREE_EXPANDED_BYTES // MIB):
            bomb.write(line)
    with (
        opened(tmp_path / "a.gz", "a.gz", None) as source,
        pytest.raises(UserError, match=r"a\.gz: expands to more than 600 times its gzipped size"),
    ):
        list(iter(lambda: source.read(MIB), b""))


def test_a_repetitive_object_is_no_bomb(tmp_path):
    with gzip.open(tmp_path / "a.gz", "wb") as repetitive:
        for _ in range(FREE_EXPANDED_BYTES // MIB - 1):
            repetitive.write(bytes(MIB))
    with opened(tmp_path / "a.gz", "a.gz", None) as source:
        assert size_bytes(source) == 63 * MIB


def test_a_large_object_may_expand_a_hundredfold(tmp_path):
    with gzip.open(tmp_path / "a.gz", "wb") as large:
        for number in range(70_000):
            large.write(b'{"id":%d,"target":[' % number + b"0," * 500 + b"0]}\n")
    assert (tmp_path / "a.gz").stat().st_size < 70 * MIB / 100
    with opened(tmp_path / "a.gz", "a.gz", None) as source:
        assert size_bytes(source) > FREE_EXPANDED_BYTES


@pytest.mark.parametrize(
    "content",
    [gzip.compress(CONTENT)[:-9], b"no gzip at all", b"\x1f\x8b\x08" + b"\xff" * 40],
    ids=["cut", "none", "header"],
)
@pytest.mark.parametrize("split", ["None", "Line", "RecordIO"])
def test_damaged_gzip_is_a_user_error(doubler, tmp_path, content, split):
    (tmp_path / "a.gz").write_bytes(content)
    with (
        pytest.raises(UserError, match=r"part\.jsonl: cannot be read to its end"),
        opened(tmp_path / "a.gz", "a.gz", None) as source,
    ):
        transformed(doubler, source, split_type=split)


def test_an_object_that_has_gone_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"gone\.jsonl: cannot be opened \(No such file"):
        read(tmp_path / "gone.jsonl")


@pytest.mark.parametrize("change", [b"1\n2\n3\n", b"1\n"])
def test_an_object_that_changes_while_it_is_read_is_refused(tmp_path, change):
    path = tmp_path / "a.jsonl"
    path.write_bytes(CONTENT)
    reading = opened(path, "a.jsonl", None)
    reading.__enter__().read(2)
    path.write_bytes(change)
    with pytest.raises(UserError, match=r"a\.jsonl: has changed while it was read"):
        reading.__exit__(None, None, None)


def test_an_object_that_is_replaced_is_read_as_it_was(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(CONTENT)
    with opened(path, "a.jsonl", None) as source:
        (tmp_path / "b").write_bytes(b"other")
        (tmp_path / "b").replace(path)
        assert source.read(9) == CONTENT
