"""Every media type the project speaks, once, and how a header that names one is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

JSON = "application/json"
JSON_LINES = "application/jsonlines"
PARQUET = "application/x-parquet"
CSV = "text/csv"
RECORDIO = "application/x-recordio"
IMAGE, JPEG, PNG = "application/x-image", "image/jpeg", "image/png"
IMAGES = (IMAGE, JPEG, PNG)
"""One file an image; the bytes say which kind it is."""
PLAIN_TEXT = "text/plain"
RECORDIO_PROTOBUF = "application/x-recordio-protobuf"

ALIASES = {
    "json": JSON_LINES,  # a channel's shorthand: a training file is never one JSON document
    "jsonl": JSON_LINES,
    "jsonlines": JSON_LINES,
    "json.gz": JSON_LINES,
    "jsonl.gz": JSON_LINES,
    "parquet": PARQUET,
    "application/x-jsonlines": JSON_LINES,
    "application/jsonlines+gzip": JSON_LINES,
    "application/vnd.apache.parquet": PARQUET,
}
"""Spellings seen in the wild, lower case, and what they mean."""


@dataclass(frozen=True)
class MediaType:
    """A media type without its parameters, and the parameters, both in lower case."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse(header: str) -> MediaType:
    """Return the media type that one header value names, e.g. `text/csv; label_size=0`."""
    name, *parts = header.split(";")
    pairs = (part.partition("=") for part in parts)
    parameters = {
        key.strip().lower(): value.strip().strip('"').lower()
        for key, _, value in pairs
        if key.strip()
    }
    plain = name.strip().lower()
    return MediaType(ALIASES.get(plain, plain), parameters)


def negotiate(accept: str | None, offered: Sequence[str], default: str) -> str | None:
    """Return the offered media type that an Accept header prefers, or None when none fits.

    A type may be offered a second time with a parameter, such as `application/json;verbose=true`;
    a header that names this parameter too gets that one.

    Args:
        accept: The header: one type or a list with quality values (RFC 9110, section 12.5.1).
        offered: What can be answered, best first.
        default: The answer when the header is missing or names any type.
    """
    if accept is None or not accept.strip():
        return default
    ranked = sorted(
        (parse(part) for part in accept.split(",")), key=_quality, reverse=True
    )  # sorted() is stable: of equal qualities the first one named wins
    refused = {media.name for media in ranked if _quality(media) == 0}
    for wanted in ranked:
        if wanted.name in refused:
            continue
        if (found := _best_of_name(wanted, offered)) is not None:
            return found
        if wanted.name.endswith("/*"):
            family = wanted.name.removesuffix("*").removeprefix("*/")
            for candidate in (default, *offered):
                if candidate.startswith(family) and candidate not in refused:
                    return candidate
    return None


def _best_of_name(wanted: MediaType, offered: Sequence[str]) -> str | None:
    """Return the offered type of the wanted name that meets most of its parameters and has no other."""
    asked = wanted.parameters.items()
    fitting = {
        one: len(media.parameters)
        for one in offered
        for media in [parse(one)]
        if media.name == wanted.name and media.parameters.items() <= asked
    }
    return max(fitting, key=lambda one: fitting[one], default=None)


def _quality(media: MediaType) -> float:
    try:
        quality = float(media.parameters.get("q", "1"))
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
