"""One DeepAR job from channels to artifact: read, train, write, score, report."""

import logging

import torch

from sm_dl import faults
from sm_dl.algorithms.deepar import ALGORITHM
from sm_dl.algorithms.deepar.artifact import write_artifact
from sm_dl.algorithms.deepar.batches import EpochBatches, LastWindows
from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.data import (
    check_enough_observations,
    read_channel,
    usable,
)
from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters
from sm_dl.algorithms.deepar.module import DeepARModule
from sm_dl.algorithms.deepar.narration import DeepARNarrator
from sm_dl.algorithms.deepar.network import DeepARNetwork, NetworkShape
from sm_dl.algorithms.deepar.predictor import DeepARPredictor
from sm_dl.algorithms.deepar.schema import Schema, infer_schema
from sm_dl.algorithms.deepar.scoring import read_test_series, score
from sm_dl.algorithms.deepar.summary import report_of
from sm_dl.algorithms.deepar.windows import SeriesPanel, panel_of
from sm_dl.contract.figures import write_report_data
from sm_dl.contract.metrics import MetricLog
from sm_dl.data.bad_records import BadRecords
from sm_dl.engine import fit as engine
from sm_dl.engine import machine
from sm_dl.engine.stopping import Patience
from sm_dl.engine.strategy import Plan, plan_of
from sm_dl.errors import UserError
from sm_dl.job import stop
from sm_dl.job.job import ChannelSource, Job

logger = logging.getLogger(__name__)

AVERAGE_DECAY = 0.99
"""Weights are averaged over about the last hundred updates: ten epochs of a small data set."""


def fit(job: Job[DeepARHyperparameters]) -> None:
    """Train a model, leave it in `job.paths.model`, score the test channel, describe the run.

    Raises:
        UserError: A channel does not hold what DeepAR reads; file and line are named.
    """
    hyperparameters = job.hyperparameters
    layout = plan_of(job, ALGORITHM.placement)
    _refuse_shards_of_several_hosts(job, layout)
    bad = BadRecords(hyperparameters.max_bad_records)
    panel, schema = read_panel(job.channels["train"], hyperparameters, bad)
    validation = None
    if "validation" in job.channels:
        validation = read_validation(job.channels["validation"], schema, hyperparameters, bad)
    test = read_test_series(job.channels["test"], schema, bad) if "test" in job.channels else []
    network = build_network(hyperparameters, schema)
    patience = hyperparameters.early_stopping_patience
    log = MetricLog(ALGORITHM.metrics, job.hosts.current, is_printing=machine.rank() == 0)
    with stop.deferred():
        result = engine.fit(
            DeepARModule(network, hyperparameters),
            EpochBatches(panel, schema, hyperparameters),
            job=job,
            plan=layout,
            num_epochs=hyperparameters.epochs,
            narrator=DeepARNarrator(log),
            selection=Patience(patience) if patience else None,
            average_decay=AVERAGE_DECAY,
            validation_batches_of=validation,
            identity=identity(hyperparameters, schema),
        )
        predictor = DeepARPredictor(network, schema, hyperparameters.context_length)
        if result.is_main and result.has_weights:
            write_artifact(job.paths.model, predictor, hyperparameters.model_dump(mode="json"))
    if result.interruption is not None:
        raise result.interruption
    if not result.is_main:
        return
    logger.info("Final loss: %s (occurred at epoch %d)", result.final_loss, result.kept_epoch)
    log.say("train:final_loss", result.final_loss)
    stop.check("SIGTERM came after training; the model is written, the test channel is not scored.")
    tested = score(predictor, test, hyperparameters, log) if test else None
    write_report_data(report_of(job, result, tested, bad), job.paths.report)


def _refuse_shards_of_several_hosts(job: Job[DeepARHyperparameters], layout: Plan) -> None:
    if layout.num_nodes > 1 and job.channels["train"].distribution == "ShardedByS3Key":
        raise UserError(
            "channel train: distribution: several hosts must see the same series for now; "
            "got ShardedByS3Key. Use FullyReplicated: each host still trains on its own share."
        )


def read_panel(
    source: ChannelSource, hyperparameters: DeepARHyperparameters, bad: BadRecords | None = None
) -> tuple[SeriesPanel, Schema]:
    """Return the training series, ready for windows to be cut, and what they have in common.

    Raises:
        UserError: The channel does not hold what DeepAR reads.
    """
    faults.reach("read")
    series = list(read_channel(source, Frequency.parse(hyperparameters.time_freq), bad))
    schema = infer_schema(hyperparameters, series)
    long_enough = usable(series, schema, source.name)
    check_enough_observations(series)
    return panel_of(long_enough, schema), schema


def read_validation(
    source: ChannelSource,
    schema: Schema,
    hyperparameters: DeepARHyperparameters,
    bad: BadRecords,
) -> LastWindows:
    """Return the last window of each validation series.

    Raises:
        UserError: A series does not fit the schema, or none is long enough.
    """
    series = usable(list(read_channel(source, schema.frequency, bad)), schema, source.name)
    return LastWindows(panel_of(series, schema), schema, hyperparameters)


def build_network(hyperparameters: DeepARHyperparameters, schema: Schema) -> DeepARNetwork:
    """Return a network with fresh weights; the seed decides them."""
    torch.manual_seed(hyperparameters.seed)
    logger.info("Calendar features: %s", ", ".join(schema.frequency.feature_names))
    return DeepARNetwork(
        NetworkShape(
            num_layers=hyperparameters.num_layers,
            num_cells=hyperparameters.num_cells,
            zoneout_rate=hyperparameters.dropout_rate,
            likelihood=schema.likelihood,
            lags=schema.lags,
            num_calendar=len(schema.frequency.feature_names),
            cardinality=schema.cardinality,
            embedding_dimension=hyperparameters.embedding_dimension,
            num_dynamic=schema.num_dynamic,
            has_gaps=schema.has_gaps,
        )
    )


def identity(hyperparameters: DeepARHyperparameters, schema: Schema) -> dict[str, object]:
    """Return what two jobs must share for one to continue the other's checkpoint."""
    names = (
        "time_freq", "likelihood", "num_layers", "num_cells", "embedding_dimension",
        "dropout_rate", "context_length", "prediction_length", "seed",
    )  # fmt: skip
    return {
        "algorithm": ALGORITHM.name,
        **{name: getattr(hyperparameters, name) for name in names},
        "cardinality": list(schema.cardinality),
        "num_dynamic_feat": schema.num_dynamic,
        "has_gaps": schema.has_gaps,
        "lags": list(schema.lags),
    }
