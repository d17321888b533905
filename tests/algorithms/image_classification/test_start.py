"""Training starts from fresh weights, from ImageNet's, or from an earlier job's; from no others."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from sm_dl.algorithms.image_classification import artifact
from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.start import started_network
from sm_dl.artifact.archive import pack
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource


@pytest.fixture
def earlier(tmp_path, network, facts) -> Path:
    """Return the model folder of an earlier job."""
    folder = tmp_path / "earlier"
    artifact.write_artifact(folder, network(seed=9), facts, hyperparameters={}, training={})
    return folder


def _same(one: torch.nn.Module, two: torch.nn.Module) -> set[str]:
    theirs = two.state_dict()
    return {name for name, tensor in one.state_dict().items() if torch.equal(tensor, theirs[name])}


def test_fresh_weights_follow_from_the_seed(job, facts, network) -> None:
    assert _same(started_network(job(seed=3), facts), network(seed=3)) == set(
        network().state_dict()
    )


@pytest.mark.parametrize("form", ["folder", "archive", "folder with an archive"])
def test_an_earlier_job_s_model_is_gone_on_from(
    job, facts, network, earlier, tmp_path, form: str
) -> None:
    path = earlier
    if form != "folder":
        path = tmp_path / "channel" / "model.tar.gz"
        path.parent.mkdir()
        pack(earlier, path)
        path = path if form == "archive" else path.parent
    started = started_network(job(ChannelSource("model", path)), facts)
    assert _same(started, network(seed=9)) == set(started.state_dict())


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (ModelFacts(32, (3, 12, 16), 4), "num_layers=32, as this job has; got 20"),
        (ModelFacts(20, (3, 16, 16), 4), "image_shape=3,16,16, as this job has; got 3,12,16"),
        (
            ModelFacts(20, (3, 12, 16), 7),
            "num_classes=7, as this job has; got 4.*replace_output_layer",
        ),
    ],
)
def test_what_differs_from_the_earlier_job_is_named(
    job, earlier, changed: ModelFacts, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        started_network(job(ChannelSource("model", earlier)), changed)


def test_the_last_layer_may_be_replaced_on_request(job, network, earlier) -> None:
    facts = ModelFacts(20, (3, 12, 16), 7)
    request = job(ChannelSource("model", earlier), replace_output_layer=True)
    started = started_network(request, facts)
    kept = _same_names(started, network(seed=9))
    assert kept == {name for name in started.state_dict() if not name.startswith("fc.")}


def _same_names(one: torch.nn.Module, two: torch.nn.Module) -> set[str]:
    theirs = two.state_dict()
    return {
        name
        for name, tensor in one.state_dict().items()
        if tensor.shape == theirs[name].shape and torch.equal(tensor, theirs[name])
    } - {"fc.bias"}


def test_an_archive_without_a_whole_model_is_named_with_its_channel(
    job, facts, earlier, tmp_path
) -> None:
    archive = tmp_path / "channel" / "model.tar.gz"
    archive.parent.mkdir()
    other = json.loads((earlier / "model.json").read_text()) | {"algorithm": "ntm"}
    for name, content in (("model.json", json.dumps(other)), ("model.json", None)):
        if content is None:
            (earlier / name).unlink()
        else:
            (earlier / name).write_text(content)
        pack(earlier, archive)
        with pytest.raises(UserError, match=f"^channel model: {archive}[:/]"):
            started_network(job(ChannelSource("model", archive.parent)), facts)


def test_two_archives_are_refused(job, facts, earlier, tmp_path) -> None:
    folder = tmp_path / "channel"
    folder.mkdir()
    for name in ("a.tar.gz", "b.tar.gz"):
        pack(earlier, folder / name)
    with pytest.raises(UserError, match=r"expected one model\.tar\.gz; got 2"):
        started_network(job(ChannelSource("model", folder)), facts)


def test_a_file_of_weights_may_be_named(job, facts, network, earlier) -> None:
    request = job(weights=earlier / "weights.safetensors", use_pretrained_model=1)
    started = started_network(request, facts)
    assert _same_names(started, network(seed=9)) == {
        name for name in started.state_dict() if not name.startswith("fc.")
    }


@pytest.mark.parity
def test_torchvision_s_file_may_be_named(job, tmp_path) -> None:
    import torchvision  # noqa: PLC0415 - the one test here that needs it

    twin = torchvision.models.resnet18()
    torch.save(twin.state_dict(), tmp_path / "resnet18.pth")
    facts = ModelFacts(18, (3, 224, 224), 5)
    request = job(
        weights=tmp_path / "resnet18.pth",
        use_pretrained_model=1,
        image_shape="3,224,224",
        num_layers=18,
    )
    started = started_network(request, facts)
    torch.testing.assert_close(started.layer4[1].conv2.weight, twin.layer4[1].conv2.weight)


def test_a_file_of_another_network_names_the_first_difference(job, tmp_path, network) -> None:
    path = artifact.write_snapshot(tmp_path, network(), 1)
    request = job(weights=path, use_pretrained_model=1, num_layers=32)
    sentence = r"expected the weights of ResNet-32 .* layer1\.3\.conv1\.weight of shape"
    with pytest.raises(UserError, match=sentence):
        started_network(request, ModelFacts(32, (3, 12, 16), 4))


@pytest.mark.parametrize(
    "facts", [ModelFacts(20, (3, 224, 224), 4), ModelFacts(18, (3, 32, 32), 4)]
)
def test_published_weights_need_their_depth_and_size(job, facts: ModelFacts) -> None:
    with pytest.raises(UserError, match="use_pretrained_model: expected num_layers of 18, 34"):
        started_network(job(use_pretrained_model=1), facts)


def test_the_model_channel_is_preferred_to_published_weights(
    job, facts, network, earlier, caplog
) -> None:
    shutil.rmtree(earlier.parent / "hub", ignore_errors=True)
    started = started_network(job(ChannelSource("model", earlier), use_pretrained_model=1), facts)
    assert _same(started, network(seed=9)) == set(started.state_dict())
    assert "use_pretrained_model is ignored" in caplog.text
