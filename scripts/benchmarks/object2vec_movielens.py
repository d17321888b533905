"""Object2Vec on MovieLens 100k, prepared, trained and scored as a user does, beside published figures.

`folds` is 5-fold cross-validation as scikit-surprise does it (SVD 0.934 there), `tenth` a random tenth as
in AWS's notebook (MSE about 0.91), `u1` the source's first split, `liked` the notebook's second task
(accuracy about 0.704). No early stopping: set `epochs` to what a validation channel says.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCORE = re.compile(r"#quality_metric: host=\S+, test (\S+) <\w+>=(\S+)")
TASKS: dict[str, tuple[list[str], ...]] = {
    "folds": tuple(["--parts", "5", "--part", str(part)] for part in range(5)),
    "tenth": (["--parts", "10", "--part", "0"],),
    "u1": (["--split", "u1"],),
    "liked": (["--liked", "--parts", "10", "--part", "0"],),
}
LIKED = {
    "output_layer": "softmax",
    "mlp_dim": "1024",
    "mlp_activation": "relu",
    "mini_batch_size": "2048",
}
"""What the notebook changes for its second task."""


def scores_of(
    source: Path, split: Sequence[str], changes: dict[str, str], folder: Path
) -> dict[str, float]:
    """Return the test metrics of one job."""
    data = folder / "data"
    prepare: list[str | Path] = [
        sys.executable,
        ROOT / "scripts/prepare/movielens_100k.py",
        "--source",
        source,
    ]
    subprocess.run([*prepare, "--output", data, *split], check=True, stdout=subprocess.DEVNULL)
    settings = {f"hyperparameters.{name}": value for name, value in changes.items()}
    for channel in ("train", "test", "auxiliary"):
        settings[f"channels.{channel}.path"] = str(data / channel)
    settings["channels.validation.path"] = str(
        folder / "none"
    )  # absent: only the last epoch counts
    settings["output"] = str(folder / "run")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "sm_dl",
        "train",
        "--config",
        ROOT / "configs/object2vec.yaml",
    ]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    finished = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return {name: float(value) for name, value in SCORE.findall(finished.stdout)}


def main() -> None:
    """Run the tasks and print a line for each job, and the means."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help="folder of u.data, plain or .gz")
    parser.add_argument("--task", choices=TASKS, default="folds")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    changes = dict(one.split("=", 1) for one in options.set)
    if options.task == "liked":
        changes = {**LIKED, **changes}
    found = []
    for split in TASKS[options.task]:
        with tempfile.TemporaryDirectory() as folder:
            scores = scores_of(options.source, split, changes, Path(folder))
        if "mean_squared_error" in scores:
            scores["rmse"] = scores["mean_squared_error"] ** 0.5
        print(json.dumps({"task": options.task, "split": split, **scores}), flush=True)
        found.append(scores)
    means = {name: sum(one[name] for one in found) / len(found) for name in found[0]}
    print(json.dumps({"task": options.task, "mean": means}))


if __name__ == "__main__":
    main()
