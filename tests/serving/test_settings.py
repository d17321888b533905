"""What the platform's environment means."""

import pytest

from sm_dl.errors import UserError
from sm_dl.serving.settings import Settings


def test_an_empty_environment_gives_the_services_limit():
    assert Settings.from_environment({}).max_body_bytes == 6_291_456


def test_the_platform_sets_the_largest_payload():
    assert Settings.from_environment({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "100"}).max_payload_mb == 100


def test_the_platform_sets_the_default_accept():
    environment = {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": " text/csv "}
    assert Settings.from_environment(environment).default_accept == "text/csv"


def test_a_transform_container_gives_a_predict_the_time_of_a_transform_job():
    times = [
        Settings.from_environment({"SAGEMAKER_BATCH": text}).predict_s for text in ("true", "")
    ]
    assert times == [3600, 60]


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("True", True), ("false", False)])
def test_the_platform_asks_for_many_models(text, expected):
    assert Settings.from_environment({"SAGEMAKER_MULTI_MODEL": text}).is_multi_model is expected


@pytest.mark.parametrize("text", ["0", "-1", "6.5", "six", "1025", "9" * 5000, "\u0666"])
def test_a_payload_that_is_no_number_in_range_is_refused(text):
    with pytest.raises(UserError, match="SAGEMAKER_MAX_PAYLOAD_IN_MB: expected an integer >= 1"):
        Settings.from_environment({"SAGEMAKER_MAX_PAYLOAD_IN_MB": text})
