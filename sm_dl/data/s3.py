"""Objects of a bucket, listed by string prefix or by manifest, and streamed without a local copy.

Connection, retries and ranges are s3fs's work. It asks for a block at a time and, after a cut,
for the same block again; each request names the ETag, so an object that changes is noticed.
`AWS_ENDPOINT_URL_S3`, `AWS_MAX_ATTEMPTS` and the like mean what they mean to boto3.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast

import orjson

from sm_dl.errors import PlatformError, UserError, optional_import, shown
from sm_dl.files import is_ignored
from sm_dl.job.job import S3DataType

SCHEME = "s3://"
BLOCK_BYTES = 8 << 20
MAX_BLOCKS = 3
"""Held of an object: the one being read, the next one, and one behind for a reader that seeks."""
BUFFER_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 1 << 27


@dataclass(frozen=True)
class ObjectAddress:
    """Where an object is, and which of its versions the job has begun with."""

    bucket: str
    key: str
    relative_name: str
    """What of the key comes behind the channel's prefix."""
    etag: str | None = None
    """As listed; None when only a manifest names the object."""

    @property
    def uri(self) -> str:
        """Return the address as people write it."""
        return f"{SCHEME}{self.bucket}/{self.key}"


def list_objects(uri: str, data_type: S3DataType, place: str) -> list[ObjectAddress]:
    """Return the objects of a channel, those of a prefix in the order of their keys.

    A prefix is a piece of text, no folder: `s3://b/train` also matches `train_annotation/a.png`
    (contract, section 2). Hidden names, `_SUCCESS` and the markers of empty folders are no data.

    Raises:
        UserError: There is no such bucket or object, access is denied, or a manifest is broken.
        PlatformError: The store does not answer, however often it is asked.
    """
    if data_type == "ManifestFile":
        return _listed_in_manifest(object_at(uri, place), place)
    bucket, key = _split(uri, place)
    with _explained(uri, place):
        found: dict[str, dict[str, Any]] = _store(place).find(bucket, prefix=key, detail=True)
    objects = []
    for details in found.values():
        whole_key = details["name"].partition("/")[2]
        relative = whole_key.removeprefix(key).lstrip("/") or PurePosixPath(whole_key).name
        if details["type"] == "file" and _is_data(whole_key, relative):
            objects.append(ObjectAddress(bucket, whole_key, relative, details["ETag"]))
    return sorted(objects, key=lambda one: one.key.encode())


def object_at(uri: str, place: str) -> ObjectAddress:
    """Return the address of one object, as the `-ref` values of an augmented manifest name it.

    Raises:
        UserError: The text is no such address.
    """
    bucket, key = _split(uri, place)
    return ObjectAddress(bucket, key, key)


def open_object(address: ObjectAddress, name: str) -> BinaryIO:
    """Return the bytes of an object; the stream may be sought.

    Raises:
        UserError: It is missing, denied, or no longer what was listed. Reading raises it too.
        PlatformError: The store does not answer. Reading raises it too.
    """
    with _explained(address.uri, name):
        file = _store(name).open(
            f"{address.bucket}/{address.key}",
            "rb",
            block_size=BLOCK_BYTES,
            cache_type="background",
            cache_options={"maxblocks": MAX_BLOCKS},
        )
        if address.etag not in (None, file.details["ETag"]):
            file.close()
            raise _changed(address.uri, name)
    return cast("BinaryIO", io.BufferedReader(_Object(file, address.uri, name), BUFFER_BYTES))


class _Object(io.RawIOBase):
    """An object's bytes, with sentences for errors."""

    def __init__(self, file: Any, uri: str, name: str) -> None:  # noqa: ANN401 - s3fs has no types
        self._file, self._uri, self._name = file, uri, name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with _explained(self._uri, self._name):
            count = int(self._file.readinto(buffer))
            if count == 0 and len(buffer) and self._file.tell() < self._file.size:
                raise OSError(f"cut at byte {self._file.tell()} of {self._file.size}")
            return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _store(place: str) -> Any:  # noqa: ANN401 - s3fs has no types
    """Return s3fs's connection; one per process, and a new one after a fork."""
    s3fs = optional_import("s3fs", extra="s3", purpose=f"{place}: reading s3://")
    return s3fs.S3FileSystem(use_listings_cache=False)


