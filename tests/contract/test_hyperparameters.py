"""A hyperparameter means the same in the service's strings, in local mode's JSON and in YAML."""

import json
import math
from collections.abc import Mapping
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from sm_dl.contract.hyperparameters import (
    MAX_COUNT,
    MAX_INTEGER,
    MAX_NAME_CHARACTERS,
    MAX_VALUE_CHARACTERS,
    FloatList,
    Hyperparameters,
    JsonList,
    hyperparameter,
)
from sm_dl.errors import UserError

steady = settings(derandomize=True, deadline=None)
NO_INTEGERS = [
    *("1e3", "1E3", "2.5", "two", "0x10", "3 0", "3,0", "3;", "--3", "1/2"),
    *("nan", "inf", "true", "[3]", "1_000", "+1_000.0", "\u0663", "\uff13", ".0"),
    *(2.5, math.nan, math.inf, [3], {}),
]


class Oven(Hyperparameters):
    """One hyperparameter of each kind."""

    trays: int = hyperparameter(default=2, ge=1, tune=(1, 8))
    """How many
    at once."""
    heat: float = hyperparameter(default=180.0, gt=0, le=300)
    slope: float = hyperparameter(default=0.0)
    fan: bool = hyperparameter(default=False)
    patience: int | None = hyperparameter(default=None, ge=1)
    levels: FloatList = hyperparameter(default=(0.5,), expected="a JSON list of numbers")
    width: Literal["auto"] | Annotated[int, Field(ge=1)] = hyperparameter(default="auto")
    sizes: Annotated[tuple[int, ...], JsonList] = hyperparameter(default=(1,), expected="a list")
    key: int = hyperparameter(default=0, le=2**40)
    label: str = hyperparameter(default="plain")
    crust: str = hyperparameter(default="thin", empty="none")


class Needy(Hyperparameters):
    """Nothing goes without its one value."""

    trays: int = hyperparameter(ge=1)


def _message(values: Mapping[str, object], model: type[Hyperparameters] = Oven) -> str:
    with pytest.raises(UserError) as refusal:
        model.parse(values)
    return str(refusal.value)


def _spellings(text: str) -> list[str]:
    """Return a value as the platform, local mode and careless hands write it."""
    return [text, f" {text} ", f"{text}\n", json.dumps(text), f' "{text}" ', f'" {text} "']


# Spellings.


@pytest.mark.parametrize("value", [32, 32.0, *_spellings("32"), *_spellings("32.0"), "+32", "032"])
def test_an_integer_is_the_same_in_every_spelling(value: object) -> None:
    assert Oven.parse({"trays": value}).trays == 32


@pytest.mark.parametrize("value", [1e-4, *_spellings("1e-4"), *_spellings("0.0001"), "1E-04"])
def test_a_number_is_the_same_in_every_spelling(value: object) -> None:
    assert Oven.parse({"heat": value}).heat == 1e-4


@pytest.mark.parametrize("value", [True, 1, *_spellings("true"), *_spellings("True"), "1", "TRUE"])
def test_yes_is_the_same_in_every_spelling(value: object) -> None:
    assert Oven.parse({"fan": value}).fan is True


@pytest.mark.parametrize(
    "value", [False, 0, *_spellings("false"), *_spellings("False"), "0", "FALSE"]
)
def test_no_is_the_same_in_every_spelling(value: object) -> None:
    assert Oven.parse({"fan": value}).fan is False


@pytest.mark.parametrize(
    "value", [[0.1, 1], (0.1, 1), *_spellings("[0.1, 1]"), "[1e-1,1.0]", " [ 0.1 , 1 ] "]
)
def test_a_list_is_the_same_in_every_spelling(value: object) -> None:
    assert Oven.parse({"levels": value}).levels == (0.1, 1.0)


@pytest.mark.parametrize("value", _spellings("a b"))
def test_text_is_the_same_in_every_spelling(value: object) -> None:
    assert Oven.parse({"label": value}).label == "a b"


@pytest.mark.parametrize("value", ['"open', 'open"', '"a"b"', '"\\x"'])
def test_quotes_that_are_no_json_stay(value: str) -> None:
    assert Oven.parse({"label": value}).label == value


@pytest.mark.parametrize("value", [*_spellings(""), None, "\t"])
@pytest.mark.parametrize("name", ["trays", "heat", "fan", "patience", "levels", "label"])
def test_an_empty_string_is_not_given(name: str, value: object) -> None:
    assert Oven.parse({name: value}) == Oven()


@pytest.mark.parametrize("value", _spellings(""))
def test_an_empty_string_may_have_a_meaning(value: object) -> None:
    assert Oven.parse({"crust": value}).crust == "none"


