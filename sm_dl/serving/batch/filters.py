"""Input filter, join and output filter of a transform job (contract, section 6).

A *document* is what the paths look into: one JSON value, or one row of CSV as a list of text. The
steps are filter, model, join, filter; the join takes the record as it was before the first filter.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonpath import JSONPathEnvironment, JSONPathError
from jsonpath.segments import JSONPathChildSegment
from jsonpath.selectors import (
    IndexSelector,
    JSONPathSelector,
    NameSelector,
    SliceSelector,
    WildcardSelector,
)

from sm_dl.errors import UserError, shown

WHOLE = "$"
MAX_CHARACTERS = 63
OPERATORS = "$, .name, *, ['a','b'], [1,3], [-1] and [start:end]"
DOT_BEFORE_BRACKET = re.compile(r"""('[^']*'|"[^"]*")|\.(?=\[)""")
"""The service's guide writes `$.field.['a','b']`, which the standard does not."""


@dataclass(frozen=True)
class Filter:
    """One JSONPath of the service's subset, RFC 9535 otherwise.

    Differs from the service's guide: it calls the end of a slice inclusive in prose; here it is
    exclusive, as in every JSONPath (contract, section 6).
    """

    text: str
    steps: tuple[tuple[JSONPathSelector, ...], ...]

    def select(self, document: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value, the list, or for several names the object that the path chooses.

        Several names as the last step give an object of these names, as in the library that the
        service's guide refers to (github.com/json-path/JsonPath).

        Raises:
            UserError: A name or index that the path spells out is not there.
        """
        nodes, is_single, is_spelt_out = [document], True, True
        for number, step in enumerate(self.steps):
            is_last = number == len(self.steps) - 1
            if is_last and is_single and len(step) > 1 and _all_names(step):
                names = [selector.name for selector in step if isinstance(selector, NameSelector)]
                return {name: self._child(nodes[0], name) for name in names}
            nodes = [
                child
                for node in nodes
                for selector in step
                for child in self._children(node, selector, is_required=is_spelt_out)
            ]
            is_spelt_out = is_spelt_out and all(map(_is_exact, step))
            is_single = is_single and len(step) == 1 and _is_exact(step[0])
        return nodes[0] if is_single else nodes

    def _children(
        self,
        node: Any,  # noqa: ANN401
        selector: JSONPathSelector,
        *,
        is_required: bool,
    ) -> Sequence[Any]:
        match selector:
            case NameSelector(name=key) | IndexSelector(index=key):
                if is_required or _has(node, key):
                    return [self._child(node, key)]
            case SliceSelector(slice=cut) if isinstance(node, list):
                return node[cut]
            case WildcardSelector() if isinstance(node, dict):
                return [*node.values()]
            case WildcardSelector() if isinstance(node, list):
                return node
        return []

    def _child(self, node: Any, key: str | int) -> Any:  # noqa: ANN401
        if not _has(node, key):
            kind = f"{shown(key)} in an object" if isinstance(key, str) else f"index {key}"
            raise UserError(
                f"filter {self.text}: expected {kind}; got {shown(node)}. "
                "Change the filter, or the record."
            )
        return node[key]


def compiled(place: str, text: str) -> Filter:
    """Return a path that was checked.

    Raises:
        UserError: It is too long, no JSONPath, or uses an operator the service has not.
    """
    if len(text) > MAX_CHARACTERS:
        raise UserError(
            f"{place}: expected at most {MAX_CHARACTERS} characters; got {len(text)}: {shown(text)}. "
            "Shorten it."
        )
    try:
        path = _parsed(text or WHOLE)
    except JSONPathError as error:
        raise UserError(
            f"{place}: expected a JSONPath that begins with $; got {shown(text)} "
            f"({str(error).splitlines()[0]})."
        ) from None
    if path is None:
        raise UserError(
            f"{place}: expected only the operators {OPERATORS}; got {shown(text)}. "
            "Choose with these."
        )
    return path


@cache
def _parsed(text: str) -> Filter | None:
    """Return the path, or None when it uses more than the service's operators."""
    query = JSONPathEnvironment(strict=True).compile(DOT_BEFORE_BRACKET.sub(r"\1", text))
    steps = []
    for segment in getattr(query, "segments", [None]):
        if not isinstance(segment, JSONPathChildSegment):
            return None
        if not all(_is_supported(selector) for selector in segment.selectors):
            return None
        steps.append(tuple(segment.selectors))
    return Filter(text, tuple(steps))


def _is_supported(selector: JSONPathSelector) -> bool:
    if isinstance(selector, SliceSelector):
        return selector.slice.step in (None, 1)
    return isinstance(selector, NameSelector | IndexSelector | WildcardSelector)


def _is_exact(selector: JSONPathSelector) -> bool:
    return isinstance(selector, NameSelector | IndexSelector)


def _all_names(step: Sequence[JSONPathSelector]) -> bool:
    return all(isinstance(selector, NameSelector) for selector in step)


def _has(node: Any, key: str | int) -> bool:  # noqa: ANN401
    if isinstance(key, str):
        return isinstance(node, dict) and key in node
    return isinstance(node, list) and -len(node) <= key < len(node)
