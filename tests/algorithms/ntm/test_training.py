"""A whole job in this process: its lines, its files, its ends."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from sm_dl import train
from sm_dl.algorithms.ntm import training
from sm_dl.algorithms.ntm.hyperparameters import NTMHyperparameters
from sm_dl.engine import strategy
from sm_dl.engine.strategy import Hardware, Plan
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource, Job
from sm_dl.job.paths import Paths
from tests.algorithms.ntm.small_job import SMALL_JOB, counts_of
from tests.fifo import feeding
from tests.small_job import small_job

EPOCH = re.compile(
    r"# Finished training epoch (\d+) on 200 examples from 13 batches, each of size 16\.\n"
    r"Metrics for Training:\n"
    r"Loss \(name: value\) total: (\S+)\n"
    r"Loss \(name: value\) kld: (\S+)\n"
    r"Loss \(name: value\) recons: (\S+)\n"
    r"Loss \(name: value\) logppx: \2\n"
    r"Perplexity: (\S+)\n"
    r"#quality_metric: host=algo-1, epoch=\1, train total_loss <loss>=\2\n"
    r"Finished scoring on 40 examples from 3 batches, each of size 16\.\n"
    r"Metrics for Inference:\n"
    r"Loss \(name: value\) total: (\S+)\n"
    r"Loss \(name: value\) kld: \S+\n"
    r"Loss \(name: value\) recons: \S+\n"
    r"Loss \(name: value\) logppx: \6\n"
    r"Perplexity: \S+\n"
    r"#validation_score \(\1\): \6\n"
    r"#quality_metric: host=algo-1, epoch=\1, validation total_loss <loss>=\6\n"
    r"(?:patience losses:.*\n)?(?:Bad epoch.*\n)?"
    r"#progress_metric: host=algo-1, completed \S+ % of epochs\n"
    r"#throughput_metric: host=algo-1, train throughput=\S+ records/second\n"
)


@pytest.fixture
def run(tmp_path, capfd):
    """Return a function that runs the small job and returns exit code, folder and plain log."""

    def run_job(*settings):
        folder = tmp_path / "ntm"
        folder.mkdir(exist_ok=True)
        root = tmp_path / "run"
        config = folder / "job.yaml"
        if not config.exists():
            small_job("ntm").write_yaml(folder, root)
        sets = [part for setting in settings for part in ("--set", setting)]
        code = train.main(["--config", str(config), *sets])
        log = re.sub(r"^\[.*?\] ", "", capfd.readouterr().out, flags=re.MULTILINE)
        return code, root, log

    return run_job


def test_an_epoch_is_told_line_by_line_as_the_service_does(run):
    code, _, log = run()
    blocks = EPOCH.findall(log)
    assert (code, [int(block[0]) for block in blocks]) == (0, [1, 2, 3, 4, 5, 6])
    for _, total, kld, recons, perplexity, _ in blocks:
        assert float(total) == pytest.approx(float(kld) + float(recons))
        assert float(perplexity) == pytest.approx(np.exp(float(total)))
    best = min(float(block[5]) for block in blocks)
    assert f"Best loss: {best}\n" in log
    (last, other) = re.findall(r"validation total_loss <loss>=(\S+)", log)[-2:]
    assert best in (float(last), float(other))


def test_training_begins_with_the_words_shares_of_the_training_documents(run):
    _, root, _ = run(
        "hyperparameters.epochs=1", "hyperparameters.optimizer=sgd", "hyperparameters.learning_rate=1e-6",
    )  # fmt: skip
    bias = load_file(root / "model" / "weights.safetensors")["projection.bias"]
    counts = counts_of(0, 200).sum(axis=0) + 0.5
    assert bias.tolist() == pytest.approx(np.log(counts / counts.sum()).tolist(), abs=1e-3)


def test_topics_are_left_beside_the_model_and_in_the_output(run):
    _, root, _ = run()
    paths = (root / "model" / "topics.json", root / "output" / "topics.json")
    first, second = (json.loads(path.read_text()) for path in paths)
    assert first == second
    assert all(word.startswith("word") for topic in first["topics"] for word in topic["words"])


def test_early_stopping_ends_training_and_says_so(run):
    _, _, log = run("hyperparameters.tolerance=0.1", "hyperparameters.num_patience_epochs=1")
    end = "Early stop condition met. Stopping training.\n#progress_metric: host=algo-1, completed 100 % epochs"
    assert end in log
    assert log.count("# Finished training epoch") == 3


def _only_train(tmp_path, **channel):
    """Return the config of a job that has nothing but training documents."""
    SMALL_JOB.write_channels(tmp_path / "channels")
    document = {
        "algorithm": "ntm",
        "hyperparameters": dict(SMALL_JOB.hyperparameters),
        "channels": {"train": {"path": str(tmp_path / "channels" / "train"), **channel}},
        "output": str(tmp_path / "run"),
    }
    path = tmp_path / "job.yaml"
    path.write_text(json.dumps(document))
    return path


def test_a_job_needs_training_documents_alone(tmp_path, capfd):
    assert train.main(["--config", str(_only_train(tmp_path))]) == 0
    log = capfd.readouterr().out
    assert "Vocab file is not provided" in log
    assert "Test data is not provided." in log
    assert re.search(
        r"Topics from epoch:final \(num_topics:3\) \[, tu \d\.\d\d\]:\n\[.*\] \d+ \d+ ", log
    )


def test_a_pipe_trains_the_model_of_a_file(tmp_path, run):
    SMALL_JOB.write_channels(tmp_path / "channels")
    file, fifo = tmp_path / "channels" / "train" / "part-0.pbr", tmp_path / "fifo"
    _, root, _ = run(f"channels.train.path={file}")
    settings = (
        f"channels.train.path={fifo}", "channels.train.input_mode=Pipe",
        "channels.train.content_type=application/x-recordio-protobuf", f"output={tmp_path / 'piped'}",
    )  # fmt: skip
    with feeding(fifo, [[file.read_bytes()]]):
        code, _, log = run(*settings)
    assert code == 0, log
    weights = [at / "model" / "weights.safetensors" for at in (root, tmp_path / "piped")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_pipe_is_refused_to_several_processes_before_anybody_reads():
    source = ChannelSource("train", Path("nowhere"), input_mode="Pipe")
    job = Job("ntm", None, {"train": source}, Paths(Path("nowhere")))
    with pytest.raises(UserError, match=r"channel train: .* one process of a machine .*; got 2"):
        training.refuse_pipes_of_several_processes(job, Plan("cpu", 2, 1, "ddp", "32-true"))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adagrad", "adadelta", "rmsprop"])
def test_every_optimizer_lowers_the_loss(run, optimizer):
    _, _, log = run(f"hyperparameters.optimizer={optimizer}", "hyperparameters.batch_norm=true")
    losses = [float(loss) for loss in re.findall(r"train total_loss <loss>=(\S+)", log)]
    assert losses[-1] < losses[0]


def test_a_rate_that_does_nothing_is_told(run):
    _, _, log = run("hyperparameters.optimizer=adadelta")
    assert "learning_rate 0.01 has no effect: adadelta sets its own steps" in log


@pytest.mark.parametrize(
    ("hardware", "precision"),
    [
        (Hardware(1, has_bf16=True), "bf16-mixed"),
        (Hardware(1, has_bf16=False), "32-true"),
        (Hardware(0, has_bf16=True), "bf16-mixed"),
        (Hardware(0, has_bf16=False), "32-true"),
    ],
)
def test_without_bfloat16_precision_auto_is_float32(monkeypatch, tmp_path, hardware, precision):
    monkeypatch.setattr(strategy, "hardware", lambda: hardware)
    wanted = NTMHyperparameters.parse({"feature_dim": 9, "num_topics": 2})
    layout = training.layout_of(Job("ntm", wanted, {}, Paths(tmp_path)))
    assert (layout.accelerator == "cuda") is (hardware.num_gpus > 0)
    assert layout.precision == precision


def test_topics_that_cannot_be_written_beside_the_model_do_not_cost_the_job(run, tmp_path):
    (Paths(tmp_path / "run").extras / "topics.json").mkdir(parents=True)
    code, root, log = run("hyperparameters.epochs=1")
    assert code == 0
    assert "cannot be written" in log
    assert (root / "model" / "topics.json").exists()
