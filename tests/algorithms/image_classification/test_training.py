"""Whole jobs in one process: what they leave, whichever way they are told to learn."""

import errno
import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sm_dl import faults, registry, train, transform
from sm_dl.algorithms.image_classification import artifact, streamed, training
from sm_dl.artifact import weights as artifact_weights
from sm_dl.engine.strategy import Hardware
from sm_dl.errors import AlgorithmError, PlatformError, UserError
from sm_dl.job.job import ChannelSource, Job, Resources
from tests.algorithms.image_classification.pictures import listed, records, textured
from tests.data.images import encoded, rgb
from tests.fifo import feeding

SHORT = {
    "num_classes": 3, "num_training_samples": 12, "image_shape": "3,12,16", "num_layers": 20,
    "mini_batch_size": 4, "epochs": 3, "learning_rate": 0.05,
}  # fmt: skip
MARKS = [[float(number % 2), float(number % 3 == 0), 1.0] for number in range(12)]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _validation(train: ChannelSource) -> ChannelSource:
    return replace(train, name="validation")


def _run(job: Callable[..., Job], *channels: ChannelSource, **changes: object) -> Path:
    """Train a short job and return its folder."""
    built = job(*channels, **{**SHORT, **changes})
    training.fit(built)
    return built.paths.root


def _facts(root: Path) -> dict:
    return json.loads((root / "model" / "model.json").read_text())["facts"]


@pytest.mark.parametrize("augmentation", [None, "crop", "crop_color_transform"])
def test_a_job_leaves_model_scores_and_report(job, tmp_path, augmentation: str | None) -> None:
    train = records(tmp_path, textured(12))
    root = _run(job, train, _validation(train), augmentation_type=augmentation)
    scores = json.loads((root / "output" / "classes.json").read_text())
    assert [one["images"] for one in scores["classes"]] == [4, 4, 4]
    kinds = [
        figure["kind"]
        for figure in json.loads((root / "output" / "report" / "report.json").read_text())[
            "figures"
        ]
    ]
    assert {"lines", "table"} <= set(kinds)
    assert _facts(root)["training"]["epochs_done"] == 3


