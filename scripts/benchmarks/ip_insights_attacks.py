#!/usr/bin/env python3
r"""Find simulated attacks among normal events, through the endpoint's own path, at threshold 0.

The tutorial of the service does the same: 100,000 normal events of later days, and 100,000 attacks on
known users from the addresses of uniform networks; what scores below 0 is flagged. Its figures: recall
0.98453, precision 0.95132.

    python scripts/benchmarks/ip_insights_attacks.py --model runs/ip_insights/model \
        --normal data/simulated_ip_log/test/events.csv --attacks data/simulated_ip_log/attacks.csv
"""

import argparse
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sm_dl import registry
from sm_dl.algorithms.ip_insights.metrics import area_under_curve
from sm_dl.content_types import CSV
from sm_dl.serving.invoke import Call, invoke

SCORE = re.compile(rb'"dot_product":([^},]+)')


def main() -> None:
    """Print recall, precision and the area under the ROC curve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("model", "normal", "attacks"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    predictor = registry.load(options.model)

    def scores(path: Path) -> npt.NDArray[np.float64]:
        response = invoke(predictor, Call(body=path.read_bytes(), content_type=CSV))
        return np.array(SCORE.findall(response.body), dtype=np.float64)

    normal, attacks = scores(options.normal), scores(options.attacks)
    found, false_alarms = int((attacks < 0).sum()), int((normal < 0).sum())
    print(
        f"{len(normal)} normal events, {len(attacks)} attacks: {found + false_alarms} flagged, {found} true; "
        f"recall {found / len(attacks):.5f}, precision {found / max(found + false_alarms, 1):.5f}, "
        f"AUC {area_under_curve(normal, attacks):.5f}"
    )


if __name__ == "__main__":
    main()
