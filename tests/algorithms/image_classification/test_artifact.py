"""An artifact holds all that answers need, and nothing that could run."""

import json

import numpy as np
import pytest

from sm_dl.algorithms.image_classification import artifact
from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.predictor import ImageClassificationPredictor
from sm_dl.content_types import MediaType
from sm_dl.errors import UserError

PNG = MediaType("image/png")


def _write(folder, network, facts) -> None:
    artifact.write_artifact(folder, network, facts, hyperparameters={"epochs": 3}, training={})


def test_a_model_read_back_answers_the_same(tmp_path, network, facts, image) -> None:
    _write(tmp_path, network(), facts)
    before = ImageClassificationPredictor(network(), facts)
    after = artifact.load(tmp_path)
    request = before.decode(image(), PNG)
    np.testing.assert_array_equal(before.predict([request]), after.predict([request]))


@pytest.mark.parametrize(
    "facts",
    [
        ModelFacts(20, (3, 28, 28), 2),
        ModelFacts(
            50, (1, 224, 200), 3, is_multi_label=True, resize=256, class_names=("a", "b", "c")
        ),
    ],
)
def test_facts_read_back_are_the_facts(facts: ModelFacts) -> None:
    assert ModelFacts.from_json(json.loads(json.dumps(facts.as_json()))) == facts


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_layers", 19), ("num_layers", None), ("image_shape", [3, 28]), ("image_shape", "3,28,28"),
        ("image_shape", [2, 28, 28]), ("image_shape", [3, 0, 28]), ("image_shape", [3, 28, 10**6]),
        ("num_classes", 0), ("num_classes", 10**9), ("resize", 0), ("class_names", ["a"]),
    ],
)  # fmt: skip
def test_facts_that_no_training_writes_are_refused(
    tmp_path, network, facts, name: str, value: object
) -> None:
    _write(tmp_path, network(), facts)
    document = json.loads((tmp_path / "model.json").read_text())
    document["facts"][name] = value
    (tmp_path / "model.json").write_text(json.dumps(document))
    with pytest.raises(UserError, match="does not describe an image classifier"):
        artifact.load(tmp_path)


def test_weights_of_another_network_are_refused(tmp_path, network, facts) -> None:
    _write(tmp_path, network(ModelFacts(20, (3, 12, 16), 5)), facts)
    with pytest.raises(UserError, match=r"size mismatch for fc\.weight"):
        artifact.load(tmp_path)


def test_a_model_of_another_algorithm_is_refused(tmp_path, network, facts) -> None:
    _write(tmp_path, network(), facts)
    text = (tmp_path / "model.json").read_text().replace("image_classification", "deepar")
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(
        UserError, match="expected a model of image_classification; got one of deepar"
    ):
        artifact.load(tmp_path)


def test_a_snapshot_has_the_service_s_name_and_all_weights(tmp_path, network) -> None:
    path = artifact.write_snapshot(tmp_path, network(), 3)
    assert path.name == "image-classification-0003.safetensors"
    from safetensors.torch import load_file  # noqa: PLC0415

    assert load_file(path).keys() == network().state_dict().keys()