def _split(uri: str, place: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket:
        raise UserError(
            f"{place}: expected an address such as s3://bucket/prefix; got {shown(uri)}."
        )
    return bucket, key


def _is_data(key: str, relative: str) -> bool:
    return not key.endswith("/") and not any(map(is_ignored, PurePosixPath(relative).parts))


def _listed_in_manifest(manifest: ObjectAddress, place: str) -> list[ObjectAddress]:
    """Return the objects of `[{"prefix": "s3://..."}, "suffix", ...]`, in its order."""
    with open_object(manifest, f"{place}: manifest {manifest.uri}") as stream:
        content = stream.read(MAX_MANIFEST_BYTES + 1)
    wanted = f'{place}: manifest {manifest.uri}: expected [{{"prefix": "s3://..."}}, "suffix", ...]'
    if len(content) > MAX_MANIFEST_BYTES:
        raise UserError(f"{wanted} of at most {MAX_MANIFEST_BYTES} bytes; got more.")
    try:
        entries = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UserError(f"{wanted}; {error.msg} (character {error.pos}).") from None
    head, *suffixes = entries if isinstance(entries, list) and entries else [None]
    prefix = head.get("prefix") if isinstance(head, dict) else None
    if not isinstance(prefix, str):
        raise UserError(f"{wanted}; got {shown(head)} first.")
    objects = []
    for number, suffix in enumerate(suffixes, 2):
        if not isinstance(suffix, str):
            raise UserError(f"{wanted}; got {shown(suffix)} as entry {number}.")
        address = object_at(prefix + suffix, f"{place}: manifest {manifest.uri} entry {number}")
        if _is_data(address.key, suffix):
            objects.append(replace(address, relative_name=suffix))
    return objects


def _changed(uri: str, name: str) -> UserError:
    return UserError(
        f"{name}: {uri} has changed since the job began to read it. "
        "Leave a channel's objects alone while a job runs, and start the job again."
    )


@contextmanager
def _explained(uri: str, name: str) -> Iterator[None]:
    """Turn what s3fs raises, after its retries, into one sentence."""
    expired = optional_import("s3fs.utils", extra="s3", purpose=name).FileExpired
    boto = optional_import("botocore.exceptions", extra="s3", purpose=name)
    http = optional_import("aiohttp", extra="s3", purpose=name)
    try:
        yield
    except expired:
        raise _changed(uri, name) from None
    except FileNotFoundError:
        raise UserError(
            f"{name}: {uri}: there is no such bucket or object. Check the spelling and the region."
        ) from None
    except (PermissionError, boto.NoCredentialsError, boto.PartialCredentialsError) as error:
        raise _denied(uri, name, error) from None
    except (OSError, boto.BotoCoreError, boto.ClientError, http.ClientError, TimeoutError) as error:
        if "Bad Request" in str(error):  # all that S3 says of an expired token to a HEAD request
            raise _denied(uri, name, error) from None
        raise PlatformError(
            f"{name}: {uri}: the object store fails after repeated tries ({_first_line(error)})."
        ) from None


def _denied(uri: str, name: str, error: Exception) -> UserError:
    return UserError(
        f"{name}: {uri}: access is denied ({_first_line(error)}). Bring credentials that are "
        "valid and allow s3:ListBucket and s3:GetObject."
    )


def _first_line(error: Exception) -> str:
    text = str(error.args[-1] if isinstance(error, OSError) and error.args else error)
    return (text.splitlines() or [type(error).__name__])[0].rstrip(".")
