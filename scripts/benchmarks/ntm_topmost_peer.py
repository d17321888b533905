"""One run of topmost's ProdLDA on dense counts: a line with documents per second of CPU and of wall time.

The class is loaded from its file (the package imports torchvision and much else); the loop is that of
topmost 1.0.2's BasicTrainer: Adam, a DataLoader over a dense matrix, batches of 200.
"""

import argparse
import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ntm_versus import EPOCHS, NUM_TOPICS, NUM_UNITS, RATE, corpus
from torch.utils.data import DataLoader


def model_class(folder: Path) -> Any:  # noqa: ANN401 - a class of another project
    """Return ProdLDA from a folder into which topmost was installed."""
    path = folder / "topmost" / "models" / "basic" / "ProdLDA.py"
    spec = importlib.util.spec_from_file_location("prodlda", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path}: expected topmost's ProdLDA; pass --topmost its --target folder.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ProdLDA


def main() -> None:
    """Train and print the speed of each epoch but the first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--topmost", type=Path, required=True)
    parser.add_argument("--words", type=int, required=True)
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    options = parser.parse_args()
    rows, words, counts = corpus(options.documents, options.words)
    dense = np.zeros((options.documents, options.words), dtype=np.float32)
    dense[rows, words] = counts
    torch.manual_seed(0)
    model = model_class(options.topmost)(options.words, NUM_TOPICS, NUM_UNITS)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    batches: DataLoader[Any] = DataLoader(
        torch.from_numpy(dense),  # type: ignore[arg-type]
        batch_size=options.batch,
        shuffle=True,
    )
    model.train()
    for epoch in range(EPOCHS):
        wall, cpu = time.perf_counter(), time.process_time()
        for batch in batches:
            loss = model(batch)["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if epoch:
            speeds = [
                options.documents / (now() - before)
                for now, before in ((time.perf_counter, wall), (time.process_time, cpu))
            ]
            print(json.dumps({"wall": speeds[0], "cpu": speeds[1]}))


if __name__ == "__main__":
    main()
