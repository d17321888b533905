"""A stream longer than the bound goes through a pipe without filling the memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmarks" / "data_pipe_memory.py"
STREAM_MIB = 256


@pytest.mark.parametrize("reader", ["csv columns", "json lines"])
def test_memory_stays_far_below_the_length_of_the_stream(reader: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--reader", reader, "--mib", str(STREAM_MIB)],
        capture_output=True,
        check=True,
        cwd=SCRIPT.parents[2],
    )
    figures = json.loads(done.stdout)
    assert figures["records"] > 0
    assert figures["peak_resident_mib"] < STREAM_MIB / 1.5
