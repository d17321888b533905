"""`model.tar.gz`: packed from a model folder, and unpacked from one that nobody vouches for."""

import gzip
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sm_dl.errors import PlatformError, UserError, shown
from sm_dl.files import TEMPORARY_SUFFIX, renamed_when_done

MAX_BYTES = 1 << 35
"""Of all files together, unpacked: 32 GiB."""
MAX_MEMBERS = 1000
MAX_NAME_CHARACTERS = 200
MAX_EXPANSION = 200
"""Bytes out of one packed byte. Weights hardly shrink, and JSON some ten times."""
FREE_BYTES = 1 << 24
"""Unpacked bytes that are never refused, whatever they expand from."""
MAX_HEADER_BYTES = 1 << 16
"""Of one member. `tarfile` takes a header's word for how long its extensions are, and holds them."""
MAX_TRAILING_BYTES = 1 << 20
"""After the last member: tar pads with zeros up to a block of some KB."""
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*", re.ASCII)
"""One step of a name: no hidden file, no blank, nothing a shell or a path reads otherwise."""
CODE_SUFFIXES = frozenset((".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".bin"))
"""Of files that are pickles, or are read by programs that would unpickle them."""
SERVICE_SUFFIX = ".params"
"""Of MXNet's weights, which the archives of the service hold."""
FILE_MODE = 0o644


@contextmanager
def model_folder(path: Path) -> Iterator[Path]:
    """Yield the model folder at `path`; an archive is unpacked, and removed again at the end.

    What is wrong with an unpacked file is told of the archive.

    Raises:
        UserError: The archive is none, or holds what a model has not.
        PlatformError: There is no room for it.
    """
    if not path.is_file():
        yield path
        return
    try:
        room = tempfile.TemporaryDirectory(prefix="sm_dl-model-")
    except OSError as error:
        raise PlatformError(f"{path}: cannot be unpacked ({error.strerror}); set TMPDIR.") from None
    with room as folder:
        unpacked = Path(folder) / "model"
        unpack(path, unpacked)
        try:
            yield unpacked
        except UserError as error:
            if str(unpacked) not in str(error):
                raise
            raise UserError(str(error).replace(str(unpacked), str(path))) from error


def unpack(path: Path, into: Path) -> None:
    """Unpack a `model.tar.gz` into a folder that does not exist yet, whole or not at all.

    Only files and folders of plain relative names are taken, as data: owner, mode and time are not.

    Raises:
        UserError: The archive is damaged, or holds anything else; nothing is left of it.
        PlatformError: The folder cannot be written.
    """
    try:
        into.mkdir(parents=True)
    except OSError as error:
        raise UserError(
            f"{into}: expected a place for a new folder; got one that cannot be made "
            f"({error.strerror})."
        ) from None
    try:
        with path.open("rb") as file:
            _unpack(file, path.name, into)
    except BaseException as error:
        shutil.rmtree(into, ignore_errors=True)
        explained = _explained(error, path)
        if explained is error:
            raise
        raise explained from error


def pack(folder: Path, path: Path) -> None:
    """Write the contents of a folder as a `model.tar.gz`, whole or not at all.

    The same files give the same bytes where zlib is the same: sorted, without times, owners, modes.

    Raises:
        UserError: The folder holds what `unpack` would refuse.
        PlatformError: The archive cannot be written.
    """
    members = _members(folder)
    try:
        with (
            renamed_when_done(path) as aside,
            aside.open("wb") as raw,
            gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for name, file in members.items():
                member = tarfile.TarInfo(name)
                member.mode = FILE_MODE
                with file.open("rb") as content:
                    member.size = os.fstat(content.fileno()).st_size
                    archive.addfile(member, content)
    except OSError as error:
        raise PlatformError(f"{path}: cannot be written ({error.strerror or error}).") from error


def _members(folder: Path) -> dict[str, Path]:
    """Return the files of a model folder by their names in an archive, sorted."""
    members = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.name.endswith(TEMPORARY_SUFFIX) or (file.is_dir() and not file.is_symlink()):
            continue
        _check_name(name, str(folder))
        if file.is_symlink() or not file.is_file():
            raise UserError(f"{file}: expected a file; got a link or a device. Remove it.")
        members[name] = file
    if not members:
        raise UserError(f"{folder}: expected a model folder with files; found none.")
    return members


def _unpack(file: BinaryIO, name: str, into: Path) -> None:
    stream = _Bounded(file, name)
    max_bytes = min(MAX_BYTES, max(FREE_BYTES, MAX_EXPANSION * os.fstat(file.fileno()).st_size))
    seen: set[str] = set()
    size_bytes = 0
    with tarfile.open(fileobj=stream, mode="r:") as archive:  # type: ignore[call-overload]
        # Python before 3.11.4 has no filters: `_checked` alone is what it relies on
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _path: member)
        for count, member in enumerate(archive, start=1):
            if count > MAX_MEMBERS:
                raise UserError(f"{name}: expected at most {MAX_MEMBERS} members; got more.")
            plain = _checked(member, name)
            if plain in seen:
                raise UserError(f"{name}: expected each name once; got {shown(member.name)} twice.")
            seen.add(plain)
            size_bytes += member.size
            if size_bytes > max_bytes:
                raise UserError(
                    f"{name}: expected at most {max_bytes} bytes unpacked, for its packed size; "
                    f"{shown(member.name)} makes it {size_bytes}."
                )
            if member.size > shutil.disk_usage(into).free:
                raise PlatformError(
                    f"{into}: {shown(member.name)} of {member.size} bytes does not fit; make room."
                )
            stream.allow(member.size)
            archive.extract(member, into, set_attrs=False)
            stream.allow(MAX_HEADER_BYTES)
    if not seen - {"."}:
        raise UserError(f"{name}: expected the files of a model; the archive is empty.")
    stream.finish()


def _checked(member: tarfile.TarInfo, archive: str) -> str:
    """Return the plain name of a member that may be unpacked."""
    place = f"{archive}: member {shown(member.name)}"
    is_sparse = member.issparse() or any(key.startswith("GNU.sparse") for key in member.pax_headers)
    if is_sparse or not (member.isfile() or member.isdir()):
        raise UserError(
            f"{place}: expected a file or a folder; got {_kind(member, is_sparse=is_sparse)}. "
            "Pack the contents of the model folder alone."
        )
    if member.isfile() and member.mode & (stat.S_ISUID | stat.S_ISGID):
        raise UserError(f"{place}: expected a plain file; got one with setuid or setgid. Drop it.")
    name = member.name.removeprefix("./").rstrip("/") or "."
    if not (name == "." and member.isdir()):
        _check_name(name, archive)
    return name


def _check_name(name: str, place: str) -> None:
    is_plain = all(PLAIN_NAME.fullmatch(step) for step in name.split("/"))
    if len(name) > MAX_NAME_CHARACTERS or not is_plain:
        raise UserError(
            f"{place}: expected plain relative names of at most {MAX_NAME_CHARACTERS} characters; "
            f"got {shown(name)}. Pack the contents of the model folder alone."
        )
    if PurePosixPath(name.lower()).suffix in CODE_SUFFIXES:
        raise UserError(
            f"{place}: {shown(name)} may hold code, as pickles do, and is never loaded. Pack the "
            "model folder that sm_dl train has written: model.json and weights.safetensors."
        )
    if PurePosixPath(name.lower()).suffix == SERVICE_SUFFIX:
        raise UserError(
            f"{place}: expected the model folder that sm_dl train has written: model.json and "
            f"weights.safetensors; got {shown(name)}, weights of MXNet, as the service's own archives hold "
            "them. The service's networks differ from those here: train the model anew."
        )


def _kind(member: tarfile.TarInfo, *, is_sparse: bool) -> str:
    if is_sparse:
        return "a sparse file"
    if member.issym():
        return "a symbolic link"
    if member.islnk():
        return "a hard link"
    return "a device or FIFO" if member.isdev() else "something else"


def _explained(error: BaseException, path: Path) -> BaseException:
    """Return the error in our words, whatever the readers below raised."""
    damaged = EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError, RecursionError, ValueError
    at_odds = IsADirectoryError, NotADirectoryError, FileExistsError  # a file and a folder in one
    if isinstance(error, (*damaged, *at_odds)):
        return UserError(
            f"{path}: expected a model.tar.gz; it is damaged, cut short or something else "
            f"({str(error)[:200]})."
        )
    if isinstance(error, OSError):
        return PlatformError(f"{path}: cannot be unpacked ({error.strerror or error}).")
    return error


class _Bounded:
    """A gunzipped stream for `tarfile`, which reads, tells and seeks; here it only goes forward."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._content = gzip.GzipFile(fileobj=file, mode="rb")
        self._name = name
        self._left_bytes = MAX_HEADER_BYTES

    def allow(self, size_bytes: int) -> None:
        """Let no more than this be read from here on."""
        self._left_bytes = size_bytes

    def read(self, size: int) -> bytes:
        if size > self._left_bytes:
            raise UserError(
                f"{self._name}: expected headers of at most {MAX_HEADER_BYTES} bytes for each "
                "member; got more. Pack the model folder anew."
            )
        self._left_bytes -= size
        return self._content.read(size)

    def tell(self) -> int:
        return self._content.tell()

    def seek(self, position: int) -> int:
        if not 0 <= position - self.tell() < tarfile.BLOCKSIZE:  # only over padding
            raise UserError(f"{self._name}: expected members one after the other; got a jump.")
        return self._content.seek(position)

    def finish(self) -> None:
        """Read what follows the last member, so that the checksum at the end is compared."""
        for _ in range(MAX_TRAILING_BYTES // tarfile.BLOCKSIZE):
            if not self._content.read(tarfile.BLOCKSIZE):
                return
        raise UserError(f"{self._name}: expected nothing after the last member; got more.")
