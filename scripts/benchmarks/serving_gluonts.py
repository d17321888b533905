#!/usr/bin/env python3
"""Serve the DeepAR of GluonTS by its own server (gluonts.shell: flask on waitress), as a peer.

Run it with the interpreter of an environment that holds `gluonts[torch]`, flask and waitress
(figures so far: 0.17.0, 3.1.3, 3.0.2), then give its port to serving_deepar.py:

    OMP_NUM_THREADS=1 PEER/bin/python scripts/benchmarks/serving_gluonts.py --run runs/serving

The network has the same sizes as ours and is trained for a few updates on the same series. The
server is made as `python -m gluonts.shell serve` makes it, on the loopback interface.
"""

import argparse
import json
import logging
import tempfile
from pathlib import Path

from gluonts.dataset.common import ListDataset
from gluonts.shell.env import ServeEnv
from gluonts.shell.serve import Settings, make_flask_app
from gluonts.torch.model.deepar import DeepAREstimator

HORIZON, CONTEXT = 24, 72


def main() -> None:
    """Train, and serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/serving"))
    parser.add_argument("--port", type=int, default=8123)
    options = parser.parse_args()

    import waitress  # noqa: PLC0415 - of the peer's environment only

    lines = (options.run / "data" / "train.json").read_text().splitlines()
    with tempfile.TemporaryDirectory() as folder:
        estimator = DeepAREstimator(
            freq="H",
            prediction_length=HORIZON,
            context_length=CONTEXT,
            num_layers=2,
            hidden_size=40,
            num_batches_per_epoch=5,
            trainer_kwargs={
                "max_epochs": 1,
                "accelerator": "cpu",
                "logger": False,
                "enable_progress_bar": False,
                "default_root_dir": folder,
            },
        )
        model = Path(folder) / "model"
        model.mkdir()
        series = ListDataset([json.loads(line) for line in lines], freq="H")
        estimator.train(series).serialize(model)
        app = make_flask_app(ServeEnv(Path(folder)), None, Settings())
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("gluonts.serve").setLevel(logging.WARNING)
    print(f"serving on http://127.0.0.1:{options.port}", flush=True)
    waitress.serve(app, host="127.0.0.1", port=options.port)


if __name__ == "__main__":
    main()