def test_an_empty_string_for_a_required_value_is_a_missing_value() -> None:
    message = _message({"trays": ""}, Needy)
    assert message == "hyperparameter trays is required: expected an integer >= 1; set it."


@steady
@given(st.integers(1, MAX_INTEGER))
def test_every_integer_is_the_same_as_text(number: int) -> None:
    values = {Oven.parse({"trays": value}).trays for value in (number, *_spellings(str(number)))}
    assert values == {number}


@pytest.mark.parametrize("value", [MAX_INTEGER + 1, str(MAX_INTEGER + 1), "1" + 20 * "0", 10**20])
@pytest.mark.parametrize("name", ["trays", "patience", "width"])
def test_an_integer_too_large_to_compute_with_is_refused_with_the_largest(
    name: str, value: int | str
) -> None:
    message = _message({name: value})
    assert message.startswith(f"hyperparameter {name}: expected ")
    assert message.endswith(f" (the largest integer is {MAX_INTEGER}).")


def test_an_integer_in_a_list_is_bounded_as_one_alone_is() -> None:
    assert "the largest integer is" in _message({"sizes": f"[2, {MAX_INTEGER + 1}]"})


def test_a_bound_of_its_own_may_lie_beyond_the_largest_integer() -> None:
    assert Oven.parse({"key": str(2**40)}).key == 2**40


@pytest.mark.parametrize("value", ["1_0", "1_0.5", "1_0e1"])
@pytest.mark.parametrize("name", ["heat", "width", "patience"])
def test_a_number_has_no_underscores(name: str, value: str) -> None:
    assert _message({name: value}).endswith(f"; got {value!r}.")


@pytest.mark.parametrize("name", ["label", "crust"])
def test_a_text_may_look_like_a_number_with_underscores(name: str) -> None:
    assert getattr(Oven.parse({name: "1_000"}), name) == "1_000"


@steady
@given(st.floats(min_value=0, max_value=300, exclude_min=True))
def test_every_float_is_the_same_as_text(number: float) -> None:
    values = {Oven.parse({"heat": value}).heat for value in (number, *_spellings(repr(number)))}
    assert values == {number}


@steady
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5))
def test_every_list_is_the_same_as_json_text(numbers: list[float]) -> None:
    values = {Oven.parse({"levels": value}).levels for value in (numbers, json.dumps(numbers))}
    assert values == {tuple(numbers)}


@steady
@given(st.dictionaries(st.sampled_from(list(Oven.model_fields)), st.text(max_size=12)))
def test_no_text_leads_to_anything_but_values_or_a_sentence(values: dict[str, str]) -> None:
    try:
        found = Oven.parse(values)
    except UserError as refusal:
        assert str(refusal).startswith("hyperparameter ")  # noqa: PT017 - both ends are right
    else:
        assert Oven.parse(found.model_dump()) == found


# Refusals.


@pytest.mark.parametrize("value", NO_INTEGERS)
def test_what_is_no_integer_is_refused(value: object) -> None:
    assert _message({"trays": value}).startswith(
        "hyperparameter trays: expected an integer >= 1; got "
    )


@pytest.mark.parametrize("name", ["trays", "heat", "patience"])
@pytest.mark.parametrize("value", [True, False])
def test_yes_and_no_are_no_numbers(name: str, value: bool) -> None:
    assert _message({name: value}).startswith(f"hyperparameter {name}: expected")


@pytest.mark.parametrize("value", [[True], "[true]"])
def test_a_list_of_yes_and_no_is_no_list_of_numbers(value: object) -> None:
    assert _message({"levels": value}).startswith("hyperparameter levels: expected")


@pytest.mark.parametrize("value", ["hot", "1,5", "1e", "[1]", [1.5], {}, "0x1p3", "1 e3"])
def test_what_is_no_number_is_refused(value: object) -> None:
    assert _message({"heat": value}).startswith(
        "hyperparameter heat: expected a number > 0 and <= 300; got "
    )


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "Infinity", math.nan, math.inf, "1e999"])
@pytest.mark.parametrize("name", ["heat", "slope"])
def test_a_number_is_finite(name: str, value: object) -> None:
    assert _message({name: value}).startswith(f"hyperparameter {name}: expected a number")


@pytest.mark.parametrize("value", ["maybe", "2", 2, "[true]", 0.5])
def test_what_is_neither_yes_nor_no_is_refused(value: object) -> None:
    assert _message({"fan": value}).startswith("hyperparameter fan: expected true or false; got ")


@pytest.mark.parametrize(
    "value", ["0.1, 0.2", "0.1", "[0.1", "[a]", "{}", 0.1, ["a"], "[NaN]", "[[1]]", "(1, 2)"]
)
def test_what_is_no_list_of_numbers_is_refused(value: object) -> None:
    assert _message({"levels": value}).startswith(
        "hyperparameter levels: expected a JSON list of numbers; got "
    )


