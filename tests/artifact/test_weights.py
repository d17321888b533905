"""Weights come back as they were, and only into the network they were made for."""

import pickle
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sm_dl.artifact.weights import FILE_NAME, read_weights, write_tensors, write_weights
from sm_dl.errors import PlatformError, UserError


class Network(nn.Module):
    """One of each kind of tensor a state dict may hold."""

    def __init__(self, width: int = 4, seed: int = 0) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(3, width, generator=draw))
        self.bias = nn.Parameter(torch.randn(3, generator=draw))
        self.register_buffer("count", torch.tensor(7 + seed))
        self.register_buffer("turned", torch.randn(2, 5, generator=draw).t())
        self.register_buffer("scratch", torch.zeros(1), persistent=False)


class Renamed(Network):
    """The same shapes under another name."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = self.bias
        del self.bias


class Larger(Network):
    """One tensor more."""

    def __init__(self) -> None:
        super().__init__()
        self.more = nn.Parameter(torch.zeros(1))


def _state(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _message(folder: Path, network: nn.Module) -> str:
    with pytest.raises(UserError) as refusal:
        read_weights(folder, network)
    return str(refusal.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that holds the weights of a network."""
    write_weights(tmp_path, Network())
    return tmp_path


@pytest.mark.parametrize("name", ["weight", "bias", "count", "turned"])
def test_every_tensor_comes_back(folder: Path, name: str) -> None:
    network = Network(seed=1)
    read_weights(folder, network)
    assert torch.equal(network.state_dict()[name], Network().state_dict()[name])


def test_the_folder_need_not_exist(tmp_path: Path) -> None:
    write_weights(tmp_path / "run" / "model", Network())
    assert (tmp_path / "run" / "model" / FILE_NAME).is_file()


def test_reading_leaves_the_network_trainable(folder: Path) -> None:
    network = Network(seed=1)
    read_weights(folder, network)
    assert network.weight.requires_grad


def test_writing_does_not_change_the_network(tmp_path: Path) -> None:
    network = Network()
    before = _state(network)
    write_weights(tmp_path, network)
    assert all(torch.equal(before[name], tensor) for name, tensor in _state(network).items())


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    write_weights(tmp_path / "a", Network())
    write_weights(tmp_path / "b", Network())
    assert (tmp_path / "a" / FILE_NAME).read_bytes() == (tmp_path / "b" / FILE_NAME).read_bytes()


def test_a_second_model_takes_the_place_of_the_first(folder: Path) -> None:
    write_weights(folder, Network(seed=1))
    network = Network()
    read_weights(folder, network)
    assert torch.equal(network.weight, Network(seed=1).weight)


def test_nothing_else_is_left_in_the_folder(folder: Path) -> None:
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


# Refusals.


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Network(width=5), "size mismatch for weight"),
        (Renamed(), "offset"),
        (Larger(), "Missing key"),
        (nn.Linear(4, 3), "Unexpected key"),
    ],
    ids=["another width", "another name", "one more", "another network"],
)
def test_another_networks_weights_are_refused(
    folder: Path, network: nn.Module, reason: str
) -> None:
    assert reason in _message(folder, network)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["weight", "turned"])
def test_weights_that_are_not_finite_are_refused_by_name(
    tmp_path: Path, name: str, value: float
) -> None:
    network = Network()
    network.state_dict()[name][0, 0] = value
    write_weights(tmp_path, network)
    assert _message(tmp_path, Network()) == (
        f"{tmp_path / FILE_NAME}: {name} holds a value that is not finite; train the model again."
    )


@pytest.mark.parametrize("kept", [0, 1, 7, 8, 100, -1])
def test_a_file_cut_short_is_refused(folder: Path, kept: int) -> None:
    path = folder / FILE_NAME
    path.write_bytes(path.read_bytes()[:kept])
    assert _message(folder, Network()).startswith(
        f"{path}: expected the weights that model.json describes; "
    )


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * 1000,
        b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
        (2).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (9).to_bytes(8, "little") + b'{"a": 1}x',
        b"PK\x03\x04" + b"\x00" * 100,
    ],
    ids=["noise", "huge header", "no tensors", "a list", "no shapes", "zip"],
)
def test_a_file_of_another_kind_is_refused(folder: Path, content: bytes) -> None:
    (folder / FILE_NAME).write_bytes(content)
    assert "expected the weights that model.json describes" in _message(folder, Network())


class Loud:
    """Leaves a trace when it is unpickled."""

    heard: list[str] = []  # noqa: RUF012 - the trace must outlive the object

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Loud.heard.append, ("unpickled",))


@pytest.mark.parametrize("way", ["pickle", "torch"])
def test_a_pickle_is_refused_unopened(folder: Path, way: str) -> None:
    if way == "pickle":
        (folder / FILE_NAME).write_bytes(pickle.dumps(Loud()))
    else:
        torch.save(Loud(), folder / FILE_NAME)
    _message(folder, Network())
    assert Loud.heard == []


def test_a_refusal_is_one_short_line(folder: Path) -> None:
    message = _message(folder, nn.Sequential(*(nn.Linear(1, 1) for _ in range(200))))
    assert (len(message.splitlines()), len(message) < 600) == (1, True)


def test_absent_weights_say_what_was_expected(tmp_path: Path) -> None:
    assert _message(tmp_path, Network()) == (
        f"{tmp_path / FILE_NAME}: is absent; expected the model folder of a finished job."
    )


def test_a_folder_in_place_of_the_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    assert str(tmp_path / FILE_NAME) in _message(tmp_path, Network())


# A disk that is full.


@contextmanager
def _room_for(num_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def half_written(folder: Path) -> Path:
    """Return the folder after a larger model found no room in it."""
    with pytest.raises(PlatformError), _room_for(4096):
        write_weights(folder, nn.Linear(100, 100))
    return folder


def test_no_room_for_the_weights_is_the_platforms_error(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=FILE_NAME), _room_for(4096):
        write_weights(tmp_path, nn.Linear(100, 100))


def test_no_room_for_new_weights_keeps_the_old(half_written: Path) -> None:
    network = Network(seed=1)
    read_weights(half_written, network)
    assert torch.equal(network.weight, Network().weight)


def test_no_room_for_new_weights_leaves_no_part_behind(half_written: Path) -> None:
    assert [path.name for path in half_written.iterdir()] == [FILE_NAME]


KILLED_IN_WRITING = """
import os, sys, threading
from pathlib import Path
import torch
from sm_dl.artifact.weights import write_tensors
path = Path(sys.argv[1])
tensors = {"a": torch.zeros(1 << 26)}
writer = threading.Thread(target=write_tensors, args=(path, tensors), daemon=True)
writer.start()
while writer.is_alive() and not any(path.parent.iterdir()):
    pass
os._exit(9)
"""


def test_what_a_process_killed_in_writing_left_goes_with_the_next_file(tmp_path):
    path = tmp_path / "weights.safetensors"
    command = [sys.executable, "-c", KILLED_IN_WRITING, str(path)]
    assert subprocess.run(command, check=False).returncode == 9
    (tmp_path / ".tmp_of_others").touch()
    write_tensors(path, {"a": torch.ones(2)})
    assert {one.name for one in tmp_path.iterdir()} == {".tmp_of_others", path.name}


def test_leftovers_have_the_names_that_the_writer_gives(tmp_path):
    for name in (".tmpNgIYLu", ".tmp0a1B2c"):
        (tmp_path / name).touch()
    write_tensors(tmp_path / "weights.safetensors", {"a": torch.ones(2)})
    assert [one.name for one in tmp_path.iterdir()] == ["weights.safetensors"]
