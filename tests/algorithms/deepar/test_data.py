"""What all series of a job must have in common, and what is said about those that differ."""

import gzip
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest

from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.data import (
    check_enough_observations,
    check_training_series,
    log_statistics,
    read_channel,
    usable,
)
from sm_dl.algorithms.deepar.schema import infer_schema, reached_lags
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource
from tests.data.object_store import running_store


def usable_for_training(series, schema):
    """Return what a training channel keeps."""
    kept = usable(series, schema, "train")
    check_enough_observations(series)
    return kept


HOURLY = Frequency.parse("H")
ABSENT_OR_EMPTY = [None, ()]


@pytest.fixture
def named(make_series):
    """Return a maker of 300 points that stand in a line of a file, with any field changed."""

    def make(line=1, target=None, **changes):
        values = np.ones(300) if target is None else target
        return make_series(values, place=f"train/a.json line {line}", **changes)

    return make


def features(count, length):
    return np.zeros((count, length), dtype=np.float32)


def test_a_schema_repeats_what_the_job_says(named, make_hyperparameters):
    schema = infer_schema(make_hyperparameters(time_freq="2H", likelihood="beta"), [named()])
    assert (str(schema.frequency), schema.prediction_length, schema.likelihood) == ("2H", 4, "beta")


def test_auto_reads_the_number_of_categories_from_all_series(named, make_hyperparameters):
    series = [named(cat_C=(0, 2)), named(cat_C=(4, 0)), named(cat_C=(1, 1))]
    assert infer_schema(make_hyperparameters(), series).cardinality == (5, 3)


def test_auto_tells_that_categories_are_used(named, make_hyperparameters, log):
    infer_schema(make_hyperparameters(), [named(cat_C=(1, 1)), named(cat_C=(0, 0))])
    assert {
        "[cardinality=auto] `cat` field was found in train/a.json line 1 and will be used for training.",
        "Inferred value of cardinality=[2, 2] from dataset.",
    } <= set(log.messages)


def test_auto_uses_no_categories_where_there_are_none(named, make_hyperparameters):
    assert infer_schema(make_hyperparameters(), [named(), named()]).cardinality == ()


@pytest.mark.parametrize("setting", ["ignore", ""])
def test_categories_can_be_ignored(named, make_hyperparameters, setting):
    series = [named(cat_C=(1,)), named(cat_C=None), named(cat_C=(1, 2))]
    schema = infer_schema(make_hyperparameters(cardinality=setting), series)
    assert schema.cardinality == ()


def test_an_explicit_cardinality_may_hold_categories_that_never_occur(named, make_hyperparameters):
    schema = infer_schema(make_hyperparameters(cardinality="[7, 3]"), [named(cat_C=(0, 0))])
    assert schema.cardinality == (7, 3)


@pytest.mark.parametrize("other", [*ABSENT_OR_EMPTY, (1, 2), (1, 2, 3, 4)])
def test_auto_refuses_a_series_with_other_categories_than_the_first(
    named, make_hyperparameters, other
):
    series = [named(1, cat_C=(0, 1, 2)), named(2, cat_C=other)]
    with pytest.raises(UserError, match=r"^train/a.json line 2: cat: expected 3 categories"):
        infer_schema(make_hyperparameters(), series)


@pytest.mark.parametrize("first", ABSENT_OR_EMPTY)
@pytest.mark.parametrize("other", [(0,), (1, 2)])
def test_auto_refuses_categories_that_the_first_series_lacks(
    named, make_hyperparameters, first, other
):
    series = [named(1, cat_C=first), named(2, cat_C=other)]
    with pytest.raises(UserError, match=r"^train/a.json line 2: cat"):
        usable_for_training(series, infer_schema(make_hyperparameters(), series))


@pytest.mark.parametrize("other", [None, (), (1,), (0, 0, 0)])
def test_an_explicit_cardinality_refuses_another_number_of_categories(named, make_schema, other):
    with pytest.raises(UserError, match=r"^train/a.json line 2: cat: expected 2 categories"):
        check_training_series(named(2, cat_C=other), make_schema(cardinality=(2, 3)))


@pytest.mark.parametrize(
    ("cat", "words"), [((2, 0), r"cat\[0\]: expected 0 to 1"), ((0, 3), r"cat\[1\]: expected 0 to")]
)
def test_a_category_beyond_an_explicit_cardinality_is_refused(named, make_schema, cat, words):
    with pytest.raises(UserError, match=f"^train/a.json line 2: {words}"):
        check_training_series(named(2, cat_C=cat), make_schema(cardinality=(2, 3)))


