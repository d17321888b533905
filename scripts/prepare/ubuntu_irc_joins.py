#!/usr/bin/env python3
"""Turn the joins of the #ubuntu chat into IP Insights channels.

Origin: system messages "nick [user@host] has joined" of the logs in the repository
jkkummerfeld/irc-disentanglement, 66 days from 2004 to 2007; Kummerfeld et al., "A large-scale corpus
for conversation disentanglement", ACL 2019. Licence: CC BY 4.0.

Needs `joins.csv.gz` with the columns nick, ip and split, where the latest new address of each nick
that has two is `test`. Writes `train` (a join a line) and `test` (each new pair once). The rule "the
longest prefix of 8, 16 or 24 bits shared with an address of the nick in train" tells the test pairs
from the same nicks with shuffled addresses with an AUC of 0.7605 (five shuffles).
"""

import argparse
from pathlib import Path

from pairs import read_table, write_pairs

NAME = "joins.csv.gz"


def main() -> None:
    """Write both channels."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help=f"folder with {NAME}")
    parser.add_argument("--output", type=Path, default=Path("data/ubuntu_irc_joins"))
    options = parser.parse_args()

    rows = read_table(options.source, NAME)
    pairs = {
        split: [(row["nick"], row["ip"]) for row in rows if row["split"] == split]
        for split in ("train", "test")
    }
    write_pairs(options.output / "train" / "joins.csv", pairs["train"])
    write_pairs(options.output / "test" / "joins.csv", dict.fromkeys(pairs["test"]))


if __name__ == "__main__":
    main()