def test_the_model_is_the_epoch_of_the_best_validation_accuracy(job, tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    train = records(tmp_path, textured(12))
    root = _run(job, train, _validation(train), epochs=4)
    accuracies = [float(a) for a in re.findall(r"Validation-accuracy=(\S+)", caplog.text)]
    assert _facts(root)["training"]["epoch"] == int(np.argmax(accuracies))
    stored = re.findall(r"Storing the best model with validation accuracy: (\S+)", caplog.text)
    assert float(stored[-1]) == pytest.approx(max(accuracies), abs=1e-5)
    (path,) = re.findall(r'Saved checkpoint to "(\S+)"', caplog.text)
    assert Path(path).parent == root / "model"
    assert Path(path).exists()


def test_without_validation_the_last_epoch_is_kept_and_told(job, tmp_path, caplog) -> None:
    root = _run(job, records(tmp_path, textured(12)))
    assert _facts(root)["training"]["epoch"] == 2
    assert "There is no validation channel" in caplog.text
    assert not (root / "output" / "classes.json").exists()


def test_with_a_frequency_each_of_its_epochs_leaves_a_file(job, tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    train = records(tmp_path, textured(12))
    root = _run(job, train, _validation(train), checkpoint_frequency=2, epochs=4)
    files = sorted(path.name for path in (root / "model").glob("image-classification-*"))
    assert files == [f"image-classification-{number:04d}.safetensors" for number in (2, 4)]
    assert f'Saved checkpoint to "{root}/model/image-classification-0004' in caplog.text
    accuracies = [float(a) for a in re.findall(r"Validation-accuracy=(\S+)", caplog.text)]
    assert _facts(root)["training"]["epoch"] == int(np.argmax(accuracies))  # of all four


def test_a_job_that_stops_early_serves_the_best_epoch_and_leaves_its_last(job, tmp_path) -> None:
    train = records(tmp_path, textured(12))
    root = _run(
        job, train, _validation(train), epochs=10, checkpoint_frequency=10, learning_rate=0.0,
        early_stopping=True, early_stopping_min_epochs=1, early_stopping_patience=1,
    )  # fmt: skip
    assert _facts(root)["training"]["epoch"] == 0
    assert _facts(root)["training"]["epochs_done"] == 2
    files = [path.name for path in (root / "model").glob("image-classification-*")]
    assert files == ["image-classification-0002.safetensors"]


def test_a_snapshot_that_cannot_be_written_is_told_and_the_job_goes_on(
    job, tmp_path, monkeypatch, caplog
) -> None:
    def write_tensors(path: Path, *rest: object) -> None:
        if "image-classification-0001" in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        artifact_weights.write_tensors(path, *rest)

    monkeypatch.setattr(artifact, "write_tensors", write_tensors)
    root = _run(job, records(tmp_path, textured(12)), checkpoint_frequency=1)
    assert re.search(
        r"image-classification-0001.safetensors: cannot be written \(No space left on device\): "
        r"\d+ bytes needed, \d+ free. Training goes on",
        caplog.text,
    )
    assert sorted(path.name for path in (root / "model").iterdir()) == [
        "image-classification-0002.safetensors",
        "image-classification-0003.safetensors",
        "model.json",
        "weights.safetensors",
    ]


def test_a_model_that_cannot_be_written_ends_the_job(job, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(faults, "_FAULTS", faults.planned({faults.VARIABLE: "save:*:full"}))
    with pytest.raises(PlatformError, match=r"weights\.safetensors: cannot be written"):
        _run(job, records(tmp_path, textured(12)), checkpoint_frequency=1)


def test_a_snapshot_of_weights_that_are_not_finite_is_not_written(
    job, tmp_path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(faults, "_FAULTS", faults.planned({faults.VARIABLE: "update:6:poison"}))
    with pytest.raises(
        AlgorithmError, match="epoch 2, batch 0: the loss is nan; no model is written"
    ):
        _run(job, records(tmp_path, textured(12)), checkpoint_frequency=1)
    files = [path.name for path in (tmp_path / "run" / "model").iterdir()]
    assert files == ["image-classification-0001.safetensors"]
    assert "image-classification-0002.safetensors: is not written" in caplog.text


def test_all_channels_of_a_job_may_be_streamed_files(tmp_path) -> None:
    train_channel, lists = listed(tmp_path, textured(12))
    channels = {"train": train_channel.path, "train_lst": lists.path}
    config = tmp_path / "job.yaml"
    for number in range(2):
        document = {
            "algorithm": "image_classification",
            "hyperparameters": {**SHORT, "epochs": 1},
            "channels": {
                name: {"path": str(path), "input_mode": "FastFile"}
                for name, path in channels.items()
            },
            "output": str(tmp_path / f"run {number}"),
        }
        for name in set(channels) - {"model"}:
            channels[name.replace("train", "validation")] = channels[name]
        channels["model"] = tmp_path / "run 0" / "model"
        config.write_text(json.dumps(document))
        assert train.main(["--config", str(config)]) == 0


@pytest.mark.parametrize("channel", ["train", "validation"])
def test_a_channel_of_which_all_images_are_left_out_is_refused(job, tmp_path, channel: str) -> None:
    good = records(tmp_path / "good", textured(12))
    small = records(tmp_path / "small", textured(12, height=8, width=8))
    channels = {"train": good, "validation": _validation(good)}
    channels[channel] = replace(small, name=channel)
    with pytest.raises(UserError, match=f"channel {channel}: expected records .* could be used"):
        _run(job, *channels.values(), max_bad_records=100)
    assert not (tmp_path / "run" / "model").exists()


def test_adam_with_a_beta_2_of_one_changes_no_weight(job, tmp_path) -> None:
    root = _run(job, records(tmp_path, textured(12)), optimizer="adam", beta_2=1, epochs=1)
    fresh = _run(
        lambda *channels, **changes: replace(
            job(*channels, **changes), paths=replace(job().paths, root=tmp_path / "fresh")
        ),
        records(tmp_path, textured(12)),
        learning_rate=0.0,
        epochs=1,
    )
    models = [(one / "model" / "weights.safetensors").read_bytes() for one in (root, fresh)]
    assert models[0] == models[1]


def test_a_pipe_to_validate_with_has_the_report_of_a_file(tmp_path) -> None:
    sent = (records(tmp_path, textured(12)).path / "a.rec").read_bytes()
    piped = {
        "path": str(tmp_path / "validation"), "input_mode": "Pipe",
        "content_type": "application/x-recordio",
    }  # fmt: skip
    left = []
    with feeding(tmp_path / "validation", [[sent]] * (SHORT["epochs"] + 2)):
        for number, validation in enumerate((str(tmp_path / "train"), piped)):
            root, config = tmp_path / f"run {number}", tmp_path / "job.yaml"
            document = {
                "algorithm": "image_classification",
                "hyperparameters": SHORT,
                "channels": {"train": str(tmp_path / "train"), "validation": validation},
                "output": str(root),
            }
            config.write_text(json.dumps(document))
            assert train.main(["--config", str(config)]) == 0
            report = json.loads((root / "output" / "report" / "report.json").read_text())
            figures = {figure["title"]: figure for figure in report["figures"]}
            scores = (root / "output" / "classes.json").read_bytes()
            left.append((figures, report["scores"], scores))
    of_file, of_pipe = left
    assert np.sum(of_file[0]["Confusion"]["values"]) == 12
    assert of_pipe == of_file


def _gone(*_: object) -> None:
    raise PlatformError("validation: validation_3 did not appear within 600 s")


def test_a_pipe_that_ends_with_training_costs_the_report_its_scores_and_no_more(
    job, tmp_path, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(streamed, "APPEARS_S", 0.5)  # and not the 600 s of an epoch of training
    train = records(tmp_path, textured(12))
    sent = (train.path / "a.rec").read_bytes()
    pipe = replace(
        train, name="validation", path=tmp_path / "validation", input_mode="Pipe",
        content_type="application/x-recordio",
    )  # fmt: skip
    with feeding(tmp_path / "validation", [[sent]] * SHORT["epochs"]):
        root = _run(job, train, pipe)
    assert re.search(
        r"not scored class by class: .*timed out. validation_3: .* did not appear within 0.5 s",
        caplog.text,
    )
    assert _facts(root)["training"]["epochs_done"] == 3
    report = json.loads((root / "output" / "report" / "report.json").read_text())
    assert "Confusion" not in {figure["title"] for figure in report["figures"]}


def test_files_that_are_gone_after_training_end_the_job(job, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(training, "evaluate", _gone)
    train = records(tmp_path, textured(12))
    with pytest.raises(PlatformError, match="did not appear"):
        _run(job, train, _validation(train))


@pytest.mark.parametrize("is_weighted", [0, 1])
def test_several_labels_an_image_are_learnt(job, tmp_path, is_weighted: int) -> None:
    train = records(tmp_path, textured(12), labels=MARKS)
    root = _run(job, train, _validation(train), multi_label=1, use_weighted_loss=is_weighted)
    assert _facts(root)["is_multi_label"]
    scores = json.loads((root / "output" / "classes.json").read_text())
    assert [one["images"] for one in scores["classes"]] == [6, 4, 12]
    assert registry.load(root / "model").facts.is_multi_label


def test_folders_of_a_list_name_the_classes(job, tmp_path) -> None:
    root = _run(job, *listed(tmp_path, textured(12)))
    assert _facts(root)["class_names"] == ["kind 0", "kind 1", "kind 2"]


def test_image_files_are_transformed_by_their_extensions(job, tmp_path) -> None:
    root = _run(job, records(tmp_path, textured(12)), epochs=1)
    (tmp_path / "in").mkdir()
    for kind in ("png", "jpg", "JPEG"):
        format_name = "PNG" if kind == "png" else "JPEG"
        (tmp_path / "in" / f"a.{kind}").write_bytes(encoded(rgb(), format_name))
    folders = [str(root / "model"), str(tmp_path / "in"), str(tmp_path / "out")]
    given = [
        word
        for pair in zip(("--model", "--input", "--output"), folders, strict=True)
        for word in pair
    ]
    assert transform.main(given) == 0
    for kind in ("png", "jpg", "JPEG"):
        answer = json.loads((tmp_path / "out" / f"a.{kind}.out").read_text())
        assert len(answer["prediction"]) == 3


def test_the_same_seed_gives_the_same_weights(job, tmp_path) -> None:
    train = records(tmp_path, textured(12))
    models = []
    for name in ("a", "b"):
        built = job(train, **SHORT, augmentation_type="crop")
        training.fit(replace(built, paths=replace(built.paths, root=tmp_path / name)))
        models.append((tmp_path / name / "model" / "weights.safetensors").read_bytes())
    assert models[0] == models[1]


def test_a_second_job_goes_on_from_the_first(job, tmp_path, caplog) -> None:
    train = records(tmp_path, textured(12))
    first = _run(job, train, epochs=2)
    (first.parent / "first").mkdir()
    first = first.rename(first.parent / "first" / "run")
    caplog.set_level("INFO")
    _run(job, train, ChannelSource("model", first / "model"), epochs=1, learning_rate=0.0)
    assert "Starting from the model of an earlier job" in caplog.text


@pytest.mark.parametrize(
    ("hardware", "dtype", "given", "expected"),
    [
        (Hardware(0, has_bf16=True), "float32", "auto", "bf16-mixed"),
        (Hardware(0, has_bf16=False), "float32", "auto", "32-true"),
        (Hardware(1, has_bf16=True), "float32", "auto", "bf16-mixed"),
        (Hardware(1, has_bf16=False), "float32", "auto", "16-mixed"),
        (Hardware(1, has_bf16=True), "float16", "auto", "16-mixed"),
        (Hardware(0, has_bf16=True), "float16", "auto", "bf16-mixed"),
        (Hardware(0, has_bf16=False), "float16", "auto", "32-true"),
        (Hardware(0, has_bf16=True), "float32", "32-true", "32-true"),
    ],
)
def test_precision_is_what_the_hardware_does_best(
    job, monkeypatch, hardware: Hardware, dtype: str, given: str, expected: str
) -> None:
    monkeypatch.setattr("sm_dl.engine.strategy.hardware", lambda: hardware)
    built = replace(job(precision_dtype=dtype), resources=Resources(precision=given))
    assert training.planned(built).precision == expected


@pytest.mark.parametrize(
    ("num_layers", "image_shape", "widest_px"),
    [(18, "3,33,{}", 16), (50, "3,64,{}", 16), (18, "3,32,{}", 4), (20, "3,28,{}", 2), (20, "3,64,{}", 8)],
)  # fmt: skip
@pytest.mark.parametrize("given", ["auto", "bf16-mixed"])
def test_narrow_images_are_not_trained_in_bfloat16_on_a_cpu(
    job, monkeypatch, caplog, num_layers: int, image_shape: str, widest_px: int, given: str
) -> None:
    def precision(width_px: int, gpus: int = 0) -> str:
        monkeypatch.setattr("sm_dl.engine.strategy.hardware", lambda: Hardware(gpus, has_bf16=True))
        built = job(num_layers=num_layers, image_shape=image_shape.format(width_px))
        return training.planned(replace(built, resources=Resources(precision=given))).precision

    assert precision(widest_px + 1) == precision(widest_px, gpus=1) == "bf16-mixed"
    assert not caplog.messages
    assert precision(widest_px) == precision(1) == "32-true"
    assert f"image_shape {image_shape.format(widest_px)}: expected wider images" in caplog.text


def _fill_memory_with_no_numbers(_gradient: torch.Tensor) -> None:
    held = [torch.full((1 << size,), math.nan) for size in range(4, 20) for _ in range(6)]
    del held


def _fill_before_its_gradient(_conv: object, _images: object, hidden: torch.Tensor) -> None:
    hidden.register_hook(_fill_memory_with_no_numbers)


def test_gradients_of_narrow_images_do_not_depend_on_what_memory_held(
    job, monkeypatch, network, facts
) -> None:
    monkeypatch.setattr("sm_dl.engine.strategy.hardware", lambda: Hardware(0, has_bf16=True))
    layout = training.planned(job(num_layers=18, image_shape="3,12,4"))
    made = network(replace(facts, num_layers=18, image_shape=(3, 12, 4)))
    made.to(memory_format=torch.channels_last)
    made.layer4[0].conv1.register_forward_hook(_fill_before_its_gradient)
    with torch.autocast("cpu", torch.bfloat16, enabled=layout.precision == "bf16-mixed"):
        logits = made(torch.randint(256, (4, 3, 12, 4), dtype=torch.uint8))
    logits.square().sum().backward()
    assert all(one.grad.isfinite().all() for one in made.parameters())


def test_a_weighted_loss_needs_images_that_can_be_counted(job, tmp_path) -> None:
    pipe = ChannelSource(
        "train", tmp_path / "train", content_type="application/x-recordio", input_mode="Pipe"
    )
    expected = (
        "use_weighted_loss: expected images that can be counted .* each manifest.* a .rec file, or"
    )
    with pytest.raises(UserError, match=expected):
        _run(job, pipe, multi_label=1, use_weighted_loss=1)
