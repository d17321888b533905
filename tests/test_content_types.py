"""Media types are read as RFC 9110 spells them, and as users do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sm_dl.content_types import ALIASES, JSON, JSON_LINES, PARQUET, negotiate, parse

OFFERED = (JSON, JSON_LINES)
steady = settings(derandomize=True, deadline=None)


@pytest.mark.parametrize("alias", ALIASES)
def test_every_alias_means_a_type_that_has_a_name(alias: str) -> None:
    assert parse(alias).name in {JSON, JSON_LINES, PARQUET}


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_spelt_in_lower_case(alias: str) -> None:
    assert alias == alias.lower()


@pytest.mark.parametrize(
    "header",
    [
        "application/json",
        " Application/JSON ",
        "application/json;charset=utf-8",
        "application/json ; a=b; c",
        "application/json;;",
    ],
)
def test_case_blanks_and_parameters_do_not_change_the_type(header: str) -> None:
    assert parse(header).name == JSON


@pytest.mark.parametrize(
    ("header", "parameters"),
    [
        ("text/csv", {}),
        ("text/csv; label_size=0", {"label_size": "0"}),
        ('text/csv;Label_Size="1" ; b = 2', {"label_size": "1", "b": "2"}),
        ("application/x-recordio; label-format=class-id", {"label-format": "class-id"}),
        ("text/csv; flag", {"flag": ""}),
        ("text/csv; =1", {}),
        ("text/csv; a=b=c", {"a": "b=c"}),
    ],
)
def test_parameters_are_read_apart_from_the_type(header: str, parameters: dict[str, str]) -> None:
    assert parse(header).parameters == parameters


@pytest.mark.parametrize(
    "header",
    ["", "   ", "*/*", "application/*", "*/*;q=0.1", "text/csv, */*", "TEXT/CSV,*/*;q=0.1"],
)
def test_an_accept_header_that_leaves_the_choice_gets_the_default(header: str) -> None:
    assert negotiate(header, OFFERED, JSON) == JSON


def test_no_accept_header_gets_the_default() -> None:
    assert negotiate(None, OFFERED, JSON_LINES) == JSON_LINES


@pytest.mark.parametrize(
    "header",
    [
        "application/jsonlines",
        "application/jsonlines, application/json",
        "application/json;q=0.5, application/jsonlines",
        "application/json;q=0.5, application/jsonlines;q=0.6, */*;q=0.1",
        "text/csv, application/jsonlines;q=0.1",
        "APPLICATION/JSONLINES ; Q=1",
        "application/json;q=0, application/jsonlines",
    ],
)
def test_the_preferred_of_the_offered_types_wins(header: str) -> None:
    assert negotiate(header, OFFERED, JSON) == JSON_LINES


@pytest.mark.parametrize(
    "header",
    [
        "text/csv",
        "text/*",
        "image/*, text/csv",
        "application/json;q=0",
        "application/json;q=no",
        "application/json;q=nan",
        "*/*;q=0",
        ",,",
        "json",
        "application",
        "*",
    ],
)
def test_a_type_that_is_not_offered_or_not_wanted_is_no_answer(header: str) -> None:
    assert negotiate(header, (JSON,), JSON) is None


def test_a_type_ruled_out_by_name_is_not_given_for_any_type() -> None:
    assert negotiate("application/json;q=0, */*", OFFERED, JSON) == JSON_LINES


@steady
@given(st.text(st.sampled_from("*/;,=q01. ajsonplict\x00é\"'"), max_size=60))
def test_no_accept_header_leads_to_anything_but_an_offer(header: str) -> None:
    assert negotiate(header, OFFERED, JSON) in {*OFFERED, None}


VERBOSE = (JSON, JSON_LINES, f"{JSON};verbose=true")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("application/json", JSON),
        ("application/json;verbose=True", f"{JSON};verbose=true"),
        ("application/json; VERBOSE = TRUE ;q=0.5", f"{JSON};verbose=true"),
        ("application/json;verbose=false", JSON),
        ("application/json;charset=utf-8", JSON),
        ("application/jsonlines;verbose=true", JSON_LINES),
        ("text/csv, application/json;verbose=true", f"{JSON};verbose=true"),
        ("application/json;verbose=true;q=0.1, application/jsonlines", JSON_LINES),
        ("application/*;verbose=true", JSON),
    ],
)
def test_a_parameter_picks_the_answer_that_is_offered_with_it(header: str, expected: str) -> None:
    assert negotiate(header, VERBOSE, JSON) == expected
