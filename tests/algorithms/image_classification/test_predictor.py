"""Answers depend on the image alone, and are probabilities."""

import numpy as np
import pytest
import torch

from sm_dl.algorithms.image_classification import predictor as module
from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.predictor import ImageClassificationPredictor
from sm_dl.content_types import IMAGES, JSON_LINES, MediaType
from sm_dl.engine.strategy import Hardware
from sm_dl.errors import UserError
from sm_dl.serving.invoke import Call, invoke

PNG = MediaType("image/png")


def _requests(predictor, image, count: int = 5) -> list:
    return [predictor.decode(image(20 + index, 30), PNG) for index in range(count)]


def test_probabilities_of_one_class_an_image_add_up_to_1(predictor, image) -> None:
    answers = predictor.predict(_requests(predictor, image))
    assert [answer.shape for answer in answers] == [(4,)] * 5
    np.testing.assert_allclose(np.sum(answers, axis=1), 1, rtol=1e-5)


def test_probabilities_of_several_labels_stand_alone(network, image) -> None:
    facts = ModelFacts(20, (3, 12, 16), 4, is_multi_label=True)
    predictor = ImageClassificationPredictor(network(), facts)
    (answer,) = predictor.predict(_requests(predictor, image, 1))
    assert ((answer > 0) & (answer < 1)).all()
    assert abs(answer.sum() - 1) > 1e-3


def test_an_answer_is_the_same_alone_and_among_others(predictor, image) -> None:
    requests = _requests(predictor, image)
    together = predictor.predict(requests)
    alone = [predictor.predict([one])[0] for one in requests]
    np.testing.assert_allclose(together, alone, rtol=2e-3, atol=2e-3)


def test_more_images_than_fit_into_one_sweep_are_all_answered(
    predictor, image, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = _requests(predictor, image)
    whole = predictor.predict(requests)
    monkeypatch.setattr(module, "PIXELS_AT_ONCE", 2 * predictor.weight(requests[0]))
    np.testing.assert_allclose(predictor.predict(requests), whole, rtol=2e-3, atol=2e-3)


def test_bfloat16_answers_as_float32_does(network, facts, image, monkeypatch) -> None:
    answers = []
    for has_bf16 in (False, True):
        monkeypatch.setattr(module, "hardware", lambda has=has_bf16: Hardware(0, has_bf16=has))
        predictor = ImageClassificationPredictor(network(), facts)
        answers.append(predictor.predict(_requests(predictor, image)))
    np.testing.assert_allclose(answers[0], answers[1], atol=0.02)


@pytest.mark.parametrize("content_type", IMAGES)
def test_any_type_of_image_may_be_sent(predictor, image, content_type: str) -> None:
    response = invoke(predictor, Call(body=image(kind="JPEG"), content_type=content_type))
    assert (response.status, response.content_type) == (200, "application/json")


def test_another_type_is_refused(predictor, image) -> None:
    assert invoke(predictor, Call(body=image(), content_type="text/csv")).status == 415


def test_a_client_may_ask_for_json_lines(predictor, image) -> None:
    call = Call(body=image(), content_type="image/png", accept=JSON_LINES)
    assert invoke(predictor, call).body.startswith(b'{"prediction":[')


def test_a_variable_makes_serving_crop_as_validation_does(network, image, monkeypatch) -> None:
    facts = ModelFacts(20, (3, 12, 16), 4, resize=18)
    monkeypatch.setenv("IMAGE_CLASSIFICATION_FIT", "crop")
    cropping = ImageClassificationPredictor(network(), facts)
    monkeypatch.delenv("IMAGE_CLASSIFICATION_FIT")
    squashing = ImageClassificationPredictor(network(), facts)
    body = image(40, 90)
    assert (cropping.decode(body, PNG) != squashing.decode(body, PNG)).any()
    monkeypatch.setenv("IMAGE_CLASSIFICATION_FIT", "crop")
    assert ImageClassificationPredictor(network(), ModelFacts(20, (3, 12, 16), 4)).shorter_px == 16


def test_a_prediction_leaves_no_graph_behind(predictor, image) -> None:
    images = torch.from_numpy(np.stack(_requests(predictor, image)))
    assert not predictor.probabilities(images).requires_grad


def test_a_wrong_budget_of_pixels_ends_the_server_and_no_request(
    network, facts, monkeypatch
) -> None:
    monkeypatch.setenv("SM_DL_MAX_IMAGE_PIXELS", "lots")
    with pytest.raises(
        UserError, match="SM_DL_MAX_IMAGE_PIXELS: expected a whole number of pixels"
    ):
        ImageClassificationPredictor(network(), facts)
