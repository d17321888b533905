"""What text files hold: JSON in its forms, lists, indices, tables, or just text."""

from collections import Counter

import orjson

from sm_dl.data.annotations import MIN_VECTOR, boxes_from_vector
from sm_dl.data.lst import line_from_bytes
from sm_dl.errors import UserError, shown
from sm_dl.inspection.histogram import counted, histogram

NUM_FIRST = 3
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
NUM_LINES = 1000
"""Of a table, looked at to tell what it is."""
CONTROL = set(range(32)) - set(b"\t\n\r\f\x1b")


def look_at_text(content: bytes, name: str, *, is_whole: bool) -> list[str]:
    """Return what the begin of a text file says; bytes that are no text are named as such."""
    del name  # nothing here is refused
    if CONTROL & set(content[:4096]):
        return [f"unknown bytes, which begin {shown(content[:16])}"]
    lines = [line for line in content.splitlines() if line.strip()]
    if not is_whole and len(lines) > 1:
        del lines[-1]  # it may be cut
    if not lines:
        return ["blank text"]
    number = counted(len(lines), "line") if is_whole else f"more than {counted(len(lines), 'line')}"
    for look in (_json_lines, _json, _list, _index, _sparse_rows, _table):
        found = look(lines, content if is_whole else b"")
        if found:
            return [f"{found[0]}, {number}", *found[1:]]
    if content.lstrip()[:1] in (b"{", b"["):
        number = f"{number}, going by its begin" if not is_whole else f"{number}, malformed"
        return [f"JSON, {number}", *_first(lines)]
    return [f"text, {number}", *_first(lines)]


def _first(lines: list[bytes]) -> list[str]:
    shortened = [shown(line.decode(errors="replace")) for line in lines[:NUM_FIRST]]
    return ["first lines:", *(f"  {line}" for line in shortened)]


def _json_lines(lines: list[bytes], _: bytes) -> list[str] | None:
    keys: Counter[object] = Counter()
    for line in lines[:NUM_LINES]:
        value = _parsed(line)
        if not isinstance(value, dict):
            return None
        keys.update(value.keys())
    if len(lines) == 1 and "annotations" in keys:
        return None
    references = [key for key in keys if str(key).endswith("-ref")]
    title = f"augmented manifest (references: {', '.join(map(str, references))})"
    kind = title if references else "JSON Lines"
    return [kind, "lines by key:", *histogram(keys), *_first(lines)]


def _json(_: list[bytes], content: bytes) -> list[str] | None:
    value = _parsed(content)
    if isinstance(value, dict):
        kind = "JSON annotation of boxes" if "annotations" in value else "JSON object"
        keys = ", ".join(shown(key) for key in list(value)[:10])
        return [kind, f"{len(value)} keys: {keys}{', ...' if len(value) > 10 else ''}"]
    if isinstance(value, list):
        manifest = bool(value) and isinstance(value[0], dict) and "prefix" in value[0]
        kind = "manifest of objects below a prefix" if manifest else "JSON list"
        return [kind, f"{len(value)} entries; the first: {shown(value[0] if value else None)}"]
    return None


def _list(lines: list[bytes], _: bytes) -> list[str] | None:
    try:
        parsed = [line_from_bytes(line, "") for line in lines[:NUM_LINES]]
    except UserError:
        return None
    if not all(line.path.lower().endswith(IMAGE_SUFFIXES) for line in parsed):
        return None
    counts: Counter[object] = Counter()
    if all(len(line.labels) == 1 for line in parsed):
        for line in parsed:
            counts[float(line.labels[0])] += 1
        return ["list of images with a class each", "by class:", *histogram(counts), *_first(lines)]
    try:
        for line in parsed:
            if len(line.labels) >= MIN_VECTOR:
                counts.update(boxes_from_vector(line.labels, "").class_ids.tolist())
        if counts:
            kind = "list of images with boxes"
            return [kind, "boxes by class:", *histogram(counts), *_first(lines)]
    except UserError:
        pass
    return ["list of images with several labels each", *_first(lines)]


def _index(lines: list[bytes], _: bytes) -> list[str] | None:
    for line in lines[:NUM_LINES]:
        fields = line.strip().split(b"\t")
        if len(fields) != 2 or not all(field.isdigit() for field in fields):
            return None
    return ["index of a RecordIO file: id and byte offset", *_first(lines)]


def _sparse_rows(lines: list[bytes], _: bytes) -> list[str] | None:
    for line in lines[:NUM_LINES]:
        label, *pairs = line.split()
        if not _is_number(label) or not all(
            key.isdigit() and _is_number(value) for key, _, value in _split(pairs)
        ):
            return None
    if all(b":" not in line for line in lines[:NUM_LINES]):
        return None
    return ["sparse rows as text (svmlight): label, then column:value", *_first(lines)]


def _split(pairs: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
    return [pair.partition(b":") for pair in pairs]


def _table(lines: list[bytes], _: bytes) -> list[str] | None:
    for separator, title in ((b",", "comma"), (b"\t", "tab"), (b" ", "blank")):
        widths = {line.count(separator) for line in lines[:NUM_LINES]}
        if len(widths) == 1 and (width := widths.pop()) and (len(lines) > 1 or separator != b" "):
            has_header = not any(_is_number(field) for field in lines[0].split(separator))
            head = "with a header" if has_header else "without a header"
            return [f"table of {width + 1} columns, {title}-separated, {head}", *_first(lines)]
    return None


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _parsed(text: bytes) -> object:
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value
