"""`model.json`: which algorithm wrote an artifact, and every fact it learnt from the data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from sm_dl import __version__
from sm_dl.errors import UserError, shown
from sm_dl.files import write_atomically

FILE_NAME = "model.json"
FORMAT = 1
"""Raised when an older program could not read what a newer one writes."""
MAX_BYTES = 1 << 26


@dataclass(frozen=True)
class Metadata:
    """The readable half of an artifact; the tensors lie beside it."""

    algorithm: str
    facts: Mapping[str, object]
    """What the algorithm needs to rebuild itself: hyperparameters, sizes, vocabulary, scales."""
    version: str = __version__
    """Of the program that wrote it."""


def write_metadata(folder: Path, metadata: Metadata) -> None:
    """Write `model.json`, whole or not at all."""
    document = {
        "format": FORMAT,
        "algorithm": metadata.algorithm,
        "version": metadata.version,
        "facts": dict(metadata.facts),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / FILE_NAME, orjson.dumps(document, option=orjson.OPT_INDENT_2))


def read_metadata(folder: Path) -> Metadata:
    """Return what `model.json` says.

    Raises:
        UserError: The folder holds no artifact, or one that this version cannot read.
    """
    path = folder / FILE_NAME
    try:
        with path.open("rb") as file:
            document = orjson.loads(file.read(MAX_BYTES))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); expected the model folder of a finished job."
        ) from None
    except orjson.JSONDecodeError as error:
        raise UserError(f"{path}: expected JSON; {error}.") from None
    match document:
        case {"format": int(version), "algorithm": str(algorithm), "facts": dict(facts)} if (
            version > 0
        ):
            if version > FORMAT:
                raise UserError(
                    f"{path}: artifact format {version} is newer than {FORMAT}, the newest this "
                    f"version ({__version__}) reads; update sm_dl."
                )
            return Metadata(algorithm, facts, str(document.get("version")))
    raise UserError(f"{path}: expected format, algorithm and facts; got {shown(document)}.")
