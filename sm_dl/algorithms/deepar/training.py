"""One DeepAR job from channels to artifact: read, train, write, score, report."""

import logging
from collections.abc import Iterator

import torch

from sm_dl.algorithms.deepar import ALGORITHM
from sm_dl.algorithms.deepar.calendar import Frequency
from sm_dl.algorithms.deepar.data import Schema, infer_schema, read_channel, usable_for_training
from sm_dl.algorithms.deepar.epochs import EpochRule, draw_epoch
from sm_dl.algorithms.deepar.hyperparameters import DeepARHyperparameters
from sm_dl.algorithms.deepar.module import DeepARModule
from sm_dl.algorithms.deepar.network import DeepARNetwork, NetworkShape
from sm_dl.algorithms.deepar.predictor import DeepARPredictor, write_artifact
from sm_dl.algorithms.deepar.scoring import read_test_series, score
from sm_dl.algorithms.deepar.summary import report_of
from sm_dl.algorithms.deepar.windows import SeriesPanel, Windows, WindowShape
from sm_dl.contract.figures import write_report_data
from sm_dl.contract.metrics import MetricLog
from sm_dl.engine import fit as engine
from sm_dl.engine import machine
from sm_dl.engine.loader import Place
from sm_dl.engine.strategy import Launched, Plan, hardware, plan
from sm_dl.errors import UserError
from sm_dl.job.job import ChannelSource, Job

logger = logging.getLogger(__name__)


def fit(job: Job[DeepARHyperparameters]) -> None:
    """Train a model, leave it in `job.paths.model`, score the test channel, describe the run.

    Raises:
        UserError: A channel does not hold what DeepAR reads; file and line are named.
    """
    hyperparameters = job.hyperparameters
    layout = plan(ALGORITHM.placement, job.resources, hardware(), launched=Launched.by_torchrun())
    _refuse_shards_of_several_hosts(job, layout)
    panel, schema = read_panel(job.channels["train"], hyperparameters)
    test = read_test_series(job.channels["test"], schema) if "test" in job.channels else []
    network = build_network(hyperparameters, schema)
    log = MetricLog(ALGORITHM.metrics, job.hosts.current, is_printing=machine.rank() == 0)
    result = engine.fit(
        DeepARModule(network, hyperparameters),
        EpochBatches(panel, schema, hyperparameters),
        job=job,
        plan=layout,
        log=log,
        num_epochs=hyperparameters.epochs,
        patience=hyperparameters.early_stopping_patience,
        identity=identity(hyperparameters, schema),
    )
    if not result.is_main:
        return
    logger.info("Final loss: %s (occurred at epoch %d)", result.final_loss, result.kept_epoch)
    log.say("train:final_loss", result.final_loss)
    predictor = DeepARPredictor(network, schema, hyperparameters.context_length)
    write_artifact(job.paths.model, predictor, hyperparameters.model_dump(mode="json"))
    tested = score(predictor, test, hyperparameters, log)
    write_report_data(report_of(job, result, tested), job.paths.report)


def _refuse_shards_of_several_hosts(job: Job[DeepARHyperparameters], layout: Plan) -> None:
    if layout.num_nodes > 1 and job.channels["train"].distribution == "ShardedByS3Key":
        raise UserError(
            "channel train: distribution: several hosts must see the same series for now; "
            "got ShardedByS3Key. Use FullyReplicated: each host still trains on its own share."
        )


def read_panel(
    source: ChannelSource, hyperparameters: DeepARHyperparameters
) -> tuple[SeriesPanel, Schema]:
    """Return the training series, ready for windows to be cut, and what they have in common.

    Raises:
        UserError: The channel does not hold what DeepAR reads.
    """
    series = list(read_channel(source, Frequency.parse(hyperparameters.time_freq)))
    schema = infer_schema(hyperparameters, series)
    panel = SeriesPanel(
        usable_for_training(series, schema),
        schema.frequency,
        num_cat=len(schema.cardinality),
        num_dynamic=schema.num_dynamic,
    )
    return panel, schema


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


class EpochBatches:
    """Makes the batches of any epoch: the windows drawn, cut, and shared out over the ranks."""

    def __init__(
        self, panel: SeriesPanel, schema: Schema, hyperparameters: DeepARHyperparameters
    ) -> None:
        """Remember the series and how windows are drawn from them."""
        self.panel = panel
        self.seed = hyperparameters.seed
        self.batch_size = hyperparameters.mini_batch_size
        self.rule = EpochRule.of(len(panel), self.batch_size)
        self.num_starts = panel.lengths - hyperparameters.prediction_length + 1
        self.shape = WindowShape(
            schema.lags[-1], hyperparameters.context_length, hyperparameters.prediction_length
        )
        line = self.rule.log_line()
        if line is not None:
            logger.info("%s", line)

    def __call__(self, place: Place) -> Iterator[Windows]:
        """Yield this rank's part of each batch of an epoch, on the rank's device."""
        self.panel.to(place.device)
        series, starts = draw_epoch(self.num_starts, self.rule, seed=self.seed, epoch=place.epoch)
        for first in range(0, len(series), self.batch_size):
            mine = slice(first + place.rank, first + self.batch_size, place.world_size)
            yield self.panel.cut(
                torch.from_numpy(series[mine]), torch.from_numpy(starts[mine]), self.shape
            )


def identity(hyperparameters: DeepARHyperparameters, schema: Schema) -> dict[str, object]:
    """Return what two jobs must share for one to continue the other's checkpoint."""
    names = (
        "time_freq", "likelihood", "num_layers", "num_cells", "embedding_dimension",
        "dropout_rate", "context_length", "prediction_length", "mini_batch_size", "seed",
    )  # fmt: skip
    return {
        "algorithm": ALGORITHM.name,
        **{name: getattr(hyperparameters, name) for name in names},
        "cardinality": list(schema.cardinality),
        "num_dynamic_feat": schema.num_dynamic,
        "has_gaps": schema.has_gaps,
        "lags": list(schema.lags),
    }
