"""The page of a finished DeepAR job, as data for the report."""

from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters
from sm_dl.algorithms.deepar.scoring import Tested
from sm_dl.contract.figures import Fans, Lines, Report, Table
from sm_dl.contract.page import page_of
from sm_dl.data.bad_records import BadRecords
from sm_dl.engine.fit import FitResult
from sm_dl.job.job import Job


def report_of(
    job: Job[DeepARHyperparameters],
    result: FitResult,
    tested: Tested | None,
    bad: BadRecords,
) -> Report:
    """Return the page of a finished job, as data."""
    hyperparameters = job.hyperparameters
    losses = result.losses
    frequency = Frequency.parse(hyperparameters.time_freq)
    curves = {"train loss": losses}
    if result.validation:
        curves["validation loss"] = result.validation["loss"]
    has_no_noise = hyperparameters.likelihood == "deterministic-L1"
    scores = {}
    figures: list[Lines | Fans | Table] = []
    if tested is not None:
        scores["test:mean_wQuantileLoss"] = tested.scores.mean_weighted_quantile_loss
        scores["test:RMSE"] = tested.scores.rmse
        figures.append(
            Fans(
                "Forecasts of the test channel",
                tested.panels,
                note="From the best forecast to the worst, by absolute error of the median relative to the truth.",
            )
        )
        figures.append(_score_table(tested))
    scores["train:final_loss"] = result.final_loss
    figures.append(
        Lines(
            "Training loss",
            "epoch",
            "absolute error" if has_no_noise else "negative log-likelihood",
            list(range(len(losses))),
            curves,
            note=f"The model holds the weights of epoch {result.kept_epoch}.",
        )
    )
    return page_of(
        job,
        title="DeepAR forecast",
        summary=(
            f"{frequency.words(hyperparameters.prediction_length)} ahead from "
            f"{frequency.words(hyperparameters.context_length)} of context and longer lags. "
            f"Likelihood {hyperparameters.likelihood}, {len(losses)} epochs."
        ),
        scores=scores,
        figures=figures,
        left_out=bad.reasons,
        num_left_out=bad.count,
    )


def _score_table(tested: Tested) -> Table:
    scores, naive = tested.scores, tested.naive
    rows: list[list[str | float | int | None]] = [
        [
            "mean_wQuantileLoss",
            scores.mean_weighted_quantile_loss,
            naive.mean_weighted_quantile_loss,
        ],
        ["RMSE", scores.rmse, naive.rmse],
    ]
    rows += [
        [f"wQuantileLoss[{level}]", loss, naive.weighted_quantile_losses[level]]
        for level, loss in scores.weighted_quantile_losses.items()
    ]
    return Table(
        "Scores on the test channel",
        ["metric", "model", f"seasonal naive ({tested.season})"],
        rows,
        note="Lower is better. The seasonal naive forecast repeats the last season of each series.",
    )