@pytest.mark.parametrize("value", ["open(1)", "__import__('os')", "[1 for _ in 'a']", "1+1"])
def test_a_value_is_never_run(value: str) -> None:
    assert repr(value) in _message({"levels": value})


def test_the_value_is_repeated_as_it_was_given() -> None:
    assert _message({"trays": ' "0" '}).endswith("""got ' "0" '.""")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("tray", "trays"), ("Heat", "heat"), ("PATIENCE", "patience"), ("sed", "seed")],
)
def test_an_unknown_name_is_answered_by_the_nearest(name: str, meant: str) -> None:
    assert _message({name: "1"}) == (
        f"Additional hyperparameters are not allowed ({name!r} was unexpected). "
        f"Did you mean {meant!r}?"
    )


@pytest.mark.parametrize("name", ["zzz", "", "model_config", "model_fields", "parse", " trays"])
def test_only_declared_names_are_known(name: str) -> None:
    assert f"({name!r} was unexpected)" in _message({name: "1"})


@pytest.mark.parametrize(
    "name",
    ["_tuning_objective_metric", "_kvstore", "_num_gpus", "_log_level", "_", "__class__", "_trays"],
)
@pytest.mark.parametrize("value", ["", "auto", "0", None])
def test_the_platforms_own_names_are_dropped(name: str, value: object) -> None:
    assert Oven.parse({name: value}) == Oven()


# Limits of the service.


def test_as_many_names_as_the_service_allows_are_read() -> None:
    assert Oven.parse({f"_{index}": "" for index in range(MAX_COUNT)}) == Oven()


def test_one_name_more_is_refused() -> None:
    message = _message({f"_{index}": "" for index in range(MAX_COUNT + 1)})
    assert message == "hyperparameters: expected at most 100 names; got 101."


def test_the_longest_name_is_read() -> None:
    assert Oven.parse({"_" + "x" * (MAX_NAME_CHARACTERS - 1): ""}) == Oven()


@pytest.mark.parametrize("letter", ["x", "_"])
def test_a_longer_name_is_refused(letter: str) -> None:
    message = _message({letter * (MAX_NAME_CHARACTERS + 1): ""})
    assert "expected a name of at most 256" in message


def test_the_longest_value_is_read() -> None:
    text = "x" * MAX_VALUE_CHARACTERS
    assert Oven.parse({"label": text}).label == text


@pytest.mark.parametrize("name", ["label", "trays", "_note"])
def test_a_longer_value_is_refused_by_the_name(name: str) -> None:
    message = _message({name: "x" * (MAX_VALUE_CHARACTERS + 1)})
    assert message.startswith(f"hyperparameter {name!r}: expected")
    assert "at most 2500 characters" in message


def test_the_limits_are_the_services() -> None:
    assert (MAX_COUNT, MAX_NAME_CHARACTERS, MAX_VALUE_CHARACTERS) == (100, 256, 2500)


# What is common to all algorithms.


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_a_seed_is_any_number_of_32_bits(seed: int) -> None:
    assert Oven.parse({"seed": str(seed)}).seed == seed


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_beyond_32_bits_is_refused(seed: int) -> None:
    assert "hyperparameter seed: expected an integer >= 0 and <= 4294967295" in _message(
        {"seed": str(seed)}
    )


def test_checked_hyperparameters_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Oven().trays = 3  # type: ignore[misc]


def test_parsing_does_not_change_what_was_given() -> None:
    given = {"trays": " 3 ", "levels": "[1]", "_x": "1"}
    before = dict(given)
    Oven.parse(given)
    assert given == before


# Declarations.


def test_everything_is_declared_once_and_the_extra_comes_last() -> None:
    names = [one.name for one in Oven.declarations()]
    assert names == [
        "trays",
        "heat",
        "slope",
        "fan",
        "patience",
        "levels",
        "width",
        "sizes",
        "key",
        "label",
        "crust",
        "seed",
        "max_bad_records",
    ]


def test_a_declaration_holds_the_facts_of_its_field() -> None:
    trays = Oven.declarations()[0]
    assert (trays.required, trays.default, trays.expected, trays.tune, trays.is_extra) == (
        False,
        2,
        "an integer >= 1",
        (1, 8),
        False,
    )


def test_a_docstring_over_several_lines_is_one_sentence() -> None:
    assert Oven.declarations()[0].doc == "How many at once."


def test_a_required_value_has_no_default() -> None:
    assert (Needy.declarations()[0].required, Needy.declarations()[0].default) == (True, None)


def test_what_is_not_the_services_is_marked() -> None:
    assert [one.name for one in Oven.declarations() if one.is_extra] == [
        "seed",
        "max_bad_records",
    ]
