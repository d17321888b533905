"""What a record may hold, and what is said about one that holds something else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.series import LARGEST, series_from_record
from sm_dl.errors import UserError

PLACE = "train/a.json line 3"
MINUTE = Frequency.parse("min")

REFUSED_STARTS = [
    None, "", "now", 20160131, 1.5, True, ["2016-01-31"], "2016-13-01", "2016-02-30", "31-01-2016",
    "2016-1-31", "2016-01-31 24:00:00", "2016-01-31 05:47:61", "2016-01-31 5:47", "2016-01",
    "12016-01-31", "2016-01-31 00:00:00 UTC", "٢٠١٦-01-31", "2016-01-31 00:00:00.",
]  # fmt: skip
WITH_TIME_ZONE = [
    "2016-01-31T00:00:00Z", "2016-01-31 00:00:00+01:00", "2016-01-31 00:00:00-0800",
    "2016-01-31T00:00Z",
]  # fmt: skip
REFUSED_TARGETS = [
    None, 1.0, "1, 2", {"0": 1}, True, [[1.0]], ["1"], ["nan"], ["NAN"], [""], ["Infinity"],
    [True], [{}], [1.0, "missing"], [float("inf")], [float("-inf")], [1e300], [10**40], [10**400],
    [2 * LARGEST],
]  # fmt: skip
REFUSED_CATEGORIES = [
    "0", "a", 1.0, [1.0], [1.5], [-1], -1, ["1"], [True], True, [None], [[0]], {"0": 1}, [2**31],
]  # fmt: skip
REFUSED_FEATURES = [
    1.0, "1", [1.0, 2.0], [["1"]], [[None]], [["NaN"]], [[float("nan")]], [[float("inf")]],
    [[True]], [[1.0], [1.0, 2.0]], [[1.0], None], [[[1.0]]], {"0": [1.0]}, [[10**400]],
]  # fmt: skip


def record(**changes):
    """Return a whole record, with any field changed."""
    return {"start": "2016-01-31 00:00:00", "target": [1.0, 2.5]} | changes


def read(**changes):
    return series_from_record(record(**changes), PLACE, MINUTE)


def minute_of(start):
    return MINUTE.text_of(read(start=start).start)


@pytest.mark.parametrize("start", REFUSED_STARTS, ids=repr)
def test_a_start_that_is_no_date_and_time_is_refused(start):
    with pytest.raises(UserError, match=rf"^{PLACE}: start: expected a date and time"):
        read(start=start)


@pytest.mark.parametrize("start", WITH_TIME_ZONE)
def test_whoever_sends_a_time_zone_is_told_to_remove_it(start):
    with pytest.raises(UserError, match=rf"^{PLACE}: start: .*Remove the time zone"):
        read(start=start)


def test_a_record_without_start_is_refused():
    with pytest.raises(UserError, match=rf"^{PLACE}: start: expected .*got None"):
        series_from_record({"target": [1.0]}, PLACE, MINUTE)


def test_not_a_time_is_refused_as_a_start():
    with pytest.raises(UserError, match=rf"^{PLACE}: start: expected a date and time"):
        read(start=np.datetime64("NaT"))


@pytest.mark.parametrize(
    "start",
    [
        "2016-01-31 05:47:00", "2016-01-31T05:47:00", "2016-01-31 05:47", " 2016-01-31 05:47:59 ",
        np.datetime64("2016-01-31T05:47:12"), np.datetime64("2016-01-31T05:47:12", "ns"),
    ],
)  # fmt: skip
def test_a_start_is_read_to_the_minute(start):
    assert minute_of(start) == "2016-01-31T05:47:00"


@pytest.mark.parametrize("digits", [1, 3, 6, 9, 12, 13, 15, 18, 19, 40])
def test_fractions_of_a_second_are_cut_off_however_long(digits):
    start = "2016-01-31 05:47:12." + "123456789" * 5
    assert minute_of(start[: len("2016-01-31 05:47:12.") + digits]) == "2016-01-31T05:47:00"


def test_a_date_alone_is_its_midnight():
    assert minute_of("2016-01-31") == "2016-01-31T00:00:00"


@pytest.mark.parametrize("year", ["0001", "1677", "2262", "9999"])
def test_a_start_may_lie_in_any_year(year):
    assert minute_of(f"{year}-12-31 23:59:00") == f"{year}-12-31T23:59:00"


@pytest.mark.parametrize("target", REFUSED_TARGETS, ids=lambda target: repr(target)[:20])
def test_a_target_that_is_no_list_of_finite_numbers_is_refused(target):
    with pytest.raises(UserError, match=rf"^{PLACE}: target: expected"):
        read(target=target)


def test_a_record_without_target_is_refused():
    with pytest.raises(UserError, match=rf"^{PLACE}: target: expected .*got None"):
        series_from_record({"start": "2016-01-31"}, PLACE, MINUTE)


def test_the_message_says_which_value_of_a_target_is_wrong():
    with pytest.raises(UserError, match=r"got 'x' at position 2"):
        read(target=[1, None, "x"])


def test_the_message_says_which_value_of_a_target_is_infinite():
    with pytest.raises(UserError, match=r"got inf at position 1"):
        read(target=[1, float("inf")])


@pytest.mark.parametrize("missing", [None, "NaN", float("nan")])
def test_a_missing_value_is_nan_inside(missing):
    np.testing.assert_array_equal(
        read(target=[4, missing, 5.5]).target_T, np.float32([4, np.nan, 5.5])
    )


def test_missing_values_count_in_the_length():
    assert len(read(target=[None, 1, None])) == 3


def test_a_target_may_be_empty():
    assert len(read(target=[])) == 0


def test_a_target_is_held_in_single_precision():
    assert read(target=[1, 2]).target_T.dtype == np.float32


@given(
    st.lists(
        st.floats(-LARGEST, LARGEST) | st.integers(-(2**60), 2**60) | st.sampled_from([None, "NaN"])
    )
)
def test_any_list_of_finite_numbers_and_gaps_is_kept(target):
    expected = [float("nan") if value in (None, "NaN") else float(value) for value in target]
    np.testing.assert_array_equal(read(target=target).target_T, np.float32(expected))


@pytest.mark.parametrize("cat", REFUSED_CATEGORIES, ids=repr)
def test_categories_that_are_not_coded_from_zero_are_refused(cat):
    with pytest.raises(UserError, match=rf"^{PLACE}: cat: expected a list of integers"):
        read(cat=cat)


def test_categories_are_kept_in_order():
    assert read(cat=[2, 0, 1]).cat_C == (2, 0, 1)


def test_a_bare_integer_is_a_list_of_one_category():
    assert read(cat=3).cat_C == (3,)


@pytest.mark.parametrize("changes", [{}, {"cat": None}])
def test_a_record_without_categories_has_none(changes):
    assert read(**changes).cat_C is None


@pytest.mark.parametrize("features", REFUSED_FEATURES, ids=repr)
def test_features_that_are_no_lists_of_numbers_are_refused(features):
    with pytest.raises(UserError, match=rf"^{PLACE}: dynamic_feat"):
        read(dynamic_feat=features)


def test_the_message_says_where_a_feature_is_missing():
    with pytest.raises(UserError, match=r"dynamic_feat\[1\]: .*missing value at position 2. Fill"):
        read(dynamic_feat=[[1, 2, 3], [1, 2, None]])


def test_the_message_says_which_lengths_features_have():
    with pytest.raises(UserError, match=r"lists of one length; got lengths 1, 3"):
        read(dynamic_feat=[[1, 2, 3], [1]])


def test_features_are_one_row_each():
    np.testing.assert_array_equal(
        read(dynamic_feat=[[1, 2], [3, 4.5]]).dynamic_DT, np.float32([[1, 2], [3, 4.5]])
    )


@pytest.mark.parametrize("features", [None, []])
def test_a_record_without_features_has_none(features):
    assert read(dynamic_feat=features).dynamic_DT is None


def test_features_may_be_longer_than_the_target():
    assert read(dynamic_feat=[[1, 2, 3, 4]]).dynamic_DT.shape == (1, 4)


def test_unknown_fields_are_ignored():
    plain, more = read(), read(item_id="a7", feat_static_cat=["x"], target_=None)
    np.testing.assert_array_equal(plain.target_T, more.target_T)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"id": "a7"}, "a7"), ({"item_id": "b"}, "b"), ({"id": "a", "item_id": "b"}, "a"),
        ({"id": 12}, "12"), ({"id": "x" * 200}, "x" * 80), ({"id": ["x"]}, ""), ({}, ""),
    ],
)  # fmt: skip
def test_a_series_has_the_name_its_record_gives_it(fields, name):
    assert read(**fields).name == name


def test_a_series_knows_its_place():
    assert read().place == PLACE


@pytest.mark.parametrize(
    ("as_list", "as_array"),
    [
        ([1.5, None, 2.0], np.array([1.5, np.nan, 2.0])),
        ([1.5, None, 2.0], np.array([1.5, np.nan, 2.0], dtype=np.float32)),
        ([1, 2, 3], np.array([1, 2, 3])),
        ([1, 2, 3], np.array([1, 2, 3], dtype=np.uint8)),
        ([], np.array([], dtype=np.float64)),
    ],
)
def test_a_target_from_an_array_is_the_target_from_a_list(as_list, as_array):
    np.testing.assert_array_equal(read(target=as_list).target_T, read(target=as_array).target_T)


@pytest.mark.parametrize(
    "array",
    [
        np.array([True]), np.array([[1.0]]), np.array(["1"]), np.array([np.inf]), np.array([1e40]),
        np.array([1j]), np.array([None]), np.array(["2016-01-31"], dtype="datetime64[D]"),
    ],
    ids=repr,
)  # fmt: skip
def test_an_array_that_is_no_list_of_finite_numbers_is_refused(array):
    with pytest.raises(UserError, match=rf"^{PLACE}: target: expected"):
        read(target=array)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_categories_from_an_array_are_those_from_a_list(dtype):
    assert read(cat=np.array([2, 0], dtype=dtype)).cat_C == (2, 0)


@pytest.mark.parametrize("array", [np.array([1.0]), np.array([-1]), np.array(1.0)], ids=repr)
def test_an_array_of_other_categories_is_refused(array):
    with pytest.raises(UserError, match=rf"^{PLACE}: cat: expected a list of integers"):
        read(cat=array)


@pytest.mark.parametrize(
    "features",
    [
        [np.array([1.0, 2.0]), np.array([3, 4])],
        [[1.0, 2.0], np.array([3.0, 4.0])],
        np.array([[1.0, 2.0], [3.0, 4.0]]),
    ],
    ids=repr,
)
def test_features_from_arrays_are_those_from_lists(features):
    np.testing.assert_array_equal(
        read(dynamic_feat=features).dynamic_DT, read(dynamic_feat=[[1, 2], [3, 4]]).dynamic_DT
    )


def test_a_missing_feature_of_an_array_is_refused():
    with pytest.raises(UserError, match=r"dynamic_feat\[0\]: .*missing value at position 1"):
        read(dynamic_feat=[np.array([1.0, np.nan])])