def test_the_last_category_of_an_explicit_cardinality_is_accepted(named, make_schema):
    check_training_series(named(cat_C=(1, 2)), make_schema(cardinality=(2, 3)))


def test_auto_reads_the_number_of_features(named, make_hyperparameters):
    series = [named(dynamic_DT=features(2, 300))]
    assert infer_schema(make_hyperparameters(), series).num_dynamic == 2


def test_auto_tells_that_features_are_used(named, make_hyperparameters, log):
    infer_schema(make_hyperparameters(), [named(dynamic_DT=features(2, 300))])
    found = "[num_dynamic_feat=auto] `dynamic_feat` field was found in train/a.json line 1"
    assert {
        f"{found} and will be used for training.",
        "Inferred value of num_dynamic_feat=2 from dataset.",
    } <= set(log.messages)


def test_auto_uses_no_features_where_there_are_none(named, make_hyperparameters):
    assert infer_schema(make_hyperparameters(), [named(), named()]).num_dynamic == 0


@pytest.mark.parametrize("setting", ["ignore", ""])
def test_features_can_be_ignored(named, make_hyperparameters, setting):
    series = [named(dynamic_DT=features(2, 3)), named()]
    schema = infer_schema(make_hyperparameters(num_dynamic_feat=setting), series)
    assert len(usable_for_training(series, schema)) == 2


@pytest.mark.parametrize("count", [None, 1, 3])
def test_an_explicit_number_of_features_refuses_any_other(named, make_hyperparameters, count):
    series = [named(3, dynamic_DT=None if count is None else features(count, 300))]
    schema = infer_schema(make_hyperparameters(num_dynamic_feat="2"), series)
    with pytest.raises(UserError, match=r"^train/a.json line 3: dynamic_feat: expected 2 lists"):
        usable_for_training(series, schema)


@pytest.mark.parametrize("count", [None, 1, 3])
def test_auto_refuses_a_series_with_other_features_than_the_first(
    named, make_hyperparameters, count
):
    other = None if count is None else features(count, 300)
    series = [named(1, dynamic_DT=features(2, 300)), named(2, dynamic_DT=other)]
    with pytest.raises(UserError, match=r"^train/a.json line 2: dynamic_feat: expected 2 lists"):
        usable_for_training(series, infer_schema(make_hyperparameters(), series))


def test_auto_refuses_features_that_the_first_series_lacks(named, make_hyperparameters):
    series = [named(1), named(2, dynamic_DT=features(2, 300))]
    with pytest.raises(UserError, match=r"^train/a.json line 2: dynamic_feat"):
        usable_for_training(series, infer_schema(make_hyperparameters(), series))


@pytest.mark.parametrize("length", [300, 304])
def test_features_may_be_as_long_as_the_target_or_reach_the_forecast(named, make_schema, length):
    check_training_series(named(dynamic_DT=features(1, length)), make_schema(num_dynamic=1))


@pytest.mark.parametrize("length", [0, 299, 301, 303, 305])
def test_features_of_any_other_length_are_refused(named, make_schema, length):
    with pytest.raises(UserError, match=f"dynamic_feat: .*300 or 304 values; got {length}"):
        check_training_series(named(dynamic_DT=features(1, length)), make_schema(num_dynamic=1))


@pytest.mark.parametrize("value", [-0.001, 1.001, -5.0, 7.0])
def test_beta_refuses_values_outside_zero_and_one(named, make_schema, value):
    with pytest.raises(UserError, match=r"line 2: target: likelihood beta expects values in \[0"):
        check_training_series(named(2, [0.5, value]), make_schema(likelihood="beta"))


def test_beta_accepts_its_ends_and_gaps(named, make_schema):
    check_training_series(named(target=[0.0, np.nan, 1.0]), make_schema(likelihood="beta"))


@pytest.mark.parametrize("value", [-1.0, 0.5, 1e-9, -0.5])
def test_negative_binomial_refuses_what_is_no_count(named, make_schema, value):
    with pytest.raises(
        UserError, match=r"line 2: target: likelihood negative-binomial expects non"
    ):
        check_training_series(named(2, [3, value]), make_schema(likelihood="negative-binomial"))


def test_negative_binomial_accepts_counts_and_gaps(named, make_schema):
    schema = make_schema(likelihood="negative-binomial")
    check_training_series(named(target=[0.0, np.nan, 1e6]), schema)


@pytest.mark.parametrize("likelihood", ["gaussian", "student-T", "deterministic-L1"])
def test_the_other_likelihoods_accept_any_value(named, make_schema, likelihood):
    check_training_series(named(target=[-1e6, 0.5, np.nan]), make_schema(likelihood=likelihood))


