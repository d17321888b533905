#!/usr/bin/env python3
"""Read one file with the service's SDK: `read_records`, and its records to arrays. Prints CPU seconds.

Runs in an environment with `sagemaker==2.257.7`; started by `data_protobuf.py`.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from sagemaker.amazon.common import read_records

AT_ONCE = 1000


def main() -> None:
    """Print one line of JSON."""
    content = Path(sys.argv[1])
    began = time.process_time()
    with content.open("rb") as stream:
        records = read_records(stream)
    seconds = time.process_time() - began
    del records
    began = time.process_time()
    with content.open("rb") as stream:
        pieces, keys = [], []
        for record in read_records(stream):
            for entries in (record.features, record.label):
                for value in entries.values():
                    tensor = getattr(value, value.WhichOneof("value"))
                    pieces.append(np.array(tensor.values))
                    if tensor.keys:
                        keys.append(np.array(tensor.keys))
            if len(pieces) >= AT_ONCE:
                np.concatenate(pieces)
                pieces, keys = [], []
    whole = time.process_time() - began
    print(json.dumps({"SDK's read_records": seconds, "the same to arrays": whole}))


if __name__ == "__main__":
    main()
