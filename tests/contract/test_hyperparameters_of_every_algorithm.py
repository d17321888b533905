"""Whatever a value is spelled like, it is taken or refused as the service's table of ranges says."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl import registry
from sm_dl.errors import UserError
from tests.small_job import small_job

SPECIFICATION = Path(__file__).parents[1] / "assets" / "specification"
steady = settings(derandomize=True, deadline=None, max_examples=60)


def _rows(*types: str) -> list[Any]:
    return [
        pytest.param(name, row, id=f"{name}-{row['name']}")
        for name in registry.names()
        for row in json.loads((SPECIFICATION / f"{name}.hyperparameters.json").read_text())
        if row["type"] in types
    ]


INTEGERS, FLOATS, CHOICES = _rows("int"), _rows("float"), _rows("enum")
SWITCHES = _rows("bool")
OWN_BOUNDS = {("deepar", "num_layers"): 1000}
"""Where the tables have none, and what lies beyond would never end."""
SPELLINGS: list[Callable[[str], str]] = ["{}".format, " {} ".format, '"{}"'.format, "{}\n".format]


def _refusal(algorithm: str, name: str, value: object) -> str | None:
    """Return why a value is refused beside those of the small job, or None when it is taken."""
    values = {**small_job(algorithm).hyperparameters, name: value}
    try:
        registry.get(algorithm).hyperparameters.parse(values)
    except UserError as refusal:
        return str(refusal)
    return None


def _is_inside(algorithm: str, row: dict[str, Any], number: float) -> bool:
    if number > OWN_BOUNDS.get((algorithm, row["name"]), math.inf):
        return False
    if row["choices"]:
        return number in row["choices"]
    return (row["min"] is None or number >= row["min"]) and (
        row["max"] is None or number <= row["max"]
    )


def test_the_tables_have_rows_of_each_kind() -> None:
    assert min(len(INTEGERS), len(FLOATS), len(CHOICES)) > 0


@pytest.mark.parametrize(("algorithm", "row"), INTEGERS)
@steady
@given(number=st.integers(-(10**6), 10**6) | st.integers(-3, 3), index=st.integers(0, 3))
def test_an_integer_is_taken_exactly_inside_its_range(
    algorithm: str, row: dict[str, Any], number: int, index: int
) -> None:
    reason = _refusal(algorithm, row["name"], SPELLINGS[index](str(number)))
    assert (reason is None) == _is_inside(algorithm, row, number)
    assert reason is None or f"hyperparameter {row['name']}: expected " in reason


@pytest.mark.parametrize(("algorithm", "row"), INTEGERS)
@pytest.mark.parametrize("text", ["1" + 20 * "0", "2147483648"])
def test_an_integer_that_no_computation_could_hold_is_refused(
    algorithm: str, row: dict[str, Any], text: str
) -> None:
    reason = _refusal(algorithm, row["name"], text)
    assert reason is not None
    assert f"hyperparameter {row['name']}: expected " in reason


@pytest.mark.parametrize(("algorithm", "row"), FLOATS)
@steady
@given(number=st.floats(-10, 10, allow_nan=False), index=st.integers(0, 3))
def test_a_number_is_taken_exactly_inside_its_range(
    algorithm: str, row: dict[str, Any], number: float, index: int
) -> None:
    if number in (row["min"], row["max"]):
        return  # the tables do not say whether an edge belongs to a range; each algorithm's test does
    reason = _refusal(algorithm, row["name"], SPELLINGS[index](repr(number)))
    assert (reason is None) == _is_inside(algorithm, row, number)
    assert reason is None or f"hyperparameter {row['name']}: expected " in reason


@pytest.mark.parametrize(("algorithm", "row"), CHOICES)
@pytest.mark.parametrize("spelled", SPELLINGS)
def test_every_choice_is_taken_in_every_spelling(
    algorithm: str, row: dict[str, Any], spelled: Callable[[str], str]
) -> None:
    refused = {one: _refusal(algorithm, row["name"], spelled(one)) for one in row["choices"]}
    assert set(refused.values()) == {None}, refused


@pytest.mark.parametrize(("algorithm", "row"), CHOICES)
@steady
@given(text=st.text(min_size=1, max_size=12))
def test_no_other_text_is_a_choice(algorithm: str, row: dict[str, Any], text: str) -> None:
    meant = text.strip().strip('"').strip().lower()
    if meant in {"", *(one.lower() for one in row["choices"])}:
        return
    reason = _refusal(algorithm, row["name"], text)
    assert reason is not None
    assert f"hyperparameter {row['name']}: expected one of {row['choices'][0]}" in reason


@pytest.mark.parametrize(("algorithm", "row"), INTEGERS + FLOATS + CHOICES)
@pytest.mark.parametrize("value", ["[1]", '["a"]', "{}", '{"a": 1}', "[[]]", "null", "1,2", "1;2"])
def test_a_list_or_an_object_is_no_single_value(
    algorithm: str, row: dict[str, Any], value: str
) -> None:
    reason = _refusal(algorithm, row["name"], value)
    assert reason is not None
    assert reason.startswith(f"hyperparameter {row['name']}: expected ")


@pytest.mark.parametrize(("algorithm", "row"), INTEGERS + FLOATS)
@pytest.mark.parametrize(
    "value", ["true", "False", True, "nan", "inf", "0x1", "1 000", "1_000", "\u0663"]
)
def test_what_only_resembles_a_number_is_refused(
    algorithm: str, row: dict[str, Any], value: object
) -> None:
    is_meant = value == "inf" and row["default"] == "Inf"  # the service's way to say "no limit"
    assert (_refusal(algorithm, row["name"], value) is None) == is_meant


@pytest.mark.parametrize(("algorithm", "row"), INTEGERS)
@pytest.mark.parametrize("text", ["1e3", "1E3", "1.5", "2.0000001"])
def test_an_integer_has_no_exponent_and_no_fraction(
    algorithm: str, row: dict[str, Any], text: str
) -> None:
    assert _refusal(algorithm, row["name"], text) is not None


@pytest.mark.parametrize(("algorithm", "row"), INTEGERS)
@pytest.mark.parametrize("text", ["{}", "+{}", "0{}", "00{}", "{}.0"])
def test_leading_zeros_signs_and_a_decimal_zero_change_nothing(
    algorithm: str, row: dict[str, Any], text: str
) -> None:
    number = row["min"] or (row["choices"] or [1])[0]
    assert _refusal(algorithm, row["name"], text.format(number)) is None


@pytest.mark.skipif(not SWITCHES, reason="no algorithm so far has a true or false")
@pytest.mark.parametrize(("algorithm", "row"), SWITCHES)
def test_a_switch_is_taken_in_every_spelling(algorithm: str, row: dict[str, Any]) -> None:
    spellings = ["true", "True", "TRUE", "1", "false", "False", "FALSE", "0", '"true"', " true "]
    refused = {text: _refusal(algorithm, row["name"], text) for text in spellings}
    assert set(refused.values()) == {None}, refused


@pytest.mark.parametrize("algorithm", registry.names())
@steady
@given(values=st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4))
def test_no_names_and_values_lead_to_anything_but_a_sentence(
    algorithm: str, values: dict[str, str]
) -> None:
    known = set(registry.get(algorithm).hyperparameters.model_fields)
    unknown = [name for name in values if not name.startswith("_") and name not in known]
    try:
        registry.get(algorithm).hyperparameters.parse(
            {**small_job(algorithm).hyperparameters, **values}
        )
    except UserError as refusal:
        assert len(str(refusal)) < 2000  # noqa: PT017 - both ends are right
    else:
        assert unknown == []