def test_three_hundred_observations_are_enough(named, make_schema):
    assert len(usable_for_training([named(target=np.ones(300))], make_schema())) == 1


def test_fewer_observations_are_refused(named, make_schema):
    with pytest.raises(UserError, match=r"^channel train: .*300 observations.*got 299"):
        usable_for_training([named(target=np.ones(299))], make_schema())


def test_missing_values_are_no_observations(named, make_schema):
    with pytest.raises(UserError, match=r"300 observations.*got 299"):
        usable_for_training([named(target=[*np.ones(299), np.nan, np.nan])], make_schema())


def test_observations_are_counted_over_all_series(named, make_schema):
    series = [named(target=np.ones(30)) for _ in range(10)]
    assert len(usable_for_training(series, make_schema())) == 10


def test_series_shorter_than_the_forecast_are_left_out(named, make_schema):
    series = [named(), named(target=np.ones(3)), named(target=np.ones(4))]
    assert [len(one) for one in usable_for_training(series, make_schema())] == [300, 4]


def test_series_without_any_value_are_left_out(named, make_schema):
    series = [named(), named(target=np.full(50, np.nan))]
    assert usable_for_training(series, make_schema()) == series[:1]


def test_a_warning_tells_how_many_series_are_left_out(named, make_schema, log):
    usable_for_training([named(), named(target=[]), named(target=np.ones(3))], make_schema())
    assert "2 of 3 series are shorter than prediction_length=4" in log.text


def test_nothing_is_said_when_all_series_are_used(named, make_schema, log):
    usable_for_training([named()], make_schema())
    assert "left out" not in log.text


def test_a_channel_of_short_series_is_refused(named, make_schema):
    with pytest.raises(UserError, match=r"^channel train: .*prediction_length=4 .*got 200 shorter"):
        usable_for_training([named(target=np.ones(3))] * 200, make_schema())


def test_a_channel_of_empty_files_is_refused(make_channel, make_hyperparameters):
    series = list(read_channel(make_channel([]), HOURLY))
    with pytest.raises(UserError, match=r"^channel train: expected at least one series"):
        infer_schema(make_hyperparameters(), series)


@pytest.mark.parametrize(("target", "has_gaps"), [([1, np.nan, 2], True), ([1, 2, 3], False)])
def test_a_schema_knows_whether_values_are_missing(named, make_hyperparameters, target, has_gaps):
    series = [named(), named(target=target)]
    assert infer_schema(make_hyperparameters(), series).has_gaps == has_gaps


@pytest.mark.parametrize(
    ("lengths", "longest"),
    [([300], 97), ([285], 95), ([284], 73), ([21], 7), ([20], 6), ([3], 1), ([1], 1), ([0, 0], 1)],
)
def test_lags_are_used_that_two_thirds_of_the_steps_reach(named, lengths, longest):
    series = [named(target=np.ones(length)) for length in lengths]
    assert reached_lags(HOURLY, series)[-1] == longest


def test_a_few_long_series_do_not_bring_long_lags(named):
    series = [named(target=np.ones(length)) for length in (1000, *[20] * 100)]
    shares = {lag: (max(1000 - lag, 0) + 100 * (20 - lag)) / 3000 for lag in range(1, 8)}
    assert reached_lags(HOURLY, series) == tuple(lag for lag in shares if shares[lag] >= 2 / 3)


def test_a_schema_holds_the_lags_that_are_used(named, make_hyperparameters):
    series = [named()]
    assert infer_schema(make_hyperparameters(), series).lags == reached_lags(HOURLY, series)


def test_lags_are_told(named, log):
    reached_lags(Frequency.parse("M"), [named(target=np.ones(38))])
    assert log.messages == [
        "Lags: [1, 2, 3, 4, 5, 6, 7, 11, 12]",
        (
            "Lags left out, since less than two thirds of the training steps reach so far back: "
            "[13, 23, 24, 25, 35, 36, 37]"
        ),
    ]


def test_no_lag_is_said_to_be_left_out_of_long_series(named, log):
    reached_lags(Frequency.parse("M"), [named(target=np.ones(111))])
    assert len(log.messages) == 1


def test_statistics_tell_what_the_data_are_like(named, log):
    log_statistics("test", [named(target=[1, 2, np.nan, -6]), named(target=[4, 5, 6, 7, 8, 9])])
    assert log.messages == [
        "test data: number of time series: 2 (integer)",
        "test data: number of observations: 9",
        "test data: mean target length: 5.0",
        "test data: min/mean/max target: -6.0/4.0/9.0",
        "test data: mean abs(target): 5.333333333333333",
        "test data: contains missing values: yes (10.0%)",
    ]


