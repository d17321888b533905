"""Bodies that nobody would send, through the one path from body to answer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sm_dl.algorithms.deepar.artifact import write_artifact

ROOT = Path(__file__).parents[3]
EXECUTIONS = 1500


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "facts", [{}, {"cardinality": (3,), "num_dynamic": 1}], ids=["plain", "all"]
)
def test_mutated_bodies_are_answered_or_refused_and_nothing_else(
    make_predictor, tmp_path, facts, seed
):
    write_artifact(tmp_path, make_predictor(**facts), {})
    script = ROOT / "scripts" / "benchmarks" / "serving_fuzz.py"
    options = ["--model", tmp_path, "--executions", str(EXECUTIONS), "--seed", str(seed)]
    done = subprocess.run(
        [sys.executable, script, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"{EXECUTIONS} executions") == 2
