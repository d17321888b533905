"""What pydantic finds is said in our sentences: place, expected, got, what to do."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sm_dl.errors import UserError
from sm_dl.job.validation import MAX_ERRORS_SHOWN, expectation, validate


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("odd")
    return value


class Oven(BaseModel):
    model_config = ConfigDict(extra="forbid")

    heat: int = Field(default=180, ge=50, le=250)
    share: float = Field(default=0.5, gt=0, lt=1)
    mode: Literal["top", "bottom", "both"] = "both"
    size: Literal["auto"] | int = "auto"
    door: bool = False
    label: str = ""
    patience: int | None = Field(default=None, ge=1)
    layers: tuple[Literal["cake", "cream"], ...] = ()
    trays: Annotated[int, AfterValidator(_even)] = 2
    tags: Mapping[str, Any] = Field(default_factory=dict)
    recipe: str = Field(default="", json_schema_extra={"expected": "a cake or a pie"})

    @model_validator(mode="after")
    def _hot_enough(self) -> "Oven":
        if self.mode == "top" and self.heat < 100:
            raise ValueError("mode top needs heat of at least 100")
        return self


def _message(values: Mapping[str, object], model: type[BaseModel] = Oven) -> str:
    with pytest.raises(UserError) as refusal:
        validate(model, values, place="setting")
    return str(refusal.value)


def test_good_values_give_the_model() -> None:
    assert validate(Oven, {"heat": 200}, place="setting") == Oven(heat=200)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"heat": 49}, "setting heat: expected an integer >= 50 and <= 250; got 49."),
        ({"heat": "x"}, "setting heat: expected an integer >= 50 and <= 250; got 'x'."),
        ({"heat": None}, "setting heat: expected an integer >= 50 and <= 250; got None."),
        ({"share": 0}, "setting share: expected a number > 0 and < 1; got 0."),
        ({"share": []}, "setting share: expected a number > 0 and < 1; got []."),
        ({"size": "big"}, "setting size: expected auto or an integer; got 'big'."),
        ({"door": "ajar"}, "setting door: expected true or false; got 'ajar'."),
        ({"label": 5}, "setting label: expected a string; got 5."),
        ({"patience": 0}, "setting patience: expected an integer >= 1; got 0."),
        ({"layers": "cake"}, "setting layers: expected a list of one of cake, cream; got 'cake'."),
        ({"trays": 3}, "setting trays: expected an integer; got 3 (odd)."),
        ({"tags": 5}, "setting tags: expected a mapping; got 5."),
        ({"recipe": 5}, "setting recipe: expected a cake or a pie; got 5."),
        ({"mode": "zzzz"}, "setting mode: expected one of top, bottom, both; got 'zzzz'."),
        (
            {"mode": "botom"},
            "setting mode: expected one of top, bottom, both; got 'botom'. Did you mean 'bottom'?",
        ),
        (
            {"haet": 1},
            "Additional settings are not allowed ('haet' was unexpected). Did you mean 'heat'?",
        ),
        ({"mode": "top", "heat": 60}, "settings: mode top needs heat of at least 100."),
    ],
)
def test_a_wrong_value_is_one_sentence(values: dict[str, object], sentence: str) -> None:
    assert _message(values) == sentence


def test_an_unknown_name_like_no_other_is_answered_by_all_names() -> None:
    assert _message({"zzzz": 1}).endswith(f" Known: {', '.join(Oven.model_fields)}.")


def test_a_missing_value_says_what_to_set() -> None:
    class Needed(BaseModel):
        heat: int = Field(ge=1)

    message = _message({}, Needed)
    assert message == "setting heat is required: expected an integer >= 1; set it."


@pytest.mark.parametrize("place", ["job.yaml: key", "job.yaml: resources key"])
def test_an_unknown_name_is_placed_before_it_is_named(place: str) -> None:
    with pytest.raises(UserError, match=r"^job\.yaml: .*'haet' was unexpected"):
        validate(Oven, {"haet": 1}, place=place)


def test_a_long_value_is_cut() -> None:
    assert len(_message({"heat": "x" * 10_000})) < 200


@pytest.mark.parametrize("count", [1, MAX_ERRORS_SHOWN, MAX_ERRORS_SHOWN + 1, 50])
def test_no_more_than_the_first_five_are_told(count: int) -> None:
    message = _message({f"zz{index}": 1 for index in range(count)})
    assert message.count("was unexpected") == min(count, MAX_ERRORS_SHOWN)


def test_the_known_names_are_told_once() -> None:
    assert _message({"zz1": 1, "zz2": 1, "zz3": 1}).count("Known: ") == 1


def test_the_others_are_counted() -> None:
    message = _message({f"zz{index}": 1 for index in range(MAX_ERRORS_SHOWN + 3)})
    assert message.endswith(" And 3 more.")


def test_two_wrong_values_are_two_sentences() -> None:
    assert _message({"heat": 1, "door": "ajar"}).count("; got ") == 2


def test_a_union_is_one_sentence_whatever_it_tried() -> None:
    assert _message({"size": [1]}).count("; got ") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("heat", "an integer >= 50 and <= 250"),
        ("share", "a number > 0 and < 1"),
        ("mode", "one of top, bottom, both"),
        ("size", "auto or an integer"),
        ("door", "true or false"),
        ("label", "a string"),
        ("patience", "an integer >= 1"),
        ("tags", "a mapping"),
        ("layers", "a list of one of cake, cream"),
        ("recipe", "a cake or a pie"),
    ],
)
def test_an_expectation_is_built_from_the_declaration(name: str, words: str) -> None:
    assert expectation(Oven.model_fields[name]) == words
