"""A model.tar.gz is packed the same each time, and a hostile one leaves nothing behind."""

import contextlib
import gzip
import io
import os
import stat
import subprocess
import tarfile
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.artifact import archive
from sm_dl.artifact.archive import model_folder, pack, unpack
from sm_dl.errors import PlatformError, UserError

FILES = {
    "model.json": b'{"format": 1}',
    "weights.safetensors": bytes(range(256)) * 9,
    "a/b.txt": b"",
}
MEMORY_BYTES = 8 * 1024 * 1024
MIB = 1024 * 1024


def member(name, content=b"", **fields):
    one = tarfile.TarInfo(name)
    one.size = len(content)
    for key, value in fields.items():
        setattr(one, key, value)
    return one, content


def tar(*members):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as to:
        for one, content in members:
            to.addfile(one, io.BytesIO(content))
    return plain.getvalue()


def write(path, *members, compresslevel=1):
    with (
        gzip.open(path, "wb", compresslevel) as packed,
        tarfile.open(fileobj=packed, mode="w") as to,
    ):
        for one, content in members:
            to.addfile(one, io.BytesIO(content))
    return path


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def room(tmp_path):
    """Return a folder that holds an archive and a file that must survive it."""
    room = tmp_path / "room"
    room.mkdir()
    (room / "precious").write_bytes(b"mine")
    return room


def refusal(room, *members):
    """Return the sentence, after proving that nothing was written and little was held."""
    path = write(room / "model.tar.gz", *members) if members else room / "model.tar.gz"
    before = files(room.parent)
    tracemalloc.start()
    with pytest.raises(UserError) as refused:
        unpack(path, room / "into")
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert files(room.parent) == before
    assert not (room / "into").exists()
    assert peak_bytes < MEMORY_BYTES
    return str(refused.value)


def test_what_was_packed_is_unpacked(model, tmp_path):
    pack(model, tmp_path / "model.tar.gz")
    unpack(tmp_path / "model.tar.gz", tmp_path / "again")
    assert files(tmp_path / "again") == FILES


