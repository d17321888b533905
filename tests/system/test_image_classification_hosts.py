"""Two hosts, one network: each has images of its own (`ShardedByS3Key`), and all of them are learnt from."""

import re
from pathlib import Path

import pytest

from tests.algorithms.image_classification.pictures import record_bytes, textured
from tests.hosts import configure, on_two_hosts, shard

pytestmark = pytest.mark.system

NUM_IMAGES = {"train": (20, 9), "validation": (6, 5)}
"""Of the first host, and of the second."""
BATCH, EPOCHS = 4, 2


def _give_own_images(root: Path, number: int) -> None:
    for channel, counts in NUM_IMAGES.items():
        (file,) = (root / "input" / "data" / channel).iterdir()
        labels = [[number]] * counts[number]  # a class that the other host has not
        file.write_bytes(record_bytes(textured(counts[number]), labels))
    configure(root, "hyperparameters", mini_batch_size=str(BATCH), epochs=str(EPOCHS))
    shard(root, *NUM_IMAGES)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Train on both hosts and return what each has said."""
    hosts = on_two_hosts(tmp_path_factory.mktemp("hosts"), "image_classification", _give_own_images)
    said = [host.log for host in hosts]
    assert [host.code for host in hosts] == [0, 0], "\n".join(said)
    return said


def test_each_host_is_told_once_a_channel(logs: list[str]) -> None:
    for log in logs:
        told = re.findall(r"channel (\w+): ShardedByS3Key is not supported by the service", log)
        assert sorted(told) == ["train", "validation"]


def test_validation_counts_the_images_of_both_hosts(logs: list[str]) -> None:
    accuracies = [float(one) for one in re.findall(r"Validation-accuracy=(\S+)", logs[0])]
    assert len(accuracies) == EPOCHS
    num_images = sum(NUM_IMAGES["validation"])
    for accuracy in accuracies:  # so many right ones of all
        assert accuracy * num_images == pytest.approx(round(accuracy * num_images), abs=1e-4)


def test_one_model_is_written_by_the_first_host(logs: list[str]) -> None:
    assert "Saved checkpoint to" in logs[0]
    assert "Saved checkpoint to" not in logs[1]
