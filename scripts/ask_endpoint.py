#!/usr/bin/env python3
"""Serve a DeepAR model on a free loopback port, ask it for one forecast, and stop it again."""

import argparse
import gzip
import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

START_TIMEOUT_S = 120


def main() -> None:
    """Print the forecast of the first series of a channel."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--series", type=Path, required=True, help="a channel of series.json.gz")
    options = parser.parse_args()

    with gzip.open(options.series / "series.json.gz") as file:
        series = json.loads(file.readline())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve = [sys.executable, "-m", "sm_dl", "serve", "--model", str(options.model)]
    server = subprocess.Popen([*serve, "--host", "127.0.0.1", "--port", str(port)])
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/ping", server)
        wanted = {
            "num_samples": 200,
            "output_types": ["mean", "quantiles"],
            "quantiles": ["0.1", "0.9"],
        }
        body = json.dumps({"instances": [series], "configuration": wanted}).encode()
        began = time.perf_counter()
        answer = post(f"{address}/invocations", body)
        took_ms = 1000 * (time.perf_counter() - began)
    finally:
        server.terminate()
        server.wait(timeout=30)

    forecast = answer["predictions"][0]
    print(f"POST /invocations answered in {took_ms:.0f} ms. {series['id']}, the next months:")
    print(f"{'month':>5} {'10 %':>12} {'mean':>12} {'90 %':>12}")
    rows = zip(
        forecast["quantiles"]["0.1"], forecast["mean"], forecast["quantiles"]["0.9"], strict=True
    )
    for month, (low, mean, high) in enumerate(rows, start=1):
        print(f"{month:>5} {low:>12,.0f} {mean:>12,.0f} {high:>12,.0f}")


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with exit code {server.returncode}; see above")
        try:
            with urllib.request.urlopen(address, timeout=5):  # noqa: S310 - a loopback address
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{address}: no answer within {START_TIMEOUT_S} s")


def post(address: str, body: bytes) -> dict[str, list[dict[str, dict[str, list[float]]]]]:
    """Return the JSON answer to a JSON body."""
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        answer: dict[str, list[dict[str, dict[str, list[float]]]]] = json.load(response)
    return answer


if __name__ == "__main__":
    main()
