"""Batch transform through its public door, with a real model."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

import pytest

from sm_dl.artifact.archive import pack
from tests.small_job import small_job

pytestmark = pytest.mark.system
MANY = 30_000


def command(*arguments):
    return [sys.executable, "-m", "sm_dl", *map(str, arguments)]


def environment(**extra):
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **extra}


def door(*arguments, **extra):
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=environment(**extra),
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Return the model folder of a small job."""
    folder = tmp_path_factory.mktemp("transform") / "deepar"  # the config's algorithm
    folder.mkdir()
    config = small_job("deepar").write_yaml(folder, folder / "run")
    finished = door("train", "--config", config)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return folder / "run" / "model"


@pytest.fixture(scope="module")
def records():
    lines = small_job("deepar").requests[1][1].splitlines()
    return [{"id": f"series {index}", **json.loads(line)} for index, line in enumerate(lines)]


@pytest.fixture
def source(tmp_path, records):
    path = tmp_path / "series.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def transform(model, source, output, *more, **extra):
    lines = ("--split-type", "Line", "--assemble-with", "Line")
    done = door("transform", *model, "--input", source, "--output", output, *lines, *more, **extra)
    assert done.returncode == 0, done.stdout + done.stderr
    return (output / "series.jsonl.out").read_bytes()


def test_an_archive_forecasts_as_its_folder_does_and_leaves_nothing(model, source, tmp_path):
    pack(model, tmp_path / "model.tar.gz")
    (tmp_path / "room").mkdir()
    of_folder = transform(("--model", model), source, tmp_path / "one")
    of_archive = transform(
        ("--model", tmp_path / "model.tar.gz"),
        source,
        tmp_path / "two",
        TMPDIR=str(tmp_path / "room"),
    )
    assert (of_archive, list((tmp_path / "room").iterdir())) == (of_folder, [])


def test_forecasts_come_with_the_names_of_their_series(model, source, records, tmp_path):
    answer = transform(
        ("--model", model),
        source,
        tmp_path / "out",
        *("--input-filter", "$['start','target','cat','dynamic_feat']"),
        *("--join-source", "Input", "--output-filter", "$['id','SageMakerOutput']"),
    )
    documents = [json.loads(line) for line in answer.splitlines()]
    assert [one["id"] for one in documents] == [record["id"] for record in records]
    assert all(list(one) == ["id", "SageMakerOutput"] for one in documents)


@contextmanager
def serving(model):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        command("serve", "--model", model, "--host", "127.0.0.1", "--port", port),
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: answers(f"{address}/ping"), process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(address):
    try:
        with urllib.request.urlopen(address, timeout=5) as response:  # noqa: S310 - loopback
            return response.status == 200
    except OSError:
        return False


def wait_for(condition, process, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, "the process ended too early"
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)


def test_an_endpoint_forecasts_as_the_model_does(model, source, tmp_path):
    of_model = transform(("--model", model), source, tmp_path / "one")
    with serving(model) as address:
        of_endpoint = transform(("--endpoint", address), source, tmp_path / "two")
    assert of_endpoint == of_model


def test_sigterm_leaves_no_half_output_and_no_archive_folder(model, records, tmp_path):
    pack(model, tmp_path / "model.tar.gz")
    source, output, room = tmp_path / "in", tmp_path / "out", tmp_path / "room"
    source.mkdir()
    room.mkdir()
    (source / "long.jsonl").write_text((json.dumps(records[0]) + "\n") * MANY)
    process = subprocess.Popen(
        command(
            *("transform", "--model", tmp_path / "model.tar.gz", "--input", source),
            *("--output", output, "--split-type", "Line", "--batch-strategy", "SingleRecord"),
        ),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(TMPDIR=str(room)),
    )
    with process:
        try:
            wait_for(lambda: any(path.stat().st_size for path in output.glob("*")), process)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, "SIGTERM came; what was finished is whole" in said) == (143, True)
    assert [*output.iterdir(), *room.iterdir()] == []


def test_a_full_disk_is_exit_code_3_with_one_sentence(model, source, tmp_path):
    lines = source.read_text() * 200
    source.write_text(lines)
    arguments = command(
        *("transform", "--model", model, "--input", source, "--output", tmp_path / "out"),
        *("--split-type", "Line", "--max-payload-mb", "1"),
    )
    limited = ["bash", "-c", 'ulimit -f 16; exec "$@"', "limited", *arguments]  # of 1024 bytes
    done = subprocess.run(
        limited, capture_output=True, text=True, timeout=60, check=False, env=environment()
    )
    said = f"Platform Error: {tmp_path}/out/series.jsonl.out: cannot be written (File too large)."
    assert (done.returncode, said in done.stdout) == (3, True), done.stdout + done.stderr
    assert list((tmp_path / "out").iterdir()) == []
