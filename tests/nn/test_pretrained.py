"""Weights of others are found, read as data, and fitted by name or refused in one sentence."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sm_dl.errors import UserError
from sm_dl.nn import pretrained
from sm_dl.nn.pretrained import FOLDER_VARIABLE, fit_state, imagenet_file, read_state


def _network(width: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Linear(width, 2))


def _fit(network: nn.Module, state: dict[str, Tensor], **options: object) -> None:
    fit_state(network, state, place="weights.pth", kind="a tower", **options)


class _Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_state_dict_is_read_as_training_scripts_save_it(
    tmp_path: Path, wrapper: str | None, prefix: str
) -> None:
    state = {prefix + name: tensor for name, tensor in _network().state_dict().items()}
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "a.pth")
    read = read_state(tmp_path / "a.pth")
    for name, tensor in _network().state_dict().items():
        torch.testing.assert_close(read[name], tensor)


def test_safetensors_are_read_whatever_their_name(tmp_path: Path) -> None:
    save_file(_network().state_dict(), tmp_path / "a.pth")
    assert read_state(tmp_path / "a.pth").keys() == _network().state_dict().keys()


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_pickle_that_would_execute_never_does(tmp_path: Path, is_zip: bool) -> None:
    trace = tmp_path / "was-here"
    torch.save({"a": _Evil(trace)}, tmp_path / "a.pth", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(UserError, match="holds more than tensors"):
        read_state(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(_Evil(trace)))
    with pytest.raises(UserError, match="holds more than tensors"):
        read_state(tmp_path / "b.pth")
    assert not trace.exists()


@pytest.mark.parametrize("length", [0, 5, 100, 1500])
def test_a_cut_file_is_refused(tmp_path: Path, length: int) -> None:
    torch.save(_network().state_dict(), tmp_path / "whole.pth")
    (tmp_path / "a.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:length])
    with pytest.raises(UserError, match="expected weights as safetensors"):
        read_state(tmp_path / "a.pth")


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 3}])
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(UserError, match="expected tensors by name"):
        read_state(tmp_path / "a.pth")


def test_weights_that_fit_are_taken() -> None:
    network, other = _network(), _network()
    state = {name: tensor + 1 for name, tensor in other.state_dict().items()}
    _fit(network, state)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(tensor, state[name])


def test_new_layers_keep_their_own_weights() -> None:
    network = _network()
    own = network[2].weight.clone()
    state = {name: tensor + 1 for name, tensor in network.state_dict().items()}
    state["2.weight"] = torch.zeros(1000, 4)
    _fit(network, state, new=["2."])
    torch.testing.assert_close(network[2].weight, own)


def test_the_first_difference_is_named() -> None:
    with pytest.raises(UserError, match=r"0\.weight of shape \(4, 3, 3, 3\); got \(8, 3, 3, 3\)"):
        _fit(_network(), _network(8).state_dict())


def test_a_missing_and_a_surplus_name_are_named() -> None:
    state = _network().state_dict()
    del state["1.bias"]
    with pytest.raises(UserError, match=r"1\.bias of shape \(4,\); got none of this name"):
        _fit(_network(), state)
    _fit(_network(), state, optional=["1."])
    with pytest.raises(UserError, match=r"got '3\.weight' besides"):
        _fit(_network(), {**_network().state_dict(), "3.weight": torch.zeros(1)})


def test_a_weight_that_is_no_number_is_refused() -> None:
    state = _network().state_dict()
    state["0.bias"] = state["0.bias"] * float("nan")
    with pytest.raises(UserError, match=r"0\.bias holds a value that is not finite"):
        _fit(_network(), state)


def test_the_jobs_file_comes_first_and_must_exist(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    with pytest.raises(UserError, match="resources weights: expected a file"):
        imagenet_file("resnet50", path)
    path.touch()
    assert imagenet_file("resnet50", path) == path


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_the_images_folder_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / f"resnet50{suffix}").touch()
    assert imagenet_file("resnet50", None) == tmp_path / f"resnet50{suffix}"


def test_torch_hubs_cache_comes_before_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / pretrained.FILES["resnet18"]
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert imagenet_file("resnet18", None) == cached


def test_without_any_of_them_one_sentence_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(pretrained, "SERVER", "http://127.0.0.1:9/models")
    with pytest.raises(UserError) as refused:
        imagenet_file("resnet18", None)
    assert "SM_DL_WEIGHTS: it is not set" in str(refused.value)
    assert "resnet18-f37072fd.pth cannot be fetched" in str(refused.value)
    assert "--set resources.weights=FILE" in str(refused.value)


def test_a_network_nobody_publishes_needs_a_file() -> None:
    with pytest.raises(UserError, match="nobody publishes weights of resnet200"):
        imagenet_file("resnet200", None)


@pytest.mark.parity
def test_the_files_are_those_that_torchvision_names() -> None:
    import torchvision  # noqa: PLC0415 - the one test here that needs it

    for name, file in pretrained.FILES.items():
        weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
        assert weights.url == f"{pretrained.SERVER}/{file}"
