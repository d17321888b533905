"""One topic model job from channels to artifact: read, train, write, score, report."""

import logging

import torch

from sm_dl import faults
from sm_dl.algorithms.ntm import ALGORITHM
from sm_dl.algorithms.ntm.artifact import write_artifact
from sm_dl.algorithms.ntm.batches import AllBatches, EpochBatches
from sm_dl.algorithms.ntm.data import read_documents
from sm_dl.algorithms.ntm.documents import Documents
from sm_dl.algorithms.ntm.hyperparameters import NTMHyperparameters
from sm_dl.algorithms.ntm.module import NTMModule
from sm_dl.algorithms.ntm.narration import NTMNarrator, Sizes
from sm_dl.algorithms.ntm.network import NetworkShape, NTMNetwork
from sm_dl.algorithms.ntm.scoring import score
from sm_dl.algorithms.ntm.summary import Outcome, report_of
from sm_dl.algorithms.ntm.topics import Topics, log_topics, topics_of
from sm_dl.algorithms.ntm.vocabulary import read_vocabulary
from sm_dl.contract.figures import write_report_data
from sm_dl.contract.metrics import MetricLog
from sm_dl.data.bad_records import BadRecords
from sm_dl.engine import fit as engine
from sm_dl.engine import machine, strategy
from sm_dl.engine.losses import LOSS
from sm_dl.engine.stopping import PatienceWindow
from sm_dl.engine.strategy import LightningPrecision, Plan
from sm_dl.errors import UserError
from sm_dl.files import beside_the_model, write_atomically
from sm_dl.job import stop
from sm_dl.job.job import Job

logger = logging.getLogger(__name__)

TOPICS_FILE = "topics.json"
AVERAGE_DECAY, AVERAGE_EVERY = 0.998, 10
"""Weights are averaged over about the last 500 updates, or the last ninth of fewer.

Differs from the service: it leaves the weights of the last update, whose noise makes topics less
coherent at the same perplexity (scripts/benchmarks/RESULTS.md).
"""


def fit(job: Job[NTMHyperparameters]) -> None:
    """Train a model, leave it in `job.paths.model`, tell its topics, score the test channel.

    Raises:
        UserError: A channel does not hold what a topic model reads; file and record are named.
    """
    wanted = job.hyperparameters
    layout = layout_of(job)
    refuse_pipes_of_several_processes(job, layout)
    vocabulary = read_vocabulary(job.channels.get("auxiliary"), wanted.feature_dim)
    bad = BadRecords(wanted.max_bad_records)
    documents = read_channels(job, bad)
    _warn_of_settings_without_effect(wanted)
    network = build_network(wanted)
    train = documents["train"]
    module = NTMModule(network, wanted, train)
    batch_size = wanted.mini_batch_size * layout.num_nodes
    validation = documents.get("validation")
    selection = PatienceWindow(wanted.num_patience_epochs, wanted.tolerance)
    log = MetricLog(ALGORITHM.metrics, job.hosts.current, is_printing=machine.rank() == 0)
    with stop.deferred():
        result = engine.fit(
            module,
            EpochBatches(
                train,
                batch_size=wanted.mini_batch_size,
                sub_sample=wanted.sub_sample,
                seed=wanted.seed,
                num_hosts=layout.num_nodes,
                is_sharded=job.channels["train"].distribution == "ShardedByS3Key",
            ),
            job=job,
            plan=layout,
            num_epochs=wanted.epochs,
            narrator=NTMNarrator(log, selection, Sizes(batch_size, len(validation or ()))),
            selection=selection,
            average_decay=AVERAGE_DECAY,
            average_every=AVERAGE_EVERY,
            validation_batches_of=(
                AllBatches(validation, batch_size=batch_size) if validation else None
            ),
            identity=identity(wanted),
        )
        found: Topics | None = None
        if result.is_main and result.has_weights:
            write_artifact(job.paths.model, network, wanted.model_dump(mode="json"))
            found = topics_of(network.projection.weight, module.meetings, vocabulary)
            write_atomically(job.paths.model / TOPICS_FILE, found.json_bytes())
            with beside_the_model(job.paths.extras):
                job.paths.extras.mkdir(parents=True, exist_ok=True)
                write_atomically(job.paths.extras / TOPICS_FILE, found.json_bytes())
    if result.interruption is not None:
        raise result.interruption
    if not result.is_main or found is None:
        return
    logger.info("%s", selection.last_words())
    if result.validation:
        kept = result.validation[LOSS][result.kept_epoch]
        log.say("validation:total_loss", kept, epoch=result.kept_epoch + 1)
    log_topics(found)
    stop.check("SIGTERM came after training; the model is written, the test channel is not scored.")
    tested = None
    if "test" in documents:
        tested = score(network, documents["test"], batch_size=batch_size, seed=wanted.seed, log=log)
    else:
        logger.info("Test data is not provided.")
    outcome = Outcome(result, found, tested, network, documents, bad)
    write_report_data(report_of(job, outcome), job.paths.report)


