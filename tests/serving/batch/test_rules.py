"""Settings of a transform job: ranges, what goes with what, and who is asked first."""

import pytest

from sm_dl.errors import UserError
from sm_dl.serving.batch.rules import Rules, Tunables

LONG = "$." + "a" * 62


def refusal(**rules):
    with pytest.raises(UserError) as refused:
        Rules(**rules)
    return str(refused.value)


def test_the_defaults_are_the_services():
    assert vars(Rules()) == {
        "content_type": None,
        "accept": None,
        "compression_type": None,
        "split_type": "None",
        "batch_strategy": "MultiRecord",
        "assemble_with": "None",
        "max_payload_mb": 6,
        "max_concurrent_transforms": 1,
        "invocations_timeout_s": 600,
        "invocations_max_retries": 3,
        "input_filter": "$",
        "output_filter": "$",
        "join_source": "None",
    }


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_payload_mb", (1, 100)),
        ("max_concurrent_transforms", (1, 16)),
        ("invocations_timeout_s", (1, 3600)),
        ("invocations_max_retries", (0, 3)),
    ],
)
def test_every_edge_of_a_range_is_accepted(name, values):
    assert [getattr(Rules(**{name: value}), name) for value in values] == list(values)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            {"max_payload_mb": -1},
            "maximum payload (MB): expected an integer >= 1 and <= 100; got -1",
        ),
        ({"max_payload_mb": 101}, ">= 1 and <= 100; got 101"),
        ({"max_concurrent_transforms": 0}, "concurrent transforms: expected an integer >= 1"),
        ({"max_concurrent_transforms": 101}, "<= 100; got 101"),
        ({"invocations_timeout_s": 0}, "invocations timeout (s): expected an integer >= 1"),
        ({"invocations_timeout_s": 3601}, "<= 3600; got 3601"),
        ({"invocations_max_retries": -1}, "invocations retries: expected an integer >= 0"),
        ({"invocations_max_retries": 4}, "<= 3; got 4"),
        ({"split_type": "line"}, "split type: expected one of None, Line, RecordIO, TFRecord"),
        ({"batch_strategy": "Both"}, "batch strategy: expected one of MultiRecord, SingleRecord"),
        ({"assemble_with": "RecordIO"}, "assemble with: expected one of None, Line"),
        ({"compression_type": "Zip"}, "compression type: expected one of None, Gzip"),
        ({"join_source": "Output"}, "join source: expected one of None, Input"),
    ],
)
def test_every_outside_value_is_refused(rule, expected):
    assert expected in refusal(**rule)


def test_a_payload_of_zero_is_refused_with_its_reason():
    assert refusal(max_payload_mb=0) == (
        "maximum payload: 0 asks for a body without a limit, sent in chunks, which no algorithm "
        "here reads. Set 1 to 100 (MB)."
    )


@pytest.mark.parametrize(("payload", "concurrency"), [(100, 1), (1, 100), (50, 2), (6, 16)])
def test_a_hundred_mb_may_be_under_way(payload, concurrency):
    assert Rules(max_payload_mb=payload, max_concurrent_transforms=concurrency)


@pytest.mark.parametrize(("payload", "concurrency"), [(100, 2), (51, 2), (6, 17)])
def test_more_than_a_hundred_mb_under_way_are_refused(payload, concurrency):
    message = refusal(max_payload_mb=payload, max_concurrent_transforms=concurrency)
    assert f"{concurrency} x {payload} MB = {concurrency * payload} MB" in message


@pytest.mark.parametrize("name", ["input_filter", "output_filter"])
def test_a_filter_is_checked_at_once(name):
    assert f"{name.replace('_', ' ')}: expected at most 63 characters; got 64" in refusal(
        **{name: LONG}
    )


@pytest.mark.parametrize("rules", [{"input_filter": "$.a"}, {"output_filter": "$[1:]"}])
@pytest.mark.parametrize("split", ["RecordIO", "TFRecord"])
def test_binary_records_are_not_filtered(split, rules):
    assert "expected split type None or Line" in refusal(split_type=split, **rules)


@pytest.mark.parametrize(("split", "assembly"), [("Line", "None"), ("None", "Line")])
def test_a_join_needs_the_same_split_and_assembly(split, assembly):
    message = refusal(join_source="Input", split_type=split, assemble_with=assembly)
    assert f"expected the same split type and assemble with; got {split} and {assembly}" in message


def test_a_join_needs_the_same_type_in_and_out():
    message = refusal(join_source="Input", content_type="application/json", accept="text/csv")
    assert "expected the same content type and accept" in message


@pytest.mark.parametrize(
    "accept", ["application/jsonlines", "Application/X-JsonLines", "application/jsonlines; q=1"]
)
def test_other_spellings_of_a_type_are_the_same_type(accept):
    assert Rules(join_source="Input", content_type="application/jsonlines", accept=accept).is_joined


# --- who is asked first ------------------------------------------------------------------------

OFFERED = {"MaxConcurrentTransforms": 4, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 10}


def test_the_user_is_asked_first():
    asked = Tunables(
        batch_strategy="MultiRecord", max_payload_mb=2, max_concurrent_transforms=3
    ).settled(OFFERED)
    assert asked == {
        "batch_strategy": "MultiRecord",
        "max_payload_mb": 2,
        "max_concurrent_transforms": 3,
    }


def test_then_the_server():
    assert Tunables().settled(OFFERED) == {
        "batch_strategy": "SingleRecord",
        "max_payload_mb": 10,
        "max_concurrent_transforms": 4,
    }


def test_then_the_defaults_hold():
    assert Rules(**Tunables().settled({})) == Rules()


def test_each_setting_is_settled_by_itself():
    settled = Tunables(max_payload_mb=2).settled({"MaxConcurrentTransforms": 5})
    assert settled == {"max_payload_mb": 2, "max_concurrent_transforms": 5}


@pytest.mark.parametrize("value", [0, -1, 101, "4", None, True, 2.5, [4]])
def test_what_makes_no_sense_is_not_offered(value):
    offered = {"MaxConcurrentTransforms": value, "MaxPayloadInMB": value, "BatchStrategy": value}
    assert Tunables().settled(offered) == {}


def test_an_offered_concurrency_is_lowered_to_fit_the_payload():
    settled = Tunables(max_payload_mb=60).settled({"MaxConcurrentTransforms": 8})
    assert Rules(**settled).max_concurrent_transforms == 1


def test_an_offered_concurrency_fits_the_default_payload():
    assert Tunables().settled({"MaxConcurrentTransforms": 96})["max_concurrent_transforms"] == 16


def test_a_concurrency_that_was_asked_for_is_not_lowered():
    settled = Tunables(max_payload_mb=60, max_concurrent_transforms=2).settled({})
    with pytest.raises(UserError, match="2 x 60 MB = 120 MB"):
        Rules(**settled)


def test_a_concurrency_of_zero_is_none():
    asked = Tunables(max_concurrent_transforms=0)
    assert asked.settled(OFFERED)["max_concurrent_transforms"] == 4
    assert asked.environment() == {}


def test_a_payload_of_zero_reaches_its_refusal():
    with pytest.raises(UserError, match="maximum payload: 0 asks for"):
        Rules(**Tunables(max_payload_mb=0).settled(OFFERED))


def test_the_environment_tells_what_the_user_has_set():
    asked = Tunables(batch_strategy="SingleRecord", max_payload_mb=2, max_concurrent_transforms=3)
    assert asked.environment() == {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "2",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3",
    }


def test_the_environment_tells_nothing_the_user_has_not_set():
    assert Tunables().environment() == {}
