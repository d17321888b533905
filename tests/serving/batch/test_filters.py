"""JSONPath as the service takes it: its operators, nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonpath import JSONPathEnvironment

from sm_dl.errors import UserError
from sm_dl.serving.batch.filters import compiled

steady = settings(derandomize=True, deadline=None)
RECORD = {"id": 7, "features": [10, 20, 30, 40, 50], "deep": {"a": {"b": 1}, "c": [2, 3]}, "a.b": 0}
ROW = ["a", "b", "c", "d", "e", "f"]


def select(path, document):
    return compiled("input filter", path).select(document)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", RECORD),
        ("", RECORD),
        ("$.id", 7),
        ("$['id']", 7),
        ('$["id"]', 7),
        ("$['a.b']", 0),
        ("$.features", [10, 20, 30, 40, 50]),
        ("$.features[0]", 10),
        ("$.features[-1]", 50),
        ("$.features[1,3]", [20, 40]),
        ("$.features[-1,0]", [50, 10]),
        ("$.features[1:4]", [20, 30, 40]),
        ("$.features[:2]", [10, 20]),
        ("$.features[3:]", [40, 50]),
        ("$.features[-2:]", [40, 50]),
        ("$.features[0,3:]", [10, 40, 50]),
        ("$.features[9:]", []),
        ("$.features[*]", [10, 20, 30, 40, 50]),
        ("$.features.*", [10, 20, 30, 40, 50]),
        ("$.deep.*", [{"b": 1}, [2, 3]]),
        ("$.deep.a.b", 1),
        ("$.deep.c[1]", 3),
        ("$.*.c", [[2, 3]]),
        ("$['id','deep']", {"id": 7, "deep": RECORD["deep"]}),
        ("$['deep','id']", {"deep": RECORD["deep"], "id": 7}),
        ("$.deep['a','c']", {"a": {"b": 1}, "c": [2, 3]}),
        ("$.deep.['a','c']", {"a": {"b": 1}, "c": [2, 3]}),
    ],
)
def test_a_path_chooses_from_an_object(path, expected):
    assert select(path, RECORD) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$[1:]", ["b", "c", "d", "e", "f"]),
        ("$[0,5:]", ["a", "f"]),
        ("$[0]", "a"),
        ("$[1,3,5]", ["b", "d", "f"]),
        ("$[0,-1]", ["a", "f"]),
        ("$[2:5]", ["c", "d", "e"]),
        ("$[*]", ROW),
    ],
)
def test_a_path_chooses_from_a_row(path, expected):
    assert select(path, ROW) == expected


def test_the_end_of_a_slice_is_exclusive():
    assert select("$[1:4]", ROW) == ["b", "c", "d"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$.x", "expected 'x' in an object; got {'id': 7"),
        ("$['id','x']", "expected 'x' in an object"),
        ("$.features[5]", "expected index 5; got [10, 20, 30, 40, 50]"),
        ("$.features[-6]", "expected index -6"),
        ("$.features[0,9]", "expected index 9"),
        ("$.features[9,1:]", "expected index 9"),
        ("$.features.x", "expected 'x' in an object; got [10"),
        ("$[0]", "expected index 0; got {'id'"),
        ("$.id.x", "expected 'x' in an object; got 7"),
        ("$.id['x','y']", "expected 'x' in an object; got 7"),
    ],
)
def test_what_a_path_spells_out_must_be_there(path, expected):
    with pytest.raises(UserError, match=r"^filter ") as refused:
        select(path, RECORD)
    assert expected in str(refused.value)


@pytest.mark.parametrize("path", ["$.*.x", "$[*][3]", "$.features[:2].x"])
def test_what_a_wildcard_does_not_find_is_left_out(path):
    assert select(path, {"features": [1], "id": 2}) == []


@pytest.mark.parametrize("path", ["$..a", "$[?@.a]", "$[?(@.a > 1)]", "$[::2]", "$[4:1:-1]"])
def test_an_operator_the_service_has_not_is_refused(path):
    with pytest.raises(UserError, match=r"input filter: expected only the operators \$, \.name"):
        compiled("input filter", path)


@pytest.mark.parametrize("path", ["a", "id", "$[", "$.", "$a", "$['a]", "@.a", "$|$", "1", "$.a b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(UserError, match=r"output filter: expected a JSONPath that begins with \$"):
        compiled("output filter", path)


def test_a_path_may_have_63_characters():
    assert compiled("input filter", "$." + "a" * 61)
    with pytest.raises(UserError, match="expected at most 63 characters; got 64"):
        compiled("input filter", "$." + "a" * 62)


@steady
@given(
    st.lists(st.integers(), max_size=6),
    st.none() | st.integers(-8, 8),
    st.none() | st.integers(-8, 8),
)
def test_slices_are_those_of_the_standard(row, start, end):
    path = f"$[{'' if start is None else start}:{'' if end is None else end}]"
    assert select(path, row) == JSONPathEnvironment(strict=True).findall(path, row)


@steady
@given(st.text(max_size=12))
def test_no_text_breaks_the_parser(text):
    try:
        path = compiled("input filter", "$" + text)
    except UserError:
        return
    assert path.text == "$" + text
