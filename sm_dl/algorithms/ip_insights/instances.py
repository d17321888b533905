"""Instances of a JSON request as two columns of text, taken apart by whole columns.

Only what is right comes out this way. Of anything else nothing is said here: `codec.py` then looks
at one instance after the other and says what is wrong with which. Arrow's own reader of JSON would be
as fast, but version 26.0.1 ends the process on a body of blanks.
"""

from collections.abc import Iterable
from itertools import chain
from operator import itemgetter
from typing import Any

import orjson

from sm_dl.data.columns import arrow

PLAIN = (itemgetter("features"),)
WRAPPED = tuple(map(itemgetter, ("data", "features", "values")))


def features_of(body: bytes, *, is_lines: bool) -> tuple[Any, Any] | None:
    """Return the entities and the addresses of a request's instances; None where one is amiss.

    Args:
        body: `{"instances": [...]}`, or one instance a line; all instances of the same form.
        is_lines: Which of the two.
    """
    try:
        if is_lines:
            lines = filter(None, map(bytes.strip, body.split(b"\n")))
            instances = list(map(orjson.loads, lines))
        else:
            instances = orjson.loads(body)["instances"]
        steps = PLAIN if "features" in instances[0] else WRAPPED
        pairs: Iterable[Any] = instances
        for step in steps:
            pairs = map(step, pairs)
        return _columns(list(pairs))
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None


def _columns(pairs: list[Any]) -> tuple[Any, Any] | None:
    if set(map(type, pairs)) != {list} or set(map(len, pairs)) != {2}:
        return None
    texts = list(chain.from_iterable(pairs))
    if set(map(type, texts)) != {str}:
        return None
    array, text = arrow("", "reading requests").array, "string"
    return array(texts[0::2], text), array(texts[1::2], text)