def test_the_contents_lie_at_the_root(model, tmp_path):
    pack(model, tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as packed:
        assert packed.getnames() == sorted(FILES)


def test_the_same_files_give_the_same_bytes(model, tmp_path):
    pack(model, tmp_path / "one.tar.gz")
    (model / "model.json").chmod(0o600)
    os.utime(model / "weights.safetensors", (1, 1))
    pack(model, tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_an_archive_does_not_tell_when_it_was_packed(model, tmp_path):
    pack(model, tmp_path / "model.tar.gz")
    assert (tmp_path / "model.tar.gz").read_bytes()[4:8] == bytes(4)


def test_what_a_killed_writer_left_is_not_packed(model, tmp_path):
    (model / "model.json.7.sagemaker-ignore").write_bytes(b"half")
    pack(model, tmp_path / "model.tar.gz")
    unpack(tmp_path / "model.tar.gz", tmp_path / "again")
    assert files(tmp_path / "again") == FILES


def test_a_folder_that_would_be_refused_is_not_packed(model, tmp_path):
    (model / "last.ckpt").write_bytes(b"")
    with pytest.raises(UserError, match=r"'last\.ckpt' may hold code"):
        pack(model, tmp_path / "model.tar.gz")
    assert not (tmp_path / "model.tar.gz").exists()


def test_a_link_is_not_packed(model, tmp_path):
    (model / "link").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="link: expected a file; got a link"):
        pack(model, tmp_path / "model.tar.gz")


def test_an_empty_folder_is_not_packed(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(UserError, match="expected a model folder with files; found none"):
        pack(tmp_path / "model", tmp_path / "model.tar.gz")


def test_an_archive_that_cannot_be_written_is_the_machines_fault(model, tmp_path):
    with pytest.raises(PlatformError, match="cannot be written"):
        pack(model, tmp_path / "absent" / "model.tar.gz")


def test_the_archive_of_the_tar_command_is_unpacked(model, tmp_path):
    command = ["tar", "czf", str(tmp_path / "model.tar.gz"), "-C", str(model), "."]
    subprocess.run(command, check=True)
    unpack(tmp_path / "model.tar.gz", tmp_path / "again")
    assert files(tmp_path / "again") == FILES


def test_the_mode_of_a_member_is_not_taken(tmp_path):
    write(tmp_path / "model.tar.gz", member("model.json", b"{}", mode=0o755))
    unpack(tmp_path / "model.tar.gz", tmp_path / "into")
    assert not (tmp_path / "into" / "model.json").stat().st_mode & stat.S_IXUSR


HOSTILE = {
    "a way up": (member("../precious", b"theirs"), "plain relative names"),
    "a way up inside": (member("a/../../precious", b"theirs"), "plain relative names"),
    "an absolute path": (member("/etc/theirs", b"theirs"), "plain relative names"),
    "a hidden file": (member(".bashrc", b"theirs"), "plain relative names"),
    "a backslash": (member("..\\precious", b"theirs"), "plain relative names"),
    "a line break": (member("model.json\n", b"{}"), "plain relative names"),
    "a blank": (member("a b", b"{}"), "plain relative names"),
    "a letter of another alphabet": (member("m\u043edel.json", b"{}"), "plain relative names"),
    "an empty step": (member("a//b", b"{}"), "plain relative names"),
    "a long name": (member("a" * 201, b"{}"), "at most 200 characters"),
    "a symbolic link": (
        member("a", type=tarfile.SYMTYPE, linkname="../precious"),
        "got a symbolic link",
    ),
    "a hard link": (member("a", type=tarfile.LNKTYPE, linkname="../precious"), "got a hard link"),
    "a device": (
        member("a", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        "got a device or FIFO",
    ),
    "a FIFO": (member("a", type=tarfile.FIFOTYPE), "got a device or FIFO"),
    "a type of its own": (member("a", type=b"Z"), "got something else"),
    "setuid": (member("a", b"x", mode=0o4755), "setuid"),
    "setgid": (member("a", b"x", mode=0o2755), "setuid"),
    **{
        f"a pickle {name}": (member(name, b"\x80\x04."), "may hold code")
        for name in (
            "model.pt",
            "LAST.CKPT",
            "w.pth",
            "m.pkl",
            "x.bin",
        )
    },
}


def test_an_archive_of_the_service_is_known_by_its_weights(room):
    names = ("image-classification-0001.params", "image-classification-symbol.json")
    message = refusal(room, *(member(name, b"\x12\x01") for name in names))
    assert "got 'image-classification-0001.params', weights of MXNet" in message
    assert "networks differ from those here: train the model anew" in message
    assert "may hold code" not in message


def test_a_file_that_is_wrong_in_an_archive_is_told_of_the_archive(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("{}")
    packed = tmp_path / "model.tar.gz"
    pack(tmp_path / "model", packed)
    with pytest.raises(UserError) as refused, model_folder(packed) as folder:
        raise UserError(f"{folder / 'model.json'}: is empty.")
    assert str(refused.value) == f"{packed}/model.json: is empty."


@pytest.mark.parametrize(("hostile", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_member_is_refused_by_name_and_writes_nothing(room, hostile, reason):
    message = refusal(room, member("model.json", b"{}"), hostile)
    assert reason in message
    assert "model.tar.gz: " in message


def test_a_file_through_a_link_is_refused(room):
    link = member("a", type=tarfile.SYMTYPE, linkname="..")
    assert "got a symbolic link" in refusal(room, link, member("a/precious", b"theirs"))


def test_a_name_that_comes_twice_is_refused(room):
    message = refusal(room, member("model.json", b"{}"), member("./model.json", b"{1}"))
    assert "expected each name once" in message


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")])
def test_a_file_that_is_also_a_folder_is_refused(room, names):
    assert "expected a model.tar.gz" in refusal(room, *(member(name, b"x") for name in names))


def test_a_file_of_ten_terabytes_is_refused_before_a_byte_of_it_is_read(room):
    huge = tarfile.TarInfo("weights.safetensors")
    huge.size = 10 * 1024**4
    with gzip.open(room / "model.tar.gz", "wb") as packed:
        packed.write(huge.tobuf(tarfile.GNU_FORMAT))
    assert "'weights.safetensors' makes it 10995116277760" in refusal(room)


def test_a_sparse_file_of_ten_terabytes_is_refused(room):
    huge = tarfile.TarInfo("weights.safetensors")
    huge.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "weights.safetensors",
        "GNU.sparse.realsize": str(10 * 1024**4),
    }
    content = b"1\n10995116277759\n1\n".ljust(512, b"\0") + b"x".ljust(512, b"\0")
    huge.size = len(content)
    with gzip.open(room / "model.tar.gz", "wb") as packed:
        packed.write(huge.tobuf(tarfile.PAX_FORMAT) + content)
    assert "got a sparse file" in refusal(room)


def old_sparse_header(num_extensions):
    """Return the header of GNU's first sparse format, and its extensions."""
    header = bytearray(tarfile.TarInfo("weights.safetensors").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"S"
    header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    entry = b"%011o\0%011o\0" % (512, 512)
    return bytes(header) + (entry * 21 + b"\1").ljust(512, b"\0") * num_extensions


def test_a_sparse_file_of_endless_headers_is_refused_before_they_are_held(room):
    with gzip.open(room / "model.tar.gz", "wb", 1) as packed:
        packed.write(old_sparse_header(200_000))
    assert "expected headers of at most" in refusal(room)


def test_a_header_extension_of_a_gigabyte_is_refused_before_it_is_held(room):
    extension = tarfile.TarInfo("x")
    extension.type, extension.size = tarfile.XHDTYPE, 1 << 30
    with gzip.open(room / "model.tar.gz", "wb") as packed:
        packed.write(extension.tobuf(tarfile.USTAR_FORMAT))
        packed.write(bytes(MIB))
    assert "expected headers of at most" in refusal(room)


def test_extensions_of_extensions_are_refused(room):
    extension = tarfile.TarInfo("x")
    extension.type, extension.size = tarfile.XHDTYPE, 512
    with gzip.open(room / "model.tar.gz", "wb") as packed:
        packed.write(
            (extension.tobuf(tarfile.USTAR_FORMAT) + b"9 a=b c\n\n".ljust(512, b"\0")) * 9000
        )
    refusal(room)


def test_a_million_members_are_refused_after_the_first_thousand(room):
    some = b"".join(tarfile.TarInfo(f"{number}").tobuf() for number in range(2000))
    with gzip.open(room / "model.tar.gz", "wb", 1) as packed:
        for _ in range(500):
            packed.write(some)
    assert "expected at most 1000 members; got more" in refusal(room)


def test_a_file_that_expands_beyond_reason_is_refused(room):
    message = refusal(room, member("weights.safetensors", bytes(64 * MIB)))
    assert "bytes unpacked, for its packed size" in message


def test_a_small_file_may_be_as_repetitive_as_it_likes(tmp_path):
    write(tmp_path / "model.tar.gz", member("model.json", bytes(MIB)))
    unpack(tmp_path / "model.tar.gz", tmp_path / "into")
    assert files(tmp_path / "into") == {"model.json": bytes(MIB)}


def test_what_follows_the_last_member_is_bounded(room):
    write(room / "model.tar.gz", member("model.json", b"{}"))
    with gzip.open(room / "model.tar.gz", "ab", 1) as packed:
        packed.write(bytes(2 * MIB))
    assert "expected nothing after the last member" in refusal(room)


@pytest.mark.parametrize("kept", [0, 1, 9, 40, -30, -9, -1])
def test_an_archive_that_is_cut_short_is_refused(room, kept):
    path = write(room / "model.tar.gz", member("model.json", bytes(range(256)) * 40))
    path.write_bytes(path.read_bytes()[:kept])
    assert "expected a model.tar.gz" in refusal(room)


def test_a_wrong_checksum_is_refused(room):
    path = write(room / "model.tar.gz", member("model.json", b"{}"))
    damaged = bytearray(path.read_bytes())
    damaged[-8] ^= 1
    path.write_bytes(damaged)
    assert "expected a model.tar.gz" in refusal(room)


@pytest.mark.parametrize(
    "content", [b"no archive", gzip.compress(b"no tar" * 200, mtime=0), bytes(1024)]
)
def test_what_is_no_archive_is_refused(room, content):
    (room / "model.tar.gz").write_bytes(content)
    assert "expected a model.tar.gz" in refusal(room)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.data())
def test_a_damaged_archive_is_unpacked_or_refused_and_writes_nothing_outside(data):
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        (room / "precious").write_bytes(b"mine")
        plain = bytearray(tar(member("model.json", b"{}"), member("a/b", b"x"), member("c", b"y")))
        for _ in range(data.draw(st.integers(1, 4))):
            plain[data.draw(st.integers(0, 2559))] = data.draw(st.integers(0, 255))
        (room / "model.tar.gz").write_bytes(gzip.compress(plain, 1))
        with contextlib.suppress(UserError):
            unpack(room / "model.tar.gz", room / "into")
        inside = {path.name for path in room.iterdir()} - {"into"}
        assert inside == {"precious", "model.tar.gz"}
        assert not any(path.is_symlink() for path in room.rglob("*"))
        assert (room / "precious").read_bytes() == b"mine"


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.data())
def test_a_damaged_header_with_its_checksum_mended_is_unpacked_or_refused(data):
    with tempfile.TemporaryDirectory() as folder:
        plain = bytearray(tar(member("model.json", b"{}"), member("a", b"x")))
        for _ in range(data.draw(st.integers(1, 3))):
            plain[data.draw(st.integers(1024, 1024 + 511))] = data.draw(st.integers(0, 255))
        plain[1172:1180] = b" " * 8
        plain[1172:1180] = b"%06o\0 " % sum(plain[1024:1536])
        room = Path(folder)
        (room / "model.tar.gz").write_bytes(gzip.compress(plain, 1))
        with contextlib.suppress(UserError):
            unpack(room / "model.tar.gz", room / "into")
        assert {path.name for path in room.iterdir()} <= {"into", "model.tar.gz"}
        assert all(path.is_file() or path.is_dir() for path in room.rglob("*"))


def test_an_empty_archive_is_refused(room):
    (room / "model.tar.gz").write_bytes(gzip.compress(bytes(10240)))
    assert "the archive is empty" in refusal(room)


def test_a_folder_that_exists_is_left_alone(model, tmp_path):
    pack(model, tmp_path / "model.tar.gz")
    with pytest.raises(UserError, match="expected a place for a new folder"):
        unpack(tmp_path / "model.tar.gz", model)
    assert files(model) == FILES


def test_a_disk_without_room_is_the_machines_fault(room, monkeypatch):
    path = write(room / "model.tar.gz", member("model.json", b"{}" * 9))
    usage = (100, 90, 10)
    monkeypatch.setattr(
        archive.shutil, "disk_usage", lambda _: archive.shutil._ntuple_diskusage(*usage)
    )
    with pytest.raises(PlatformError, match="18 bytes does not fit; make room"):
        unpack(path, room / "into")
    assert not (room / "into").exists()


def test_a_model_folder_is_used_where_it_lies(model):
    with model_folder(model) as folder:
        assert folder == model


def test_an_archive_is_a_model_folder_for_a_while(model, tmp_path):
    pack(model, tmp_path / "model.tar.gz")
    with model_folder(tmp_path / "model.tar.gz") as folder:
        assert files(folder) == FILES
    assert not folder.parent.exists()


def test_an_archive_that_is_refused_leaves_no_folder(room, monkeypatch):
    monkeypatch.setattr(archive.tempfile, "tempdir", str(room))
    write(room / "model.tar.gz", member("../precious", b"theirs"))
    with pytest.raises(UserError), model_folder(room / "model.tar.gz"):
        pass
    assert sorted(path.name for path in room.iterdir()) == ["model.tar.gz", "precious"]
