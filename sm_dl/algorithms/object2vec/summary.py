"""The page of a finished Object2Vec job, as data for the report."""

from collections.abc import Sequence

import numpy as np

from sm_dl.algorithms.object2vec.hyperparameters import Object2VecHyperparameters
from sm_dl.algorithms.object2vec.module import ACCURACY
from sm_dl.algorithms.object2vec.neighbours import Neighbourhood
from sm_dl.algorithms.object2vec.scoring import Tested
from sm_dl.contract.figures import Figure, Lines, Report, Scatter, Table
from sm_dl.contract.page import page_of
from sm_dl.data.bad_records import BadRecords
from sm_dl.engine.fit import FitResult
from sm_dl.engine.losses import LOSS
from sm_dl.job.job import Job

NUM_COLOURED = 3
"""Objects whose neighbours have a colour on the map."""


def report_of(
    job: Job[Object2VecHyperparameters],
    result: FitResult,
    tested: Tested | None,
    neighbourhoods: Sequence[Neighbourhood],
    bad: BadRecords,
) -> Report:
    """Return the page of a finished job, as data."""
    hyperparameters = job.hyperparameters
    sides = [one.side for one in neighbourhoods]
    figures: list[Figure] = []
    scores: dict[str, float | None] = {}
    if tested is not None:
        for name, value in tested.metrics.items():
            scores[f"test:{name}" if " " not in name else name] = value
        figures.append(_score_table(tested))
        if hyperparameters.output_layer == "softmax":
            figures.append(_class_table(tested))
    for watched in ("validation", "train"):
        curves = getattr(result, watched)
        for name in curves:
            scores[f"{watched}:{_name(name, hyperparameters)}"] = curves[name][result.kept_epoch]
    figures += _curves(result, hyperparameters)
    for one in neighbourhoods:
        figures += _neighbourhood(one)
    networks = " and ".join(f"{side.network} to {side.dim}" for side in sides)
    return page_of(
        job,
        title="Object2Vec",
        summary=(
            f"Encoders {networks}, comparators {hyperparameters.comparator_list}, {hyperparameters.output_layer}; "
            f"the weights of epoch {result.kept_epoch} are kept, the last one was {len(result.losses) - 1}."
        ),
        scores=scores,
        figures=figures,
        left_out=bad.reasons,
        num_left_out=bad.count,
    )


def _name(figure: str, hyperparameters: Object2VecHyperparameters) -> str:
    """Return the service's name of one of the engine's figures."""
    if figure != LOSS:
        return figure
    is_softmax = hyperparameters.output_layer == "softmax"
    return "cross_entropy" if is_softmax else "mean_squared_error"


def _score_table(tested: Tested) -> Table:
    naive = "commonest class" if "accuracy" in tested.metrics else "mean score"
    return Table(
        "Scores on the test channel",
        ["metric", "model", f"always the {naive} of training"],
        [[name, value, tested.naive.get(name)] for name, value in tested.metrics.items()],
        note=f"{len(tested.truth_R)} pairs, each scored once.",
    )


def _class_table(tested: Tested) -> Table:
    rows: list[list[str | float | int | None]] = []
    for number in np.unique(tested.truth_R):
        is_true, is_answer = tested.truth_R == number, tested.answer_R == number
        hits = int((is_true & is_answer).sum())
        precision = hits / int(is_answer.sum()) if is_answer.any() else None
        rows.append([str(int(number)), int(is_true.sum()), hits / int(is_true.sum()), precision])
    return Table(
        "Classes of the test channel",
        ["class", "pairs", "found (recall)", "right where answered (precision)"],
        rows,
    )


def _curves(result: FitResult, hyperparameters: Object2VecHyperparameters) -> list[Lines]:
    kept = f"The model holds the weights of epoch {result.kept_epoch}."
    titles = {LOSS: "Loss", ACCURACY: "Accuracy"}
    return [
        Lines(
            titles.get(name, name),
            "epoch",
            _name(name, hyperparameters).replace("_", " "),
            list(range(len(result.losses))),
            {
                channel: curves[name]
                for channel, curves in (("train", result.train), ("validation", result.validation))
                if name in curves
            },
            note=kept,
        )
        for name in result.train
    ]


def _neighbourhood(one: Neighbourhood) -> list[Figure]:
    rows = [
        [
            one.names[query],
            ", ".join(
                f"{one.names[other]} ({cosine:.2f})"
                for other, cosine in zip(others, cosines, strict=True)
            ),
        ]
        for query, (others, cosines) in enumerate(
            zip(one.neighbours_QK.tolist(), one.cosines_QK.tolist(), strict=True)
        )
    ]
    field = one.side.field
    table = Table(
        f"Neighbours among objects of {field}",
        ["object", "nearest others, by cosine of their embeddings"],
        rows,
        note=f"The objects that occur most often in training, among the {len(one.names)} most frequent ones.",
    )
    rest = "all others"
    is_coloured = np.zeros(len(one.names), bool)
    groups: dict[str, list[list[float]]] = {}
    for query, others in enumerate(one.neighbours_QK[:NUM_COLOURED].tolist()):
        members = [number for number in (query, *others) if not is_coloured[number]]
        is_coloured[members] = True
        groups[f"{one.names[query]} and its neighbours"] = one.map_U2[members].tolist()
    groups[rest] = one.map_U2[~is_coloured].tolist()
    return [
        table,
        Scatter(
            f"Map of {field}",
            "first principal component",
            "second principal component",
            {name: points for name, points in groups.items() if points},
            rest=rest,
            note=f"{len(one.names)} objects; the plane holds {100 * one.share:.0f} % of the variance.",
        ),
    ]
