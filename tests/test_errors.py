"""An error says who must act, and repeats no more of a value than fits into a sentence."""

import re

import pytest

from sm_dl.errors import (
    SHOWN_CHARACTERS,
    AlgorithmError,
    JobError,
    PlatformError,
    UserError,
    near_miss,
    optional_import,
    shown,
)


@pytest.mark.parametrize(
    ("error", "exit_code", "label"),
    [
        (UserError, 2, "ClientError"),
        (AlgorithmError, 1, "AlgorithmError"),
        (PlatformError, 3, "InternalServerError"),
    ],
)
def test_the_culprit_decides_exit_code_and_label(
    error: type[JobError], exit_code: int, label: str
) -> None:
    assert (error.exit_code, error.failure_label) == (exit_code, label)


@pytest.mark.parametrize("value", ["H", 5, None, [1, 2], 0.1, b"x"])
def test_a_short_value_is_shown_whole(value: object) -> None:
    assert shown(value) == repr(value)


@pytest.mark.parametrize("length", [SHOWN_CHARACTERS - 1, SHOWN_CHARACTERS, 10_000])
def test_a_long_value_is_cut_to_fit(length: int) -> None:
    text = shown("x" * length)
    assert (len(text), text[-3:]) == (SHOWN_CHARACTERS, "...")


def test_a_value_that_just_fits_is_not_cut() -> None:
    assert shown("x" * (SHOWN_CHARACTERS - 2)).endswith("x'")


def test_a_line_break_in_a_value_does_not_break_the_sentence() -> None:
    assert shown("a\nb") == r"'a\nb'"


def test_a_value_nested_too_deep_to_print_is_still_shown() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    assert len(shown(value)) <= SHOWN_CHARACTERS


@pytest.mark.parametrize(
    ("name", "meant"),
    [("epoch", "epochs"), ("EPOCHS", "epochs"), ("student-t", "student-T"), ("epcohs", "epochs")],
)
def test_a_slip_is_answered_by_the_nearest_name(name: str, meant: str) -> None:
    assert near_miss(name, ["epochs", "student-T"]) == f" Did you mean {meant!r}?"


@pytest.mark.parametrize("name", ["", "zzz", "e" * 10_000])
def test_a_name_like_no_other_gets_no_advice(name: str) -> None:
    assert near_miss(name, ["epochs", "student-T"]) == ""


def test_without_known_names_there_is_no_advice() -> None:
    assert near_miss("epochs", []) == ""


def test_an_installed_optional_module_is_returned() -> None:
    assert optional_import("json.decoder", extra="x", purpose="reading").__name__ == "json.decoder"


def test_a_missing_optional_module_names_the_command_that_installs_it() -> None:
    sentence = (
        "reading Parquet needs the package no_such_package, which is not installed. "
        "Install it with: pip install 'sm_dl[tables]'"
    )
    with pytest.raises(UserError, match=re.escape(sentence)):
        optional_import("no_such_package.part", extra="tables", purpose="reading Parquet")
