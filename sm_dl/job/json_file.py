"""The platform's JSON files, read as what strangers may have written: bounded, strict, by name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from sm_dl.errors import PlatformError, UserError, shown

MAX_FILE_BYTES = 1 << 22
"""The service's own limits come to 1.7 MB: 100 hyperparameters of 2,756 characters, escaped."""


def read_object(path: Path) -> Mapping[str, Any]:
    """Return the object a file holds; a file that is absent holds an empty one.

    Raises:
        UserError: It is too long, no JSON, no object, or names a key twice.
        PlatformError: It is there and cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise PlatformError(f"{path}: cannot be read ({error.strerror}).") from None
    if len(content) > MAX_FILE_BYTES:
        raise UserError(f"{path}: expected at most {MAX_FILE_BYTES} bytes; got more.")
    try:
        value = orjson.loads(content)  # strict, with a limit on depth
    except orjson.JSONDecodeError as error:
        raise UserError(f"{path}: expected JSON; {error}.") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object; got {shown(value)}.")
    try:
        json.loads(content, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: expected JSON; {error}.") from None
    return value


def _without_repeats(pairs: list[tuple[str, object]]) -> None:
    seen = set()
    for name, _ in pairs:
        if name in seen:
            raise ValueError(f"key {shown(name)} appears twice")
        seen.add(name)
