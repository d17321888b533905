"""One IP Insights job from channels to artifact: read, train, write, score, report."""

import logging

import torch

from sm_dl import faults
from sm_dl.algorithms.ip_insights import ALGORITHM
from sm_dl.algorithms.ip_insights.artifact import write_artifact
from sm_dl.algorithms.ip_insights.batches import EpochBatches, ScoredPairs, Sharing
from sm_dl.algorithms.ip_insights.data import Table, read_table
from sm_dl.algorithms.ip_insights.hyperparameters import IPInsightsHyperparameters
from sm_dl.algorithms.ip_insights.module import IPInsightsModule
from sm_dl.algorithms.ip_insights.narration import IPInsightsNarrator
from sm_dl.algorithms.ip_insights.network import ENCODER_VERSION, IPInsightsNetwork, NetworkShape
from sm_dl.algorithms.ip_insights.predictor import IPInsightsPredictor
from sm_dl.algorithms.ip_insights.scoring import score, write_scores
from sm_dl.algorithms.ip_insights.summary import report_of
from sm_dl.contract.figures import write_report_data
from sm_dl.contract.metrics import MetricLog
from sm_dl.data.bad_records import BadRecords
from sm_dl.engine import fit as engine
from sm_dl.engine import machine
from sm_dl.engine.strategy import LightningPrecision, Plan, hardware, plan_of
from sm_dl.files import beside_the_model
from sm_dl.job import stop
from sm_dl.job.job import Job

logger = logging.getLogger(__name__)

LARGEST_MODEL_BYTES = 8 * 10**9
"""Of the service (AWS developer guide)."""


def fit(job: Job[IPInsightsHyperparameters]) -> None:
    """Train a model, leave it in `job.paths.model`, score channels, describe the run.

    Raises:
        UserError: A channel does not hold what IP Insights reads; file and line are named.
    """
    hyperparameters = job.hyperparameters
    layout = layout_of(job)
    bad = BadRecords(hyperparameters.max_bad_records)
    faults.reach("read")
    tables = {
        name: read_table(source, hyperparameters.num_entity_vectors, hosts=job.hosts, bad=bad)
        for name, source in job.channels.items()
    }
    _tell_of_sizes(hyperparameters, tables["train"])
    network = build_network(hyperparameters)
    log = MetricLog(ALGORITHM.metrics, job.hosts.current, is_printing=machine.rank() == 0)
    batches = EpochBatches(tables["train"], hyperparameters, _sharing(job, layout))
    module = IPInsightsModule(network, hyperparameters, batches)
    with stop.deferred():
        result = engine.fit(
            module,
            batches,
            job=job,
            plan=layout,
            num_epochs=hyperparameters.epochs,
            narrator=IPInsightsNarrator(log, hyperparameters.batch_metrics_publish_interval),
            validation_batches_of=(
                ScoredPairs(tables["validation"]) if "validation" in tables else None
            ),
            identity=identity(hyperparameters),
        )
        predictor = IPInsightsPredictor(network, module.entities)
        if result.is_main and result.has_weights:
            write_artifact(job.paths.model, predictor, hyperparameters.model_dump(mode="json"))
    if result.interruption is not None:
        raise result.interruption
    if not result.is_main:
        return
    stop.check("SIGTERM came after training; the model is written, no channel is scored.")
    if "test" not in tables:
        logger.info("Test data is not provided.")
    scored = [
        score(network, tables[name], job.channels[name], bad)
        for name in ("validation", "test")
        if name in tables
    ]
    for one in scored:
        if one.channel == "test":
            log.say("test:discriminator_auc", one.auc)
    if scored:
        with beside_the_model(job.paths.extras):
            write_scores(scored, job.paths.extras)
    write_report_data(report_of(job, result, tables["train"], scored, bad), job.paths.report)


def layout_of(job: Job[IPInsightsHyperparameters]) -> Plan:
    """Return devices and precision: bfloat16 on a CPU that has it, float32 elsewhere."""
    here = hardware()
    is_faster = here.has_bf16 and here.num_gpus == 0  # on GPUs that has not been measured
    best: LightningPrecision = "bf16-mixed" if is_faster else "32-true"
    return plan_of(job, ALGORITHM.placement, auto_precision=best)


def _sharing(job: Job[IPInsightsHyperparameters], layout: Plan) -> Sharing:
    is_sharded = job.channels["train"].distribution == "ShardedByS3Key"
    return Sharing(layout.num_nodes if is_sharded else 1)


def _tell_of_sizes(hyperparameters: IPInsightsHyperparameters, train: Table) -> None:
    logger.info(
        "mini_batch_size %d counts generated pairs: a batch holds %d of the %d observed pairs, each with "
        "%d random and %d shuffled negatives.",
        hyperparameters.mini_batch_size, hyperparameters.positives_per_batch, len(train),
        hyperparameters.random_negative_sampling_rate, hyperparameters.shuffled_negative_sampling_rate,
    )  # fmt: skip
    if hyperparameters.num_entity_vectors < 2 * len(train.entities):
        logger.warning(
            "num_entity_vectors=%d for %d entities: many share a row of the table with another. "
            "Twice their number is advised.",
            hyperparameters.num_entity_vectors, len(train.entities),
        )  # fmt: skip
    num_bytes = 4 * hyperparameters.num_entity_vectors * hyperparameters.vector_dim
    if num_bytes > LARGEST_MODEL_BYTES:
        logger.warning(
            "the table of entities takes %.1f GB; the service's models are limited to 8 GB.",
            num_bytes / 1e9,
        )


def build_network(hyperparameters: IPInsightsHyperparameters) -> IPInsightsNetwork:
    """Return a network with fresh weights; the seed decides them."""
    torch.manual_seed(hyperparameters.seed)
    return IPInsightsNetwork(
        NetworkShape(
            num_entity_vectors=hyperparameters.num_entity_vectors,
            vector_dim=hyperparameters.vector_dim,
            num_layers=hyperparameters.num_ip_encoder_layers,
        )
    )


def identity(hyperparameters: IPInsightsHyperparameters) -> dict[str, object]:
    """Return what two jobs must share for one to continue the other's checkpoint."""
    names = (
        "num_entity_vectors", "vector_dim", "num_ip_encoder_layers", "mini_batch_size",
        "random_negative_sampling_rate", "shuffled_negative_sampling_rate", "seed",
    )  # fmt: skip
    return {
        "algorithm": ALGORITHM.name,
        "encoder_version": ENCODER_VERSION,
        **{name: getattr(hyperparameters, name) for name in names},
    }