def layout_of(job: Job[NTMHyperparameters]) -> Plan:
    """Return devices and precision; without bfloat16 float32, on a GPU, too.

    The loss takes no float16, whose range is too small for probabilities of words.
    """
    best: LightningPrecision = "bf16-mixed" if strategy.hardware().has_bf16 else "32-true"
    return strategy.plan_of(job, ALGORITHM.placement, auto_precision=best)


def read_channels(job: Job[NTMHyperparameters], bad: BadRecords) -> dict[str, Documents]:
    """Return the documents of the channels that hold some, by name.

    Raises:
        UserError: A channel does not hold what a topic model reads.
    """
    faults.reach("read")
    num_words = job.hyperparameters.feature_dim
    return {
        name: read_documents(job.channels[name], num_words, hosts=job.hosts, bad=bad)
        for name in ("train", "validation", "test")
        if name in job.channels
    }


def build_network(hyperparameters: NTMHyperparameters) -> NTMNetwork:
    """Return a network with fresh weights; the seed decides them."""
    torch.manual_seed(hyperparameters.seed)
    return NTMNetwork(
        NetworkShape(
            num_words=hyperparameters.feature_dim,
            num_topics=hyperparameters.num_topics,
            layers=hyperparameters.layers,
            activation=hyperparameters.encoder_layers_activation,
            has_batch_norm=hyperparameters.batch_norm,
        )
    )


def identity(hyperparameters: NTMHyperparameters) -> dict[str, object]:
    """Return what two jobs must share for one to continue the other's checkpoint."""
    names = (
        "feature_dim", "num_topics", "encoder_layers_activation", "batch_norm", "optimizer", "seed",
    )  # fmt: skip
    return {
        "algorithm": ALGORITHM.name,
        **{name: getattr(hyperparameters, name) for name in names},
        "encoder_layers": list(hyperparameters.layers),
    }


def _warn_of_settings_without_effect(hyperparameters: NTMHyperparameters) -> None:
    if hyperparameters.optimizer == "adadelta":
        logger.info(
            "learning_rate %s has no effect: adadelta sets its own steps, as in the service. "
            "Choose another optimizer to set a rate.",
            hyperparameters.learning_rate,
        )
    if hyperparameters.num_patience_epochs > hyperparameters.epochs:
        logger.info("Early stopping is off: num_patience_epochs is larger than epochs.")


def refuse_pipes_of_several_processes(job: Job[NTMHyperparameters], layout: Plan) -> None:
    """Refuse what would give each process a part of a pipe.

    Raises:
        UserError: A channel is a pipe, and a machine has several processes.
    """
    piped = [name for name, source in job.channels.items() if source.input_mode == "Pipe"]
    if piped and layout.devices > 1:
        raise UserError(
            f"channel {piped[0]}: input mode Pipe: one process of a machine can read a pipe; "
            f"got {layout.devices}. Use File or FastFile, or resources devices=1."
        )
