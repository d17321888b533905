"""DeepAR channels as JSON Lines, and the comma-separated sources they are made from.

A channel is a folder with one file, `series.json.gz`: one JSON object a line, with `start`,
`target` and where given `cat` and `id` (a field the algorithm ignores, for the reader's eye).
Numbers keep the digits of their source: they pass through as text and are never made floats.
The same series give the same bytes, since the compressed file carries neither time nor name.
"""

import csv
import gzip
import http.client
import io
import json
import re
import urllib.request
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
"""A number as JSON spells it (RFC 8259, section 6), so that a source's cell can be copied."""
MISSING = frozenset({"", "NA", "NaN", "nan"})
GZIP_MAGIC = b"\x1f\x8b"
DOWNLOAD_TIMEOUT_S = 60.0
UNREADABLE = (OSError, EOFError, ValueError, csv.Error, zlib.error, http.client.HTTPException)


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One time series of a channel."""

    start: str
    """Time of the first point, `YYYY-MM-DD HH:MM:SS`."""
    target: Sequence[str]
    """The points as cells of the source; a cell of `MISSING` is a missing value."""
    cat: Sequence[int] = ()
    """Categories, each counted from 0; left out of the record when empty."""
    id: str = ""
    """The name of the series in its source; left out of the record when empty."""

    def json_line(self) -> str:
        """Return the record as one line of JSON, line end included."""
        points = ", ".join("null" if cell in MISSING else cell for cell in self.target)
        fields = [f'"start": {json.dumps(self.start)}', f'"target": [{points}]']
        if self.cat:
            fields.append(f'"cat": {json.dumps(list(self.cat))}')
        if self.id:
            fields.append(f'"id": {json.dumps(self.id)}')
        return "{" + ", ".join(fields) + "}\n"


def read_rows(name: str, *, source: Path | None, url: str | None = None) -> list[list[str]]:
    """Return the non-empty rows of a comma-separated file, from a folder or else from the web.

    Args:
        name: File name without `.gz`; the folder may hold it compressed or not.
        source: The folder that holds the file, or None to download it.
        url: Where the file is public; not asked for when `source` is given.
    """
    try:
        content = _download(str(url)) if source is None else _file_in(source, name).read_bytes()
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
        rows = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))) if row]
    except UNREADABLE as error:
        message = f"{source or url}: could not read {name} ({error}); "
        raise SystemExit(message + f"pass --source the folder that holds {name}.") from error
    if not rows:
        raise SystemExit(f"{name}: expected comma-separated rows, got none; fetch the file anew.")
    return rows


def check_numbers(cells: Iterable[str], where: str) -> None:
    """Stop with the first cell that is neither a JSON number nor a missing value."""
    for cell in cells:
        if cell not in MISSING and not JSON_NUMBER.fullmatch(cell):
            raise SystemExit(f"{where}: expected a number or nothing, got {cell!r}; correct it.")


def write_channel(folder: Path, series: Iterable[Series]) -> None:
    """Write `folder`/series.json.gz whole or not at all, and print what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "series.json.gz"
    # readers of a channel skip names with a leading dot, so a broken run leaves nothing to read
    partial = folder / f".{path.name}.partial"
    num_series = num_points = 0
    with partial.open("wb") as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed:
        for one in series:
            packed.write(one.json_line().encode())
            num_series += 1
            num_points += len(one.target)
    partial.replace(path)
    print(f"{path}: {num_series} series, {num_points} points")


def _file_in(source: Path, name: str) -> Path:
    """Return the path of `name` or `name`.gz in the folder."""
    plain, packed = source / name, source / f"{name}.gz"
    return packed if packed.exists() and not plain.exists() else plain


def _download(url: str) -> bytes:
    """Return the bytes behind a public address."""
    # S310 asks to check the scheme: every address is an https constant of these scripts
    with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_S) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content
