"""One Object2Vec job from channels to artifact: read, train, write, score, embed, report."""

import logging

import torch

from sm_dl import faults
from sm_dl.algorithms.object2vec import ALGORITHM
from sm_dl.algorithms.object2vec.artifact import write_artifact
from sm_dl.algorithms.object2vec.batches import AllPairs, EpochBatches
from sm_dl.algorithms.object2vec.data import Pairs, read_channel
from sm_dl.algorithms.object2vec.hyperparameters import Object2VecHyperparameters
from sm_dl.algorithms.object2vec.module import Object2VecModule
from sm_dl.algorithms.object2vec.narration import EarlyStopping, Object2VecNarrator
from sm_dl.algorithms.object2vec.neighbours import write_embeddings
from sm_dl.algorithms.object2vec.network import NetworkShape, Object2VecNetwork
from sm_dl.algorithms.object2vec.predictor import Object2VecPredictor
from sm_dl.algorithms.object2vec.pretrained import fill_table
from sm_dl.algorithms.object2vec.records import Rules
from sm_dl.algorithms.object2vec.scoring import score
from sm_dl.algorithms.object2vec.sides import Side, sides_of
from sm_dl.algorithms.object2vec.summary import report_of
from sm_dl.algorithms.object2vec.words import Words, auxiliary_file, read_words
from sm_dl.contract.figures import write_report_data
from sm_dl.contract.metrics import MetricLog
from sm_dl.data.bad_records import BadRecords
from sm_dl.engine import fit as engine
from sm_dl.engine import machine
from sm_dl.engine.strategy import Plan, plan_of
from sm_dl.errors import UserError
from sm_dl.job import stop
from sm_dl.job.job import ChannelSource, Job

logger = logging.getLogger(__name__)

WordsOfSides = tuple[Words | None, Words | None]


def fit(job: Job[Object2VecHyperparameters]) -> None:
    """Train a model, leave it in `job.paths.model`, score the test channel, embed, describe the run.

    Raises:
        UserError: A channel does not hold what Object2Vec reads; file and line are named.
    """
    hyperparameters = job.hyperparameters
    layout = planned(job)
    sides = sides_of(hyperparameters)
    auxiliary = job.channels.get("auxiliary")
    words = (read_side_words(auxiliary, sides[0]), read_side_words(auxiliary, sides[1]))
    faults.reach("read")
    rules, bad = Rules.of(hyperparameters, sides), BadRecords(hyperparameters.max_bad_records)
    channels = {
        name: read_channel(job.channels[name], rules, bad)
        for name in ("train", "validation", "test")
        if name in job.channels
    }
    train = channels["train"]
    check_negative_sampling(hyperparameters, train)
    network = build_network(hyperparameters, sides, train)
    load_pretrained(network, auxiliary, words)
    log = MetricLog(ALGORITHM.metrics, job.hosts.current, is_printing=machine.rank() == 0)
    selection = EarlyStopping(
        hyperparameters.early_stopping_patience, hyperparameters.early_stopping_tolerance
    )
    with stop.deferred():
        result = engine.fit(
            Object2VecModule(network, hyperparameters),
            EpochBatches(train, hyperparameters),
            job=job,
            plan=layout,
            num_epochs=hyperparameters.epochs,
            narrator=Object2VecNarrator(log, selection),
            selection=selection,
            validation_batches_of=(
                AllPairs(channels["validation"], hyperparameters.mini_batch_size)
                if "validation" in channels
                else None
            ),
            identity=identity(hyperparameters, network.shape),
        )
        predictor = Object2VecPredictor(network, words, environment={})
        if result.is_main and result.has_weights:
            write_artifact(job.paths.model, predictor, hyperparameters.model_dump(mode="json"))
    if result.interruption is not None:
        raise result.interruption
    if not result.is_main:
        return
    logger.info("%s", selection.last_words())
    stop.check("SIGTERM came after training; the model is written, the test channel is not scored.")
    tested = score(predictor, channels["test"], train, log) if "test" in channels else None
    found = write_embeddings(predictor, train, job.paths.extras / "embeddings")
    write_report_data(report_of(job, result, tested, found, bad), job.paths.report)


def planned(job: Job[Object2VecHyperparameters]) -> Plan:
    """Return how a job is laid out: on a CPU that has it, hidden layers are multiplied in bfloat16.

    That halves their time and leaves the scores as good (scripts/benchmarks/RESULTS.md). Measured for
    pooled encoders alone, where nothing else is multiplied; others, and GPUs, keep float32.
    """
    plan = plan_of(job, ALGORITHM.placement)
    is_pooled = all(side.network == "pooled_embedding" for side in sides_of(job.hyperparameters))
    if plan.accelerator == "cuda" or not is_pooled:
        return plan
    return plan_of(job, ALGORITHM.placement, auto_precision="bf16-mixed")


