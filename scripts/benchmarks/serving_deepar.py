#!/usr/bin/env python3
"""DeepAR over HTTP: one series of 500 points, 100 samples, 24 steps, at 1 and at 16 clients.

    python scripts/benchmarks/serving_model.py --output runs/serving
    python scripts/benchmarks/serving_deepar.py --run runs/serving

Ours with micro-batches and, as a check of their worth, with at most one request a predict. With
`--peer-port` the server of serving_gluonts.py, which reads the same body, is asked in turn.
"""

import argparse
from pathlib import Path

from serving_load import load, serving


def main() -> None:
    """Print one line for each server, number of clients and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/serving"))
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer-port", type=int)
    options = parser.parse_args()
    body = (options.run / "request.json").read_bytes()
    model = str(options.run / "model")
    with serving(model) as (batching, _), serving(model, max_batch=1) as (single, _):
        ports = {"micro-batches": batching, "one by one": single}
        if options.peer_port:
            ports["peer"] = options.peer_port
        for clients in (1, 16):
            for _ in range(options.runs):
                for name, port in ports.items():
                    load(port, body, num_clients=clients, seconds=0.5)
                    seen = load(port, body, num_clients=clients, seconds=options.seconds)
                    print(f"{name:14} {clients:3} clients {seen}", flush=True)


if __name__ == "__main__":
    main()
