"""IP Insights channels: headerless CSV files of an entity and an IPv4 address a line."""

import csv
import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path


def write_pairs(path: Path, pairs: Iterable[Sequence[str]]) -> None:
    """Write a CSV file whole or not at all, its folder too, and print what it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # readers of a channel skip names with a leading dot, so a broken run leaves nothing to read
    partial = path.with_name(f".{path.name}.partial")
    count = 0
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for pair in pairs:
            writer.writerow(pair)
            count += 1
    partial.replace(path)
    print(f"{path}: {count} pairs")


def read_table(source: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a header, plain or gzipped, from a folder."""
    path = source / name
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        message = (
            f"{path}: could not be read ({error}); pass --source the folder that holds {name}."
        )
        raise SystemExit(message) from error
    if not rows:
        raise SystemExit(f"{path}: expected rows below a header; got none. Fetch the file anew.")
    return rows
