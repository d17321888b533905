#!/usr/bin/env python3
"""Turn the log-in attempts at an SSH honeypot into IP Insights channels.

Origin: repository mikelimazulu/SSH-Honeypot, attempts parsed from its reports. Licence: MIT.

Needs `logins_until_2024-02-19.csv.gz` with the columns timestamp, username and ip, in order of time.
Writes `train`, the first 80 % of the attempts, and `validation`, the rest. User names are what
attackers type: quotes, blanks, other alphabets; a name of nothing but blanks is left out. With
`--by-system` the entity is the autonomous system of the address instead (`ip_info.csv.gz`).
"""

import argparse
from pathlib import Path

from pairs import read_table, write_pairs

NAME, INFO_NAME = "logins_until_2024-02-19.csv.gz", "ip_info.csv.gz"
TRAINING_SHARE = 0.8


def main() -> None:
    """Write both channels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help=f"folder with {NAME}")
    parser.add_argument("--output", type=Path, default=Path("data/ssh_honeypot"))
    parser.add_argument("--by-system", action="store_true", help="autonomous systems as entities")
    options = parser.parse_args()

    rows = read_table(options.source, NAME)
    pairs = [(row["username"], row["ip"]) for row in rows]
    if options.by_system:
        systems = {row["ip"]: row["asn"] for row in read_table(options.source, INFO_NAME)}
        pairs = [(systems.get(address, ""), address) for _, address in pairs]
    named = [(entity, address) for entity, address in pairs if entity.strip()]
    split = int(TRAINING_SHARE * len(named))
    write_pairs(options.output / "train" / "logins.csv", named[:split])
    write_pairs(options.output / "validation" / "logins.csv", named[split:])


if __name__ == "__main__":
    main()
