"""The page of a finished image classification job, and its scores by class, as data."""

import base64
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import orjson

from sm_dl.algorithms.image_classification.evaluation import Evaluation, Mistake
from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.hyperparameters import ImageClassificationHyperparameters
from sm_dl.contract.figures import Figure, Lines, Matrix, Picture, Pictures, Report, Table
from sm_dl.contract.page import page_of
from sm_dl.data.bad_records import BadRecords
from sm_dl.data.image import jpeg_bytes
from sm_dl.engine.fit import FitResult
from sm_dl.engine.losses import LOSS
from sm_dl.job.job import Job

MOST_ROWS = 20
"""Of a matrix or table: with more classes it shows the worst ones."""
MOST_PICTURE_PX = 160


def report_of(
    job: Job[ImageClassificationHyperparameters],
    result: FitResult,
    facts: ModelFacts,
    judged: Evaluation | None,
    squashed_accuracy: float | None,
    bad: BadRecords,
) -> Report:
    """Return the page of a finished job, as data.

    Args:
        job: As it was run.
        result: What training came to.
        facts: Of the model.
        judged: The model on the validation channel; None without one.
        squashed_accuracy: The same with images squashed as the endpoint does; None where that is
            no difference.
        bad: Records that were left out.
    """
    scores: dict[str, float | None] = {}
    if judged is not None:
        scores["validation:accuracy"] = judged.accuracy
        if squashed_accuracy is not None:
            scores["accuracy as served (squashed)"] = squashed_accuracy
    scores["train:accuracy"] = result.train["accuracy"][result.kept_epoch]
    figures: list[Figure] = _curves(result)
    if judged is not None:
        figures += _judgement(judged, facts)
    channels, height, width = facts.image_shape
    return page_of(
        job,
        title="Image classification",
        summary=(
            f"ResNet-{facts.num_layers} on images of {width} x {height} pixels, "
            f"{'grey' if channels == 1 else 'RGB'}, {facts.num_classes} classes, "
            f"{len(result.losses)} epochs."
        ),
        scores=scores,
        figures=figures,
        left_out=bad.reasons,
        num_left_out=bad.count,
    )


def scores_by_class(facts: ModelFacts, judged: Evaluation) -> bytes:
    """Return accuracy, and precision, recall and F1 of every class, as JSON."""
    rows = zip(judged.precision_K, judged.recall_K, judged.f1_K, judged.present_K, strict=True)
    f1 = judged.f1_K[~np.isnan(judged.f1_K)]
    document = {
        "images": judged.num_images,
        "accuracy": judged.accuracy,
        "macro_f1": float(f1.mean()) if len(f1) else None,
        "classes": [
            {
                "class": index,
                "name": name_of(facts, index),
                "images": int(images),
                "precision": _number(precision),
                "recall": _number(recall),
                "f1": _number(f1),
            }
            for index, (precision, recall, f1, images) in enumerate(rows)
        ],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def name_of(facts: ModelFacts, index: int) -> str:
    """Return what to call a class."""
    return facts.class_names[index] if facts.class_names else str(index)


def _curves(result: FitResult) -> list[Figure]:
    epochs = list(range(len(result.losses)))
    note = f"The model holds the weights of epoch {result.kept_epoch % max(1, len(epochs))}."
    accuracy = {
        f"{channel} {name.replace('_', ' ')}": curve
        for channel, curves in (("train", result.train), ("validation", result.validation))
        for name, curve in curves.items()
        if name != LOSS
    }
    losses = {"train loss": result.train[LOSS]}
    if LOSS in result.validation:
        losses["validation loss"] = result.validation[LOSS]
    return [
        Lines("Accuracy", "epoch", "share of right answers", epochs, accuracy, note=note),
        Lines("Loss", "epoch", "cross-entropy", epochs, losses),
    ]


def _judgement(judged: Evaluation, facts: ModelFacts) -> list[Figure]:
    """Return classes, confusions and mistakes."""
    figures: list[Figure] = []
    if judged.pairs:
        figures.append(_confusion(judged, facts))
    if judged.mistakes:
        figures.append(
            Pictures(
                "Most confident mistakes",
                [_picture(one, facts) for one in judged.mistakes],
                note="Of the validation channel, as the network sees them.",
            )
        )
    figures.append(_class_table(judged, facts))
    return figures


def _confusion(judged: Evaluation, facts: ModelFacts) -> Matrix:
    wrong = Counter[int]()
    for (true, predicted), count in judged.pairs.items():
        if true != predicted:
            wrong[true] += count
            wrong[predicted] += count
    shown = list(range(facts.num_classes))
    note = (
        "Images of the validation channel by true and predicted class; shaded by share of the row."
    )
    if facts.num_classes > MOST_ROWS:
        shown = sorted(index for index, _ in wrong.most_common(MOST_ROWS))
        note += f" The {len(shown)} classes with most mistakes, of {facts.num_classes}."
    names = [name_of(facts, index) for index in shown]
    values = [[judged.pairs.get((row, column), 0) for column in shown] for row in shown]
    return Matrix("Confusion", "true class", "predicted class", names, names, values, note=note)


def _class_table(judged: Evaluation, facts: ModelFacts) -> Table:
    order: Sequence[int] = np.argsort(np.nan_to_num(judged.f1_K, nan=2.0), kind="stable").tolist()
    rows: list[list[str | float | int | None]] = [
        [
            name_of(facts, index),
            int(judged.present_K[index]),
            _number(judged.precision_K[index]),
            _number(judged.recall_K[index]),
            _number(judged.f1_K[index]),
        ]
        for index in order[:MOST_ROWS]
    ]
    note = "On the validation channel, the lowest F1 first; classes.json has them all."
    columns = ["class", "images", "precision", "recall", "F1"]
    return Table("Scores by class", columns, rows, note=note)


def _picture(mistake: Mistake, facts: ModelFacts) -> Picture:
    pixels_HWC = mistake.pixels_CHW.transpose(1, 2, 0)
    step = -(-max(pixels_HWC.shape[:2]) // MOST_PICTURE_PX)
    small = pixels_HWC[::step, ::step]
    if small.shape[2] == 1:
        small = small[:, :, 0]
    share = f"{100 * mistake.probability:.1f} %"
    if facts.is_multi_label:
        is_missed = mistake.probability < 0.5
        caption = f"{name_of(facts, mistake.true)}, {'missed' if is_missed else 'seen'} at {share}"
        detail = "is there" if is_missed else "is not there"
    else:
        caption = f"{name_of(facts, mistake.predicted)}, {share}"
        detail = f"is {name_of(facts, mistake.true)}"
    return Picture(
        caption,
        base64.b64encode(jpeg_bytes(small)).decode(),
        width_px=small.shape[1],
        height_px=small.shape[0],
        detail=detail,
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
