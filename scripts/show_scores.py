#!/usr/bin/env python3
"""Print the scores of a finished run, and where its report lies."""

import argparse
import json
from pathlib import Path


def main() -> None:
    """Print one line a score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="the run's output folder")
    folder = parser.parse_args().run / "output" / "report"
    report = json.loads((folder / "report.json").read_text())
    for name, value in report["scores"].items():
        print(f"{name:<26} {value:.6g}")
    for figure in report["figures"]:
        if figure["kind"] == "table":
            metric, ours, yardstick = figure["rows"][0]
            print(
                f"{metric + ', ' + figure['columns'][2]:<26} {yardstick:.6g}   (the model: {ours:.6g})"
            )
    print(f"report: {folder / 'index.html'}")


if __name__ == "__main__":
    main()
