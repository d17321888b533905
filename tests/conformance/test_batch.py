"""Contract, section 6: the batch runner splits, assembles, filters and names as the platform does.

It is no part of a container: for an image it runs inside, by the same entry point.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.container import OPT_ML, Container
from tests.conformance.tree import Finished, files
from tests.small_job import SmallJob

pytestmark = pytest.mark.system

JSON_LINES = "application/jsonlines"
SPLIT = ("--content-type", JSON_LINES, "--split-type", "Line", "--assemble-with", "Line")
Transform = Callable[..., tuple[int, dict[str, bytes]]]


def numbers(answer: bytes) -> list[float]:
    """Return the decimals of an answer: batches of other sizes may round their last digits."""
    return [float(one) for one in re.findall(rb"-?\d+\.\d+(?:e-?\d+)?", answer)]


@pytest.fixture(scope="module")
def lines(job: SmallJob) -> list[bytes]:
    """Return the lines of a body of JSON Lines."""
    found = [body.splitlines() for kind, body in job.requests if kind == JSON_LINES]
    if not found:
        pytest.skip("the algorithm reads no JSON Lines")
    return found[0]


@pytest.fixture(scope="module")
def transform(
    container: Container, finished: Finished, tmp_path_factory: pytest.TempPathFactory
) -> Transform:
    """Return a function that transforms objects by key, and gives exit code and outputs."""

    def run(objects: dict[str, bytes], *options: str) -> tuple[int, dict[str, bytes]]:
        root = tmp_path_factory.mktemp("batch")
        for folder, contents in (("in", objects), ("model", finished.model)):
            for key, content in contents.items():
                (root / folder / key).parent.mkdir(parents=True, exist_ok=True)
                (root / folder / key).write_bytes(content)
        seen_as = Path(OPT_ML) if container.image else root
        folders = {"--model": "model", "--input": "in", "--output": "out"}
        words = [word for name, at in folders.items() for word in (name, str(seen_as / at))]
        with container.start(root, "transform", *words, *options) as running:
            code = running.wait()
        return code, files(root / "out")

    return run


@pytest.fixture(scope="module")
def outcome(transform: Transform, lines: list[bytes]) -> tuple[int, dict[str, bytes]]:
    """Transform three good objects and a bad one."""
    whole = b"\n".join(lines) + b"\n"
    objects = {"a.jsonl": whole, "deep/b.jsonl": whole, "one": lines[0], "bad": b"{no json\n"}
    return transform(objects, *SPLIT)


def test_each_object_gets_one_output_named_by_its_key(
    outcome: tuple[int, dict[str, bytes]],
) -> None:
    assert {"a.jsonl.out", "deep/b.jsonl.out", "one.out"} <= set(outcome[1])


def test_an_object_with_a_bad_record_gets_none_and_the_job_fails(
    outcome: tuple[int, dict[str, bytes]],
) -> None:
    code, outputs = outcome
    assert (code != 0, "bad.out" in outputs) == (True, False)


def test_an_output_has_a_line_for_each_record_in_order(
    outcome: tuple[int, dict[str, bytes]], lines: list[bytes]
) -> None:
    found = outcome[1]["a.jsonl.out"].splitlines()
    assert len(found) == len(lines)
    assert numbers(found[0]) == pytest.approx(numbers(outcome[1]["one.out"]), rel=1e-4)


def test_one_record_a_request_answers_the_same(
    transform: Transform, outcome: tuple[int, dict[str, bytes]], lines: list[bytes]
) -> None:
    content = {"a.jsonl": b"\n".join(lines)}
    _, outputs = transform(content, *SPLIT, "--batch-strategy", "SingleRecord")
    one_by_one, together = outputs["a.jsonl.out"], outcome[1]["a.jsonl.out"]
    assert len(one_by_one.splitlines()) == len(together.splitlines())
    assert numbers(one_by_one) == pytest.approx(numbers(together), rel=1e-4)


def test_filters_choose_what_goes_in_and_out_around_the_join(
    transform: Transform, outcome: tuple[int, dict[str, bytes]], lines: list[bytes]
) -> None:
    records = [{"name": index, "ask": json.loads(line)} for index, line in enumerate(lines)]
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    filters = ("--input-filter", "$.ask", "--output-filter", "$['name','SageMakerOutput']")
    _, outputs = transform({"a.jsonl": content}, *SPLIT, "--join-source", "Input", *filters)
    joined = [json.loads(line) for line in outputs["a.jsonl.out"].splitlines()]
    assert [sorted(one) for one in joined] == [["SageMakerOutput", "name"]] * len(lines)
    assert [one["name"] for one in joined] == list(range(len(lines)))
    answers = json.dumps([one["SageMakerOutput"] for one in joined]).encode()
    expected = numbers(outcome[1]["a.jsonl.out"])
    assert numbers(answers) == pytest.approx(expected, rel=1e-4)
