"""Hyperparameters as one frozen pydantic model per algorithm.

One declaration gives parsing from the service's strings, ranges, defaults, `describe`, the
tuning space and every error message.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self, get_args

import orjson
from annotated_types import Le, Lt
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from sm_dl.errors import UserError, shown
from sm_dl.job.validation import expectation, validate

MAX_COUNT, MAX_NAME_CHARACTERS, MAX_VALUE_CHARACTERS = 100, 256, 2500
"""The service's limits on a job's hyperparameters (contract, section 1.1)."""
MAX_INTEGER = 2**31 - 1
"""Of integers without a bound of their own: sizes beyond it overflow far inside torch."""
INTEGER = re.compile(r"[+-]?[0-9]+(\.0*)?")
"""Python's own `int` takes digits of all scripts, too."""
GROUPED = re.compile(r"[+-]?[0-9._]*_[0-9._]*(e[+-]?[0-9_]+)?", re.IGNORECASE)
"""A number with underscores, which pydantic takes as Python's grammar does, and the service does not."""


def hyperparameter(  # noqa: PLR0913 - one keyword per fact about a hyperparameter
    default: Any = ...,  # noqa: ANN401 - any type of field
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    tune: tuple[float, float] | tuple[str, ...] | None = None,
    expected: str | None = None,
    empty: str | None = None,
    extra: bool = False,
) -> Any:  # noqa: ANN401 - stands where the field's own type is declared
    """Declare one hyperparameter.

    Args:
        default: The service's default; absent for a required one.
        ge: Smallest allowed value.
        gt: The value must be above.
        le: Largest allowed value.
        lt: The value must be below.
        tune: The service's recommended tuning range, or the choices worth trying; absent where it
            cannot be tuned.
        expected: What is accepted, in words, where the type does not say it.
        empty: What an empty string means, where that is not "not given".
        extra: Ours, not the service's.
    """
    facts: dict[str, Any] = {
        "tune": list(tune) if tune else None,
        "expected": expected,
        "empty": empty,
        "extra": extra,
    }
    known = {key: value for key, value in facts.items() if value is not None}
    return Field(default, ge=ge, gt=gt, le=le, lt=lt, json_schema_extra=known)


class Hyperparameters(BaseModel):
    """Base of every algorithm's model; holds what all eight have beyond the service's names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    seed: int = hyperparameter(default=0, ge=0, le=2**32 - 1, extra=True)
    """Every random choice follows from it: same seed, same data, same machine, same model."""
    max_bad_records: int = hyperparameter(default=0, ge=0, extra=True)
    """So many records that cannot be read are left out, counted and named; one more ends the job."""

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Self:
        """Return the checked hyperparameters.

        Args:
            values: The service's strings or native values, by name. Names that begin with an
                underscore are the platform's own and are dropped.
        Raises:
            UserError: A name is unknown, a value is missing or out of its range.
        """
        if len(values) > MAX_COUNT:
            raise UserError(
                f"hyperparameters: expected at most {MAX_COUNT} names; got {len(values)}."
            )
        for name, value in values.items():
            too_long = isinstance(value, str) and len(value) > MAX_VALUE_CHARACTERS
            if len(str(name)) > MAX_NAME_CHARACTERS or too_long:
                raise UserError(
                    f"hyperparameter {shown(name)}: expected a name of at most {MAX_NAME_CHARACTERS} "
                    f"and a value of at most {MAX_VALUE_CHARACTERS} characters."
                )
        given = {name: value for name, value in values.items() if not str(name).startswith("_")}
        return validate(cls, given, place="hyperparameter")

    @model_validator(mode="before")
    @classmethod
    def _from_strings(cls, values: Any) -> Any:  # noqa: ANN401 - pydantic hands over anything
        if not isinstance(values, dict):
            return values
        native = {}
        for name, value in values.items():
            field = cls.model_fields.get(name)
            plain = _unquoted(value) if isinstance(value, str) else value
            if plain == "" and field is not None:
                plain = _fact(field, "empty")
            if plain is not None or field is None:  # an empty string means "not given"
                native[name] = _native(plain, field)
        return native

    @field_validator("*", mode="before")
    @classmethod
    def _spelled_plainly(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - of any field
        field = cls.model_fields[str(info.field_name)]
        if isinstance(value, str) and _is_number(field.annotation) and GROUPED.fullmatch(value):
            raise PydanticCustomError("grouped_digits", "no number")
        return value

    @field_validator("*")
    @classmethod
    def _of_a_size_to_compute_with(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401
        field = cls.model_fields[str(info.field_name)]
        if any(isinstance(rule, Le | Lt) for rule in field.metadata):
            return value
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(number, int) and abs(number) > MAX_INTEGER for number in numbers):
            raise ValueError(f"the largest integer is {MAX_INTEGER}")
        return value

    @classmethod
    def declarations(cls) -> list["Declaration"]:
        """Return what `describe` and the tuning space need to know, our own extras last."""
        found = [Declaration.of(name, field) for name, field in cls.model_fields.items()]
        return sorted(found, key=lambda one: one.is_extra)


@dataclass(frozen=True)
class Declaration:
    """One hyperparameter, as data."""

    name: str
    required: bool
    default: object
    expected: str
    tune: tuple[float, float] | tuple[str, ...] | None
    is_extra: bool
    doc: str

    @classmethod
    def of(cls, name: str, field: FieldInfo) -> "Declaration":
        """Return the declaration of one pydantic field."""
        tune = _fact(field, "tune")
        return cls(
            name=name,
            required=field.is_required(),
            default=None if field.is_required() else field.default,
            expected=expectation(field),
            tune=tuple(tune) if tune else None,
            is_extra=bool(_fact(field, "extra")),
            doc=" ".join((field.description or "").split()),
        )


def _fact(field: FieldInfo, key: str) -> Any:  # noqa: ANN401 - facts are of several types
    extra = field.json_schema_extra
    return extra.get(key) if isinstance(extra, dict) else None


def _unquoted(text: str) -> str:
    """Return the text without blanks and without the JSON quotes that local mode adds."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(orjson.loads(text)).strip()
        except orjson.JSONDecodeError:
            return text
    return text


def _native(value: object, field: FieldInfo | None) -> object:
    """Return an integer spelled `32.0` as one; leave everything else to the field's type.

    YAML's true and false become the service's strings: pydantic would take them for 1 and 0.
    """
    if isinstance(value, bool) and field is not None and field.annotation is not bool:
        return str(value).lower()
    if field is not None and isinstance(value, str) and field.annotation in (int, int | None):
        return int(value.partition(".")[0]) if INTEGER.fullmatch(value) else value
    return value


def _is_number(annotation: object) -> bool:
    """Return whether a number stands alone in a field, perhaps beside words or None."""
    return annotation in (int, float) or any(map(_is_number, get_args(annotation)))


def json_list(value: object) -> object:
    """Return the list a JSON text holds; leave anything but text as it is."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise ValueError("not a JSON list") from None
    if isinstance(value, list | tuple) and any(isinstance(item, bool) for item in value):
        raise ValueError("true and false are no numbers")
    return value


JsonList = BeforeValidator(json_list)
"""Accepts a list, or the JSON text of one."""

FloatList = Annotated[tuple[float, ...], JsonList]
"""A hyperparameter such as `test_quantiles`: `[0.1, 0.5]`, native or as JSON text."""
