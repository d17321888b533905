"""A topic model trained by two processes or on two hosts: the losses of one, but for their own noise."""

import itertools
import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from sm_dl.data.protobuf.write import sparse_records
from tests.algorithms.ntm.small_job import NUM_WORDS, counts_of, csr_of, recordio
from tests.hosts import on_two_hosts, shard
from tests.small_job import small_job

pytestmark = pytest.mark.system

OWN = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
BATCH = 16


def _losses(log):
    return [float(loss) for loss in re.findall(r"train total_loss <loss>=(\S+)", log)]


def _trained(config, output, *settings):
    command = [sys.executable, "-m", "sm_dl.train", "--config", config]
    for setting in (f"output={output}", *settings):
        command += ["--set", setting]
    finished = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **OWN}
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


def _documents(*vocabularies):
    """Return documents whose words come from one half of the vocabulary: (half, how many), ..."""
    wanted = []
    for half, count in vocabularies:
        every = counts_of(half, 8 * count)
        has_half = every[:, half * NUM_WORDS // 2 : (half + 1) * NUM_WORDS // 2].any(axis=1)
        wanted.append(every[has_half][:count])
    return np.concatenate(wanted)


def _write(folder, counts):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "part-0.pbr").write_bytes(recordio(sparse_records(csr_of(counts))))


def test_two_processes_have_the_losses_of_one(tmp_path):
    folder = tmp_path / "ntm"
    folder.mkdir()
    config = small_job("ntm").write_yaml(folder, folder / "run")
    one, two = (
        _losses(_trained(config, tmp_path / str(devices), f"resources.devices={devices}"))
        for devices in (1, 2)
    )
    assert len(two) == 6
    assert two == pytest.approx(one, rel=0.02)


def _on_two_hosts(folder, shares):
    """Train on two hosts that hold some documents each, or no file; return exit codes and logs."""

    def change(root, number):
        train = root / "input" / "data" / "train"
        for file in train.iterdir():
            file.unlink()
        if shares[number] is not None:
            _write(train, shares[number])
        shard(root, "train")

    hosts = on_two_hosts(folder, "ntm", change)
    return [host.code for host in hosts], [host.log for host in hosts]


def _topics(folder):
    """Return what the first of the hosts in a folder tells of its model."""
    return json.loads((min(folder.iterdir()) / "model" / "topics.json").read_bytes())


@pytest.fixture(scope="module")
def two_hosts(tmp_path_factory):
    """Train on two hosts that hold documents of different words; return folder and logs."""
    folder = tmp_path_factory.mktemp("hosts")
    codes, logs = _on_two_hosts(folder, [_documents((0, 40)), _documents((1, 90))])
    assert codes == [0, 0], "\n".join(logs)
    return folder, logs


@pytest.mark.parametrize("empty", [0, 1])
def test_a_host_without_a_file_trains_with_the_documents_of_the_other(tmp_path, empty):
    shares = [_documents((0, 40)), _documents((0, 40))]
    shares[empty] = None
    codes, logs = _on_two_hosts(tmp_path, shares)
    assert codes == [0, 0], "\n".join(logs)
    seen = re.findall(r"Finished training epoch \d+ on (\d+) examples from (\d+) batches", logs[0])
    assert seen == [("40", "3")] * 6
    told = ["holds no records; it trains with those of the other 1" in log for log in logs]
    assert told == [empty == 0, empty == 1]
    assert _losses(logs[0])[-1] < _losses(logs[0])[0]
    assert -1 <= _topics(tmp_path)["npmi"] <= 1


def test_hosts_of_which_none_has_a_document_are_refused(tmp_path):
    codes, logs = _on_two_hosts(tmp_path, [None, np.zeros((3, NUM_WORDS), np.float32)])
    assert codes == [2, 2], "\n".join(logs)
    for log in logs:
        assert "channel train: expected records in the share of at least one host; got none" in log


def test_two_hosts_see_each_document_of_their_shards_once_an_epoch(two_hosts):
    _, logs = two_hosts
    seen = re.findall(r"Finished training epoch \d+ on (\d+) examples from (\d+) batches", logs[0])
    assert seen == [("130", "6")] * 6  # the longer shard has 90 documents: 6 batches of 16


def test_two_hosts_with_shards_have_the_losses_of_one_with_all_documents(two_hosts, tmp_path):
    _, logs = two_hosts
    (tmp_path / "ntm").mkdir()
    config = small_job("ntm").write_yaml(tmp_path / "ntm", tmp_path / "run")
    for file in (tmp_path / "ntm" / "channels" / "train").iterdir():
        file.unlink()
    _write(tmp_path / "ntm" / "channels" / "train", _documents((0, 40), (1, 90)))
    one = _losses(
        _trained(config, tmp_path / "run", f"hyperparameters.mini_batch_size={2 * BATCH}")
    )
    # without the other host's words in the first host's start its first loss is 5.8 instead of 2.5
    assert _losses(logs[0]) == pytest.approx(one, rel=0.05)


def test_topics_are_as_coherent_as_the_documents_of_all_hosts_say(two_hosts):
    folder, _ = two_hosts
    held = _documents((0, 40), (1, 90)) > 0
    for topic in _topics(folder)["topics"]:
        words = [int(word.removeprefix("word")) for word in topic["words"][:10]]
        pairs = []
        for one, other in itertools.combinations(words, 2):
            both = (held[:, one] & held[:, other]).mean()
            apart = held[:, one].mean() * held[:, other].mean()
            pairs.append(math.log(both / apart) / -math.log(both) if both else -1.0)
        assert topic["npmi"] == pytest.approx(np.mean(pairs))


def test_the_second_host_with_a_shard_neither_prints_metrics_nor_writes_a_model(two_hosts):
    folder, logs = two_hosts
    assert "_metric:" not in logs[1]
    assert [(root / "model" / "model.json").exists() for root in sorted(folder.iterdir())] == [
        True,
        False,
    ]
