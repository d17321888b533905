"""pydantic models checked with our own sentences: place, expected, got, what to do."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from sm_dl.errors import UserError, near_miss, shown

M = TypeVar("M", bound=BaseModel)

WORDS_BY_TYPE = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}
MAX_ERRORS_SHOWN = 5


def validate(model: type[M], values: Mapping[str, object], *, place: str) -> M:
    """Return the checked model.

    Args:
        model: A flat pydantic model.
        values: What the user gave, by field name.
        place: What to call one field in an error, e.g. "hyperparameter".
    Raises:
        UserError: One sentence for each wrong field, the first five.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        problems = _one_per_field(error.errors(include_url=False))
        sentences = [
            _sentence(model, values, problem, place) for problem in problems[:MAX_ERRORS_SHOWN]
        ]
        if len(problems) > MAX_ERRORS_SHOWN:
            sentences.append(f"And {len(problems) - MAX_ERRORS_SHOWN} more.")
        raise UserError(_said_once(" ".join(sentences), _known(model))) from None


def expectation(field: FieldInfo) -> str:
    """Return what a field accepts, in words built from its declaration alone."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and isinstance(extra.get("expected"), str):
        return str(extra["expected"])
    return _words(field.annotation) + _bounds(field)


def _words(annotation: Any) -> str:  # noqa: ANN401 - an annotation has no narrower type
    if get_origin(annotation) is Literal:
        choices = [str(choice) for choice in get_args(annotation)]
        return choices[0] if len(choices) == 1 else "one of " + ", ".join(choices)
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type) and issubclass(origin, BaseModel | Mapping):
        return "a mapping"
    if origin is tuple and get_args(annotation)[1:] == (...,):
        return f"a list of {_words(get_args(annotation)[0])}"
    if arguments := [a for a in get_args(annotation) if a is not type(None)]:
        return " or ".join(_words(argument) for argument in arguments)
    return WORDS_BY_TYPE.get(annotation, str(getattr(annotation, "__name__", annotation)))


def _bounds(field: FieldInfo) -> str:
    parts = []
    for rule in field.metadata:
        match rule:
            case Ge(ge=bound):
                parts.append(f">= {bound}")
            case Gt(gt=bound):
                parts.append(f"> {bound}")
            case Le(le=bound):
                parts.append(f"<= {bound}")
            case Lt(lt=bound):
                parts.append(f"< {bound}")
    return " " + " and ".join(parts) if parts else ""


def _one_per_field(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Keep the first error of each field: a union reports one for every member it tried."""
    seen: dict[object, ErrorDetails] = {}
    for error in errors:
        seen.setdefault(error["loc"][0] if error["loc"] else None, error)
    return list(seen.values())


def _by_alias(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or key: field for key, field in model.model_fields.items()}


def _sentence(
    model: type[BaseModel], values: Mapping[str, object], error: ErrorDetails, place: str
) -> str:
    if not error["loc"]:  # a rule about several fields: its own text says which
        return f"{place}s: {error['msg'].removeprefix('Value error, ')}."
    name = str(error["loc"][0])
    by_alias = _by_alias(model)
    field = by_alias.get(name)
    if field is None:
        hint = near_miss(name, by_alias) or _known(model)
        where, colon, noun = place.rpartition(": ")
        return f"{where}{colon}Additional {noun}s are not allowed ({name!r} was unexpected).{hint}"
    if error["type"] == "missing":
        return f"{place} {name} is required: expected {expectation(field)}; set it."
    got = values.get(name, error["input"])
    choices = _choices(field.annotation)
    hint = near_miss(got, choices) if isinstance(got, str) and got not in choices else ""
    why = (
        f" ({error['msg'].removeprefix('Value error, ')})" if error["type"] == "value_error" else ""
    )
    return f"{place} {name}: expected {expectation(field)}; got {shown(got)}{why}.{hint}"


def _known(model: type[BaseModel]) -> str:
    return f" Known: {', '.join(_by_alias(model))}."


def _said_once(text: str, part: str) -> str:
    """Return a text in which a part stands only where it stood first."""
    before, found, behind = text.partition(part)
    return before + found + behind.replace(part, "")


def _choices(annotation: Any) -> list[str]:  # noqa: ANN401 - an annotation has no narrower type
    if get_origin(annotation) is Literal:
        return [choice for choice in get_args(annotation) if isinstance(choice, str)]
    return [choice for part in get_args(annotation) for choice in _choices(part)]
