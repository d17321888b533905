"""One process of a host reads a stream; each gets its part, however far apart, and the same end."""

import json
import os

import pytest
import torch.distributed as dist
import torch.multiprocessing as mp

from sm_dl.engine.one_reader import OneReader
from sm_dl.engine.place import Place
from sm_dl.errors import LostProcessError, PlatformError, UserError

NUM_HOSTS, NUM_LOCAL, NUM_BATCHES = 2, 2, 40
WORLD = NUM_HOSTS * NUM_LOCAL
FAILURES = {
    "a stall": PlatformError("train_0: nothing came for 600 s after byte 7"),
    "a bad record": UserError("train_0 record 5: expected an image"),
    "a defect": KeyError("bug"),
}


def _encode(part: str) -> bytes:
    return part.encode()


def _decode(content: bytes) -> str:
    return content.decode()


def _shares(number, ranks, until=NUM_BATCHES, error=None):
    """Yield what each rank should get, and who read it."""
    for batch in range(until):
        yield [f"pass {number} batch {batch} rank {rank} by {os.environ['RANK']}" for rank in ranks]
    if error is not None:
        raise error


def _expected(number, rank, batches=range(NUM_BATCHES)):
    reader = rank // NUM_LOCAL * NUM_LOCAL
    return [f"pass {number} batch {batch} rank {rank} by {reader}" for batch in batches]


def _two_passes(reader, place):
    return [list(reader.parts(place, lambda r, n=n: _shares(n, r))) for n in range(2)]


def _far_apart(reader, place):
    """Let the first process of one host, and the second of the other, have all before the other asks."""
    parts = reader.parts(place, lambda ranks: _shares(0, ranks))
    found = [next(parts)]
    for turn in range(NUM_LOCAL):
        if place.rank % NUM_LOCAL == (turn + place.rank // NUM_LOCAL) % NUM_LOCAL:
            found += parts
        dist.barrier()
    return found


def _left_early(reader, place):
    first = reader.parts(place, lambda ranks: _shares(0, ranks))
    found = [next(first) for _ in range(1 + place.rank)]
    first.close()
    dist.barrier()
    return [*found, *reader.parts(place, lambda ranks: _shares(1, ranks))]


def _failing(reader, place, error):
    found = []
    try:
        for part in reader.parts(place, lambda ranks: _shares(0, ranks, 3, error)):
            found.append(part)  # noqa: PERF402 - those before the error count
    except Exception as caught:  # noqa: BLE001 - what it is, is the question
        return [*found, type(caught).__name__, str(caught)]
    return found


def _without_reader(reader, place):
    """End process 0, and those of the other host, while process 1 is within an endless pass."""
    parts = reader.parts(place, lambda ranks: _shares(0, ranks, 1 << 60))
    next(parts)
    dist.barrier()
    if place.rank != 1:
        os._exit(0)
    try:
        return sum(1 for _ in parts)
    except LostProcessError as caught:
        return str(caught)


def _work(rank, path):
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank % NUM_LOCAL),
        "LOCAL_WORLD_SIZE": str(NUM_LOCAL),
    }
    dist.init_process_group("gloo", init_method=f"file://{path}/meet", rank=rank, world_size=WORLD)
    place, found = Place(0, 0, rank, WORLD), {}

    def reader():
        return OneReader("train", _encode, _decode)

    for scenario in (_two_passes, _far_apart, _left_early):
        found[scenario.__name__] = scenario(reader(), place)
    for name, error in FAILURES.items():
        found[name] = _failing(reader(), place, error)
    (path / f"{rank}.json").write_text(json.dumps(found))
    (path / f"{rank}.end.json").write_text(json.dumps(_without_reader(reader(), place)))
    os._exit(0)  # the group's threads would miss process 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Run all scenarios once in the processes of two hosts with two each, and return what they left."""
    path = tmp_path_factory.mktemp("one reader")
    mp.spawn(_work, (path,), nprocs=WORLD)
    return path


@pytest.fixture(params=range(WORLD))
def rank(request):
    return request.param


@pytest.fixture
def found(folder, rank):
    """Return what each scenario came to in one process."""
    return json.loads((folder / f"{rank}.json").read_text())


def test_each_process_gets_the_parts_of_its_rank_from_the_first_of_its_host(found, rank):
    assert found["_two_passes"] == [_expected(0, rank), _expected(1, rank)]


def test_no_process_waits_for_one_that_is_many_batches_behind(found, rank):
    assert found["_far_apart"] == _expected(0, rank)


def test_a_pass_that_is_left_early_leaves_nothing_to_the_next(found, rank):
    assert found["_left_early"] == _expected(0, rank, range(1 + rank)) + _expected(1, rank)


@pytest.mark.parametrize("name", FAILURES)
def test_all_processes_fail_after_the_same_batch_with_the_same_words(found, rank, name):
    error = FAILURES[name]
    expected = [type(error).__name__, str(error)]
    if isinstance(error, KeyError) and rank % NUM_LOCAL:  # none of ours: the reader has its trace
        expected = ["AlgorithmError", f"KeyError: {error}"]
    assert found[name] == [*_expected(0, rank, range(3)), *expected]


def test_a_process_whose_reader_is_gone_says_so(folder):
    said = json.loads((folder / "1.end.json").read_text())
    assert "channel train: process 1 of 4 lost process 0, which reads the stream" in said


def test_a_process_that_is_alone_reads_by_itself(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")  # as after training, when the first process judges
    reader = OneReader("train", _encode, _decode)
    alone = list(reader.parts(Place(0), lambda ranks: _shares(0, ranks)))
    assert alone == _expected(0, 0)