def read_side_words(auxiliary: ChannelSource | None, side: Side) -> Words | None:
    """Return the vocabulary that a side's hyperparameter names, None when it names none.

    Raises:
        UserError: The file is absent, or holds no vocabulary of this side.
    """
    if not side.vocab_file:
        return None
    name = f"enc{side.field[-1]}_vocab_file"
    return read_words(auxiliary_file(auxiliary, side.vocab_file, name), side)


def check_negative_sampling(hyperparameters: Object2VecHyperparameters, train: Pairs) -> None:
    """Refuse to draw negatives where label 0 would not mean what it should.

    Raises:
        UserError: Scores are learnt, labels other than 1 occur, or there is no other pair to draw.
    """
    rate = hyperparameters.negative_sampling_rate
    if rate == 0:
        logger.info("Negative sampling not used")
        return
    place = f"hyperparameter negative_sampling_rate: {rate}"
    advice = (
        "Set it to 0, or force_negative_sampling=true if label 0 is what you want for drawn pairs."
    )
    if not hyperparameters.force_negative_sampling:
        if hyperparameters.output_layer != "softmax":
            raise UserError(
                f"{place}: expected output_layer=softmax, since negatives are a class. {advice}"
            )
        if (train.labels != 1).any():
            other = int(train.labels[train.labels != 1][0])
            raise UserError(
                f"{place}: expected label 1 in all pairs of channel train; got label {other}. {advice}"
            )
    if len(train) < 2:
        raise UserError(f"{place}: expected at least two pairs to draw from; got {len(train)}.")
    logger.info(
        "Negative sampling with rate %d: an epoch has %d pairs", rate, (1 + rate) * len(train)
    )


def build_network(
    hyperparameters: Object2VecHyperparameters, sides: tuple[Side, Side], train: Pairs
) -> Object2VecNetwork:
    """Return a network with fresh weights; the seed decides them.

    A regression starts at the mean label. Differs from the service, which does not say so.
    """
    torch.manual_seed(hyperparameters.seed)
    network = Object2VecNetwork(
        NetworkShape(
            sides=sides,
            is_tied=hyperparameters.tied_token_embedding_weight,
            comparators=hyperparameters.comparators,
            mlp_layers=hyperparameters.mlp_layers,
            mlp_dim=hyperparameters.mlp_dim,
            mlp_activation=hyperparameters.mlp_activation,
            num_outputs=hyperparameters.num_outputs,
            dropout=hyperparameters.dropout,
            has_sparse_rows=hyperparameters.has_sparse_rows,
        )
    )
    if hyperparameters.output_layer == "mean_squared_error":
        torch.nn.init.constant_(network.output.bias, float(train.labels.mean()))
    return network


def load_pretrained(
    network: Object2VecNetwork, auxiliary: ChannelSource | None, words: WordsOfSides
) -> None:
    """Fill the token tables with the vectors that hyperparameters name, and freeze those to be.

    One table for both encoders takes the vectors of either: `sides_of` refuses two different files.

    Raises:
        UserError: A file is absent, or holds no vectors of this width.
    """
    sides, tables = network.shape.sides, network.tables
    naming = [number for number, side in enumerate(sides) if side.vectors_file]
    for number in naming[: len(tables)]:
        side, words_of_side = sides[number], words[number]
        table = tables[0 if network.shape.is_tied else number]
        if words_of_side is not None:
            name = f"enc{number}_pretrained_embedding_file"
            file = auxiliary_file(auxiliary, side.vectors_file, name)
            (weight_VE,) = table.parameters()
            count = fill_table(weight_VE, file, words_of_side, side)
            weight_VE.requires_grad_(not side.is_frozen)
            logger.info(
                "Encoder %d: %d pretrained vectors of %s, %s", number, count, file.name,
                "frozen" if side.is_frozen else "trained on",
            )  # fmt: skip


def identity(hyperparameters: Object2VecHyperparameters, shape: NetworkShape) -> dict[str, object]:
    """Return what two jobs must share for one to continue the other's checkpoint."""
    names = (
        "comparator_list", "dropout", "mlp_activation", "mlp_dim", "mlp_layers", "negative_sampling_rate",
        "num_outputs", "optimizer", "output_layer", "tied_token_embedding_weight", "token_embedding_storage_type",
        "mini_batch_size", "bucket_width", "seed",
    )  # fmt: skip
    return {
        "algorithm": ALGORITHM.name,
        **{name: getattr(hyperparameters, name) for name in names},
        **{
            f"{side.field}: {name}": getattr(side, name)
            for side in shape.sides
            for name in (
                "network",
                "vocab_size",
                "max_seq_len",
                "token_dim",
                "layers",
                "filter_width",
                "dim",
            )
        },
    }