def test_statistics_tell_real_values_from_integers(named, log):
    log_statistics("train", [named(target=[1, 2.5])])
    assert "number of time series: 1 (real)" in log.text


def test_statistics_tell_that_nothing_is_missing(named, log):
    log_statistics("train", [named()])
    assert "train data: contains missing values: no" in log.text


def test_statistics_of_nothing_but_gaps_have_no_mean(named, log):
    log_statistics("test", [named(target=[np.nan, np.nan])])
    assert "mean/max" not in log.text


def test_a_channel_is_read_in_the_order_of_files_and_lines(make_channel):
    source = make_channel([{"start": "2016-01-31", "target": [value]} for value in (1, 2)])
    (source.path / "b").mkdir()
    (source.path / "b" / "c.json").write_bytes(b'\n{"start": "2016-01-31", "target": [3]}\n')
    series = list(read_channel(source, HOURLY))
    assert [(one.place, *one.target_T) for one in series] == [
        ("train/a.json line 1", 1),
        ("train/a.json line 2", 2),
        ("train/b/c.json line 2", 3),
    ]


def test_a_wrong_record_is_named_by_file_and_line(make_channel):
    source = make_channel([{"start": "2016-01-31", "target": [1]}, {"start": "2016-01-31"}])
    with pytest.raises(UserError, match=r"^train/a.json line 2: target: expected"):
        list(read_channel(source, HOURLY))


@pytest.mark.parametrize("unit", ["us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Mars/Olympus"])
def test_a_parquet_column_that_is_not_used_may_hold_anything(tmp_path, monkeypatch, unit, zone):
    arrow = pytest.importorskip("pyarrow", reason="the extra `tables` is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra is not installed")
    monkeypatch.setitem(sys.modules, "pandas", None)
    seen = arrow.array([2**60], arrow.timestamp(unit, zone))
    table = arrow.table({"start": ["2024-01-01"], "target": [[1.0, 2.0]], "seen": seen})
    parquet.write_table(table, tmp_path / "a.parquet")
    (series,) = read_channel(ChannelSource("train", tmp_path), HOURLY)
    assert series.target_T.tolist() == [1.0, 2.0]


def test_parquet_gives_the_series_that_json_gives(make_channel, tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra is not installed")
    records = [
        {
            "start": "2016-01-31 05:00:00",
            "target": [4.5, None, 5.25],
            "cat": [0, 1],
            "dynamic_feat": [[1.0, 2.0, 3.0], [0.5, 0.0, 0.25]],
        },
        {
            "start": "1677-01-01 00:00:00",
            "target": [1.0],
            "cat": [2, 0],
            "dynamic_feat": [[1.0], [2.0]],
        },
    ]
    folder = tmp_path / "parquet"
    folder.mkdir()
    table = arrow.Table.from_pylist(records)
    times = table.column("start").cast(arrow.timestamp("us"))
    parquet.write_table(table.set_column(0, "start", times), folder / "a.parquet")
    from_json = read_channel(make_channel(records), HOURLY)
    from_parquet = read_channel(ChannelSource("train", folder), HOURLY)
    facts = [
        [(one.start, one.target_T.tobytes(), one.cat_C, one.dynamic_DT.tobytes()) for one in series]
        for series in (from_json, from_parquet)
    ]
    assert facts[0] == facts[1]


def test_unknown_fields_of_a_record_are_ignored(make_channel):
    source = make_channel([orjson.loads('{"start":"2016-01-31","target":[1],"id":"é","x":{}}')])
    assert len(list(read_channel(source, HOURLY))) == 1


def test_the_scale_of_features_is_learnt_from_the_training_series(named, make_hyperparameters):
    values = np.array([[1.0, 3.0], [50.0, 50.0]], dtype=np.float32)
    series = [named(target=np.ones(2), dynamic_DT=values)] * 3
    schema = infer_schema(make_hyperparameters(), series)
    assert (schema.feature_means, schema.feature_deviations) == ((2.0, 50.0), (1.0, 1.0))


def test_without_features_there_is_no_scale_to_learn(named, make_hyperparameters):
    assert infer_schema(make_hyperparameters(), [named()]).feature_means == ()


def test_a_channel_may_come_from_an_object_store(monkeypatch):
    with running_store() as store:
        store.use(monkeypatch)
        store.put("train/a.json.gz", gzip.compress(b'{"start": "2016-01-31", "target": [1, 2]}'))
        source = ChannelSource("train", Path("unused"), s3_uri="s3://bkt/train")
        (series,) = read_channel(source, HOURLY)
    assert (series.place, series.target_T.tolist()) == ("train/a.json.gz line 1", [1.0, 2.0])
