#!/usr/bin/env python3
"""Make what the serving benchmarks ask about: a DeepAR model of the default size, and a request.

One epoch on hourly waves: how fast a model answers does not depend on how well it has learnt.
"""

import argparse
import json
import math
import random
from pathlib import Path

from sm_dl import train

NUM_SERIES, NUM_POINTS, HORIZON, CONTEXT = 50, 500, 24, 72


def main() -> None:
    """Write `<output>/model` and `<output>/request.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("runs/serving"))
    options = parser.parse_args()
    data = options.output / "data"
    data.mkdir(parents=True, exist_ok=True)
    series = [wave(index) for index in range(NUM_SERIES)]
    (data / "train.json").write_text("".join(json.dumps(one) + "\n" for one in series))
    wanted = {
        "freq": "H",  # the peer asks for it
        "num_samples": 100,
        "output_types": ["mean", "quantiles"],
        "quantiles": ["0.1", "0.9"],
    }
    request = {"instances": series[:1], "configuration": wanted}
    (options.output / "request.json").write_text(json.dumps(request))
    config = options.output / "config.yaml"
    config.write_text(
        json.dumps(  # JSON is YAML
            {
                "algorithm": "deepar",
                "hyperparameters": {
                    "time_freq": "H",
                    "prediction_length": HORIZON,
                    "context_length": CONTEXT,
                    "epochs": 1,
                },
                "channels": {"train": {"path": str(data)}},
                "output": str(options.output),
            }
        )
    )
    raise SystemExit(train.main(["--config", str(config)]))


def wave(seed: int) -> dict[str, object]:
    """Return one noisy day and night series."""
    noise = random.Random(seed)  # noqa: S311 - no secret
    target = [
        round(10 + seed + 3 * math.sin(step * math.tau / 24 + seed) + noise.gauss(0, 0.3), 3)
        for step in range(NUM_POINTS)
    ]
    return {"start": "2024-01-01 00:00:00", "target": target}


if __name__ == "__main__":
    main()
