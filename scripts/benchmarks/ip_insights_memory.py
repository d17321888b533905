#!/usr/bin/env python3
"""Train on a file of millions of pairs and print the most memory that took, beside that of fewer rows.

python scripts/benchmarks/ip_insights_memory.py --rows 10000000 --folder /dev/shm/ip_insights
"""

import argparse
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

ROWS_AT_ONCE = 500_000
NUM_ENTITIES = 100_000
CONFIG = """
algorithm: ip_insights
hyperparameters: {{num_entity_vectors: 200000, vector_dim: 16, epochs: 1, mini_batch_size: 100000}}
channels: {{train: {{path: {folder}/train}}}}
output: {folder}/run
"""


def write_rows(path: Path, num_rows: int) -> None:
    """Write so many pairs of users in networks of their own."""
    random = np.random.default_rng(0)
    with path.open("w") as file:
        for first in range(0, num_rows, ROWS_AT_ONCE):
            count = min(ROWS_AT_ONCE, num_rows - first)
            users = random.integers(0, NUM_ENTITIES, count)
            low = random.integers(0, 256, (count, 2))
            file.writelines(
                f"user_{user},{user % 223 + 1}.{user // 223 % 256}.{one}.{two}\n"
                for user, one, two in zip(users.tolist(), *low.T.tolist(), strict=True)
            )


def main() -> None:
    """Print seconds and peak memory of a whole job."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 10_000_000])
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    for num_rows in options.rows:
        shutil.rmtree(options.folder, ignore_errors=True)
        (options.folder / "train").mkdir(parents=True)
        write_rows(options.folder / "train" / "rows.csv", num_rows)
        config = options.folder / "job.yaml"
        config.write_text(CONFIG.format(folder=options.folder))
        command = [sys.executable, "-m", "sm_dl", "train", "--config", str(config)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"{num_rows} rows: {peak.ru_maxrss / 1024:.0f} MiB resident at most, "
            f"{peak.ru_utime + peak.ru_stime:.0f} s of CPU time so far",
            flush=True,
        )
    shutil.rmtree(options.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
