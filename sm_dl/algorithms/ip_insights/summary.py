"""The page of a finished IP Insights job, as data for the report."""

from collections.abc import Sequence

from sm_dl.algorithms.ip_insights.data import Table as Pairs
from sm_dl.algorithms.ip_insights.hyperparameters import IPInsightsHyperparameters
from sm_dl.algorithms.ip_insights.module import ACCURACY, AUC
from sm_dl.algorithms.ip_insights.scoring import Scored
from sm_dl.contract.figures import Figure, Histogram, Lines, Report, Table
from sm_dl.contract.page import page_of
from sm_dl.data.bad_records import BadRecords
from sm_dl.engine.fit import FitResult
from sm_dl.job.job import Job


def report_of(
    job: Job[IPInsightsHyperparameters],
    result: FitResult,
    train: Pairs,
    scored: Sequence[Scored],
    bad: BadRecords,
) -> Report:
    """Return the page of a finished job, as data."""
    hyperparameters = job.hyperparameters
    scores: dict[str, float | None] = {f"{one.channel}:{AUC}": one.auc for one in scored}
    scores["train:binary_classification_accuracy"] = result.train[ACCURACY][-1]
    scores["train:binary_classification_cross_entropy"] = result.final_loss
    figures: list[Figure] = [figure for one in scored for figure in _of_channel(one)]
    figures += _curves(result)
    return page_of(
        job,
        title="IP Insights",
        summary=(
            f"{len(train):,} observed pairs of {len(train.entities):,} entities; "
            f"{hyperparameters.random_negative_sampling_rate} random and "
            f"{hyperparameters.shuffled_negative_sampling_rate} shuffled negatives for each, "
            f"{len(result.losses)} epochs. A low score is suspicious."
        ),
        scores=scores,
        figures=figures,
        left_out=bad.reasons,
        num_left_out=bad.count,
    )


def _of_channel(scored: Scored) -> list[Figure]:
    false_rates, true_rates = scored.roc
    quantiles = scored.distribution.quantiles
    return [
        Histogram(
            f"Scores of the {scored.channel} channel",
            "score",
            "pairs",
            scored.distribution.edges,
            {
                "observed pairs": scored.distribution.observed,
                "the same entities, random addresses": scored.distribution.generated,
            },
            note="A score is the log odds that a pair is real. Where the two overlap, no threshold "
            "tells them apart.",
        ),
        Lines(
            f"ROC curve of the {scored.channel} channel",
            "random pairs scored above the threshold",
            "observed pairs above it",
            false_rates,
            {"this model": true_rates, "by chance": false_rates},
            note=f"The area under it is {scored.auc:.4f}: the chance that an observed pair scores "
            "above a random one.",
        ),
        Table(
            f"Thresholds for the {scored.channel} channel",
            ["share of observed pairs below", "score"],
            [[level, value] for level, value in quantiles.items()],
            note="Flag what scores below: the share is the price in false alarms, if the future is "
            "like this channel.",
        ),
        Table(
            f"Least likely pairs of the {scored.channel} channel",
            ["entity", "address", "score", "where"],
            [[one.entity, one.address, one.score, one.place] for one in scored.suspects],
        ),
    ]


def _curves(result: FitResult) -> list[Figure]:
    epochs = list(range(len(result.losses)))
    figures: list[Figure] = [
        Lines("Training loss", "epoch", "binary cross entropy", epochs, {"train": result.losses})
    ]
    if result.validation:
        figures.append(
            Lines(
                "Discriminator AUC by epoch",
                "epoch",
                "area under the ROC curve",
                epochs,
                {"validation": result.validation[AUC]},
            )
        )
    return figures
