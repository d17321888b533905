#!/usr/bin/env python3
"""Bodies that nobody would send, by the ten thousand: does a model of ours fall over one?

    python scripts/benchmarks/serving_fuzz.py --model runs/serving/model --executions 20000

Valid bodies of each content type are mutated: bytes flipped, cut, doubled and swapped for others,
numbers and words replaced by awkward ones. Every answer must be 200, 204 or 400, within the time
of a `predict`, and memory must not grow with the number of executions.
"""

import argparse
import logging
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson

from sm_dl import registry
from sm_dl.content_types import JSON, JSON_LINES
from sm_dl.serving import memory
from sm_dl.serving.invoke import Call, invoke

ALLOWED = {200, 204, 400}
MIB = 1024 * 1024
AWKWARD = [
    *(b"null", b"true", b"{}", b"[]", b'""', b"0", b"-0", b"-1", b"1e308", b"1e309", b"-1e30"),
    *(b"NaN", b'"NaN"', b"Infinity", b"9223372036854775808", b"1" * 400, b"0.1", b'"2024-02-30"'),
    *(
        b'"0001-01-01"',
        b'"9999-12-31 23:59:59"',
        b'"\\u0000"',
        b'"\\ud800"',
        b"[" * 2000,
        b'{"a":' * 2000,
    ),
    *(b"\x00", b"\xff\xfe", b"\xc3(", b"\r\n", b"\n\n", b"[[1]]", b'["samples"]', b"20000001"),
]
SERIES = {"start": "2024-01-01 00:00:00", "target": [1, 2.5, None, "NaN", 4], "cat": [0]}
CONFIGURATION = {
    "num_samples": 10,
    "output_types": ["mean", "quantiles", "samples"],
    "quantiles": ["0.1", "0.9"],
    "prediction_length": 2,
    "seed": 7,
}
VALID = {
    JSON: [
        orjson.dumps({"instances": [SERIES, SERIES], "configuration": CONFIGURATION}),
        orjson.dumps({"instances": [SERIES | {"dynamic_feat": [[1.0] * 7]}]}),
    ],
    JSON_LINES: [orjson.dumps(SERIES) + b"\n" + orjson.dumps(SERIES) + b"\n"],
}


def mutated(body: bytes, chance: random.Random) -> bytes:
    """Return a body with one to five wounds, mostly one: several are seldom told apart."""
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        body = chance.choice(WOUNDS)(body, chance)
    return body


def _flip(body: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(body) + 1)
    return body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]


def _cut(body: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    return body[:first] + body[last:]


def _double(body: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    return body[:last] + body[first:]


def _replace(body: bytes, chance: random.Random) -> bytes:
    """Put an awkward word in the place of a value."""
    marks = [at for at, byte in enumerate(body) if byte in b":,[]}"]
    if len(marks) < 2:
        return body + chance.choice(AWKWARD)
    which = chance.randrange(len(marks) - 1)
    return body[: marks[which] + 1] + chance.choice(AWKWARD) + body[marks[which + 1] :]


WOUNDS: list[Callable[[bytes, random.Random], bytes]] = [_flip, _cut, _double, _replace, _replace]


def main() -> None:
    """Print counts and memory by content type; end with 1 at the first answer that is not allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("runs/serving/model"))
    parser.add_argument("--executions", type=int, default=20_000, help="for each content type")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # of fields that this model does not need
    predictor = registry.load(options.model)
    chance = random.Random(options.seed)  # noqa: S311 - no secret
    for content_type in predictor.request_types:
        statuses: Counter[int] = Counter()
        longest_s, half_bytes = 0.0, 0
        began = time.perf_counter()
        for number in range(options.executions):
            if number == options.executions // 2:
                half_bytes = memory.held_bytes()
            body = mutated(chance.choice(VALID[content_type]), chance)
            at = time.perf_counter()
            response = invoke(predictor, Call(body=body, content_type=content_type))
            longest_s = max(longest_s, time.perf_counter() - at)
            statuses[int(response.status)] += 1
            if response.status not in ALLOWED:
                raise SystemExit(f"{content_type}: {response.status} for {body!r}")
        grown_mib = (memory.held_bytes() - half_bytes) / MIB
        print(
            f"{content_type}: {options.executions} executions in {time.perf_counter() - began:.0f} s, "
            f"statuses {dict(statuses)}, longest {1e3 * longest_s:.0f} ms, "
            f"resident memory {grown_mib:+.1f} MiB over the second half"
        )


if __name__ == "__main__":
    main()
