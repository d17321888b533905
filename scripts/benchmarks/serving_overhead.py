#!/usr/bin/env python3
"""What the server costs when the model costs nothing: latency at 1 connection, rate at 16.

The server has one core, the load generator the other. Needs Linux with two cores, taskset, and wrk
(`apt-get install wrk`); without wrk it says so and asks with clients in Python, which are slower
than the server.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from serving_load import TRIVIAL, load, serving

BODY = "[1,2,3,4]"
SCRIPT = f"""wrk.method = "POST"
wrk.body = "{BODY}"
wrk.headers["Content-Type"] = "application/json"
"""


def main() -> None:
    """Print one line for each number of connections, several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    wrk = shutil.which("wrk")
    if wrk is None:
        print("wrk is absent: clients in Python, whose own cost is counted as the server's")
    with serving(TRIVIAL, cores="0") as (port, _), tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(SCRIPT)
        for connections in (1, 16):
            for _ in range(options.runs):
                print(f"{connections:3} connections")
                if wrk is None:
                    print(
                        load(port, BODY.encode(), num_clients=connections, seconds=options.seconds)
                    )
                    continue
                command = ["taskset", "-c", "1", wrk, "-t1", f"-c{connections}"]
                command += [f"-d{options.seconds}s", "--latency", "-s", str(script)]
                address = f"http://127.0.0.1:{port}/invocations"
                said = subprocess.run(
                    [*command, address], capture_output=True, text=True, check=True
                )
                words = ("50%", "99%", "Requests/sec", "Non-2xx", "Socket errors")
                print(
                    *(line for line in said.stdout.splitlines() if any(w in line for w in words)),
                    sep="\n",
                )


if __name__ == "__main__":
    main()
