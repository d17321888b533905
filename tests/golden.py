"""The golden files: written by the original libraries, with every value listed beside them.

They lie beside the checkout; a test that reads them is skipped where they do not.
"""

import json
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[2] / "shared" / "data" / "golden"
RECORD_FILES = sorted(path.name for path in GOLDEN.glob("*.rec*"))
FILES = sorted(path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*") if path.is_file())
DATA = GOLDEN.parent

needs_golden = pytest.mark.skipif(not FILES, reason=f"the golden files are not at {GOLDEN}")


def content(name: str) -> bytes:
    """Return the bytes of a golden file."""
    return (GOLDEN / name).read_bytes()


def expected(name: str) -> dict[str, Any]:
    """Return the values listed in a golden JSON file."""
    listed: dict[str, Any] = json.loads(content(f"expected_{name}.json"))
    return listed
