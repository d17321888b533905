"""The train door: what a user sees when something is wrong. Everything in-process, no training."""

import gzip
import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from sm_dl import faults, train
from sm_dl.job.lock import output_lock
from sm_dl.job.paths import Paths

GOOD = {"start": "2024-01-01 00:00:00", "target": [float(i % 7) for i in range(400)]}


@pytest.fixture
def job(tmp_path):
    """Return a function that trains on a channel with given bytes, and what came of it."""

    def run(content: bytes, name: str = "a.json", **hyperparameters):
        channel = tmp_path / "train"
        channel.mkdir(exist_ok=True)
        (channel / name).write_bytes(content)
        values = {"time_freq": "D", "prediction_length": 2, "context_length": 2, "epochs": 1}
        config = {
            "algorithm": "deepar",
            "hyperparameters": {**values, **hyperparameters},
            "channels": {"train": str(channel)},
            "output": str(tmp_path / "run"),
        }
        path = tmp_path / "job.yaml"
        path.write_text(json.dumps(config))
        code = train.main(["--config", str(path)])
        failure = tmp_path / "run" / "output" / "failure"
        return code, failure.read_text() if failure.exists() else ""

    return run


def lines(*records) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def changed(**fields):
    return {**GOOD, **fields}


REFUSED = {
    "no start": (lines(GOOD, {"target": [1, 2]}), "train/a.json line 2: start: expected a date"),
    "a time zone": (lines(changed(start="2024-01-01T00:00:00+02:00")), "Remove the time zone"),
    "a start that is no day": (lines(changed(start="2024-02-30")), "line 1: start: expected"),
    "no target": (lines({"start": "2024-01-01"}), "line 1: target: expected a list of numbers"),
    "a target with text": (lines(changed(target=[1, "two"])), "got 'two' at position 1"),
    "an infinite value": (b'{"start": "2024-01-01", "target": [1e999]}', "number is infinity"),
    "a value too large for float32": (
        lines(changed(target=[1e38])),
        "expected finite numbers below",
    ),
    "cat in some records only": (
        lines(changed(cat=[0]), GOOD),
        "line 2: cat: expected 1 categories as in the rest of the data; got none",
    ),
    "cat of another length": (
        lines(changed(cat=[0]), changed(cat=[0, 1])),
        "line 2: cat: expected",
    ),
    "a negative cat": (lines(changed(cat=[-1])), "line 1: cat: expected a list of integers"),
    "a fractional cat": (lines(changed(cat=[0.5])), "line 1: cat: expected a list of integers"),
    "dynamic_feat in some records only": (
        lines(changed(dynamic_feat=[[0.0] * 400]), GOOD),
        "line 2: dynamic_feat: expected 1 lists as in the rest of the data; got none",
    ),
    "a ragged dynamic_feat": (
        lines(changed(dynamic_feat=[[0.0] * 400, [0.0] * 399])),
        "expected lists of one length; got lengths 399, 400",
    ),
    "a missing feature value": (
        lines(changed(dynamic_feat=[[None] * 400])),
        "dynamic_feat[0]: expected numbers only",
    ),
    "a dynamic_feat of a wrong length": (
        lines(changed(dynamic_feat=[[0.0] * 401])),
        "that is 400 or 402 values; got 401",
    ),
    "too few observations": (lines(changed(target=[1.0] * 299)), "at least 300 observations"),
    "only short series": (lines(*[changed(target=[1.0])] * 400), "expected at least one series"),
    "only missing values": (lines(changed(target=[None] * 400)), "expected at least one series"),
    "an array": (b"[1, 2]\n", "line 1: expected a JSON object; got [1, 2]"),
    "a cut last line": (
        lines(GOOD) + b'{"start": "2024-',
        "line 2: expected a JSON object in UTF-8",
    ),
    "bytes that are not UTF-8": (b'{"start": "\xff"}\n', "line 1: expected a JSON object in UTF-8"),
    "10,000 levels of nesting": (b"[" * 10_000, "line 1: expected a JSON object in UTF-8"),
    "a file of blank lines": (b"\n\n", "expected at least one series"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_data_are_refused_with_file_line_and_exit_code_2(case, job):
    content, sentence = REFUSED[case]
    code, failure = job(content)
    assert (code, failure.startswith("ClientError: "), sentence in failure) == (2, True, True), (
        failure
    )


@pytest.mark.parametrize(
    ("hyperparameters", "sentence"),
    [
        ({"epoch": 1}, "Did you mean 'epochs'?"),
        ({"epochs": 0}, "hyperparameter epochs: expected an integer >= 1; got 0"),
        ({"epochs": "many"}, "hyperparameter epochs: expected an integer >= 1; got 'many'"),
        ({"time_freq": "Q"}, "hyperparameter time_freq: expected an optional positive integer"),
        ({"likelihood": "student_t"}, "Did you mean 'student-T'?"),
        ({"learning_rate": 0}, "hyperparameter learning_rate: expected a number > 0 and <= 1"),
        ({"test_quantiles": "[0.5, 1.5]"}, "a level lies outside (0, 1)"),
        ({"cardinality": "[2, 0]"}, "hyperparameter cardinality: expected auto, ignore"),
        ({"cardinality": "[2]"}, "cat: expected 1 categories as in the rest of the data; got none"),
        ({"num_dynamic_feat": 1}, "dynamic_feat: expected 1 lists"),
        ({"likelihood": "beta"}, "likelihood beta expects values in [0, 1]; got 2.0"),
    ],
)
def test_a_bad_hyperparameter_is_refused_by_name(hyperparameters, sentence, job):
    code, failure = job(lines(GOOD), **hyperparameters)
    assert (code, sentence in failure) == (2, True), failure


def test_negative_binomial_refuses_a_fraction(job):
    _, failure = job(lines(changed(target=[0.5] * 400)), likelihood="negative-binomial")
    assert "expects non-negative integers; got 0.5" in failure


def test_a_truncated_gzip_file_is_refused(job):
    packed = gzip.compress(lines(GOOD) * 50)
    code, failure = job(packed[: len(packed) // 2], "a.json.gz")
    assert (code, "gzip data are damaged or cut short" in failure) == (2, True), failure


def test_a_file_of_unknown_extension_is_refused_with_the_way_out(job):
    code, failure = job(lines(GOOD), "a.txt")
    assert (code, "set content_type for channel train" in failure) == (2, True), failure


def test_a_truncated_parquet_file_is_refused(job, tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"start": ["2024-01-01"], "target": [[1.0] * 400]})
    parquet.write_table(table, tmp_path / "whole.parquet")
    code, failure = job((tmp_path / "whole.parquet").read_bytes()[:-20], "a.parquet")
    assert (code, "train/a.parquet: after row 0: expected a whole Parquet file" in failure) == (
        2,
        True,
    )


def test_an_empty_channel_is_a_missing_channel(job):
    code, failure = job(b"", ".hidden")
    assert (code, "got none" in failure or "Missing required channel: train" in failure) == (
        2,
        True,
    )


def test_an_unreadable_config_is_told_before_anything_starts(tmp_path, capfd):
    code = train.main(["--config", str(tmp_path / "absent.yaml")])
    assert (code, "cannot read the config file" in capfd.readouterr().out) == (2, True)


def test_an_unknown_algorithm_is_refused_with_the_nearest_name(tmp_path, capfd):
    config = tmp_path / "job.yaml"
    config.write_text(f"algorithm: deeparr\nchannels: {{}}\noutput: {tmp_path / 'run'}\n")
    code = train.main(["--config", str(config)])
    assert (code, "Did you mean 'deepar'?" in capfd.readouterr().out) == (2, True)


def test_opt_ml_without_an_algorithm_leaves_a_failure_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(tmp_path))
    monkeypatch.delenv("SM_DL_ALGORITHM", raising=False)
    assert train.main([]) == 2
    assert "SM_DL_ALGORITHM" in Path(tmp_path / "output" / "failure").read_text()


def test_a_refused_job_leaves_an_earlier_model_alone(job, tmp_path):
    model = tmp_path / "run" / "model"
    model.mkdir(parents=True)
    (model / "model.json").write_text("{}")
    job(b"[]")
    assert (model / "model.json").read_text() == "{}"


def test_a_bad_test_channel_is_refused_before_training_starts(tmp_path):
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "a.json").write_bytes(lines(changed(start="yesterday")))
    document = {"algorithm": "deepar", "output": str(tmp_path / "run")}
    document["channels"] = {"train": str(tmp_path / "train"), "test": str(tmp_path / "test")}
    document["hyperparameters"] = {
        "time_freq": "D",
        "prediction_length": 2,
        "context_length": 2,
        "epochs": 1,
    }
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.json").write_bytes(lines(GOOD))
    (tmp_path / "two.yaml").write_text(json.dumps(document))
    code = train.main(["--config", str(tmp_path / "two.yaml")])
    assert (code, list((tmp_path / "run").glob("checkpoints/*"))) == (2, [])


def test_a_job_without_a_test_channel_says_nothing_of_scores(job, capfd):
    code, _ = job(lines(GOOD))
    assert (code, "channel test" in capfd.readouterr().out) == (0, False)


def test_sigterm_while_data_are_read_ends_the_job_at_once(job, monkeypatch):
    monkeypatch.setattr(faults, "_FAULTS", faults.planned({faults.VARIABLE: "read:1:stop"}))
    assert job(lines(GOOD)) == (143, "")


def test_sigterm_after_training_leaves_the_model(job, monkeypatch, tmp_path):
    # files of a job: checkpoint, weights, model.json
    monkeypatch.setattr(faults, "_FAULTS", faults.planned({faults.VARIABLE: "save:2:stop"}))
    assert job(lines(GOOD)) == (143, "")
    assert (tmp_path / "run" / "model" / "model.json").is_file()


def test_a_disk_that_cannot_hold_the_model_is_the_platform_s_fault(job, monkeypatch):
    monkeypatch.setattr(faults, "_FAULTS", faults.planned({faults.VARIABLE: "save:2:full"}))
    code, failure = job(lines(GOOD))
    assert (code, "weights.safetensors: cannot be written" in failure) == (3, True), failure


def test_a_disk_that_cannot_hold_a_checkpoint_costs_the_checkpoint_alone(job, monkeypatch):
    monkeypatch.setattr(faults, "_FAULTS", faults.planned({faults.VARIABLE: "save:1:full"}))
    assert job(lines(GOOD)) == (0, "")


def test_a_loss_that_is_no_number_keeps_the_weights_before_it(job, monkeypatch, tmp_path):
    monkeypatch.setattr(faults, "_FAULTS", faults.planned({faults.VARIABLE: "step:4:poison"}))
    code, failure = job(lines(GOOD))
    assert (code, "epoch 0, batch 3: the loss is nan" in failure) == (1, True), failure
    weights = load_file(tmp_path / "run" / "model" / "weights.safetensors")
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_a_second_job_in_the_same_folder_is_refused(job, tmp_path):
    with output_lock(Paths(tmp_path / "run")):
        code, failure = job(lines(GOOD))
    assert (code, "another job is writing to this output folder" in failure) == (2, True)


def test_a_job_goes_on_with_another_batch_size(job, monkeypatch, capfd):
    monkeypatch.setattr(faults, "_FAULTS", faults.planned({faults.VARIABLE: "step:3:stop"}))
    assert job(lines(GOOD), mini_batch_size=8, epochs=2)[0] == 143
    monkeypatch.setattr(faults, "_FAULTS", [])
    assert job(lines(GOOD), mini_batch_size=4, epochs=2) == (0, "")
    assert "mini_batch_size was 8, and is 4 from here on" in capfd.readouterr().out


def test_records_that_cannot_be_read_are_left_out_when_a_user_wants_so(job, tmp_path):
    content = lines(GOOD) + b"{broken\n" + lines(changed(start="yesterday"))
    assert job(content, max_bad_records=2) == (0, "")
    report = json.loads((tmp_path / "run" / "output" / "report" / "report.json").read_text())
    (table,) = [one for one in report["figures"] if one["title"] == "Records left out"]
    assert [row[0].partition(":")[0] for row in table["rows"]] == [
        "train/a.json line 2",
        "train/a.json line 3",
    ]


def test_one_bad_record_more_than_allowed_ends_the_job(job):
    code, failure = job(lines(GOOD) + b"{broken\n" * 3, max_bad_records=2)
    assert (code, "line 4: expected a JSON object" in failure) == (2, True), failure
