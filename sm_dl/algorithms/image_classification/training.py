"""One image classification job from channels to artifact: read, start, train, write, judge, report."""

import logging
import os
import shutil
from dataclasses import replace

import torch

from sm_dl import faults
from sm_dl.algorithms.image_classification import ALGORITHM
from sm_dl.algorithms.image_classification.artifact import write_artifact, write_snapshot
from sm_dl.algorithms.image_classification.checks import check_settings
from sm_dl.algorithms.image_classification.data import ImageBatches, open_images
from sm_dl.algorithms.image_classification.evaluation import evaluate
from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.hyperparameters import ImageClassificationHyperparameters
from sm_dl.algorithms.image_classification.module import (
    ImageClassificationModule,
    positive_weights,
)
from sm_dl.algorithms.image_classification.narration import ACCURACY, ImageClassificationNarrator
from sm_dl.algorithms.image_classification.network import ResNetClassifier
from sm_dl.algorithms.image_classification.predictor import ImageClassificationPredictor
from sm_dl.algorithms.image_classification.start import started_network
from sm_dl.algorithms.image_classification.stopping import BestAccuracy
from sm_dl.algorithms.image_classification.summary import report_of, scores_by_class
from sm_dl.artifact.weights import FILE_NAME
from sm_dl.contract.figures import write_report_data
from sm_dl.contract.metrics import MetricLog
from sm_dl.data.bad_records import BadRecords
from sm_dl.engine import fit as engine
from sm_dl.engine import machine
from sm_dl.engine.fit import FitResult
from sm_dl.engine.strategy import LightningPrecision, Plan, plan_of
from sm_dl.errors import PlatformError, UserError
from sm_dl.files import beside_the_model, write_atomically
from sm_dl.job import stop
from sm_dl.job.job import Job
from sm_dl.nn.resnet import ResNetShape

logger = logging.getLogger(__name__)

Settings = ImageClassificationHyperparameters


def fit(job: Job[Settings]) -> None:
    """Train a model, leave it in `job.paths.model`, judge it on the validation channel, describe the run.

    Raises:
        UserError: A channel does not hold what the algorithm reads, or settings contradict each other.
    """
    settings = job.hyperparameters
    layout = planned(job)
    check_settings(job, layout)
    faults.reach("read")
    bad = BadRecords(settings.max_bad_records)
    train = open_images(job, "train", hyperparameters=settings, is_training=True, bad=bad)
    validation = None
    if "validation" in job.channels:
        validation = open_images(
            job, "validation", hyperparameters=settings, is_training=False, bad=bad
        )
    else:
        logger.warning("There is no validation channel: the last epoch is kept, not the best.")
    facts = facts_of(settings, train)
    network = started_network(job, facts).to(memory_format=torch.channels_last)
    if layout.accelerator == "cuda" and has_compiler():
        network.compile()
    module = ImageClassificationModule(network, settings, _weights_of_marks(settings, train))
    log = MetricLog(ALGORITHM.metrics, job.hosts.current, is_printing=machine.rank() == 0)
    with stop.deferred():
        result = engine.fit(
            module,
            train,
            job=job,
            plan=layout,
            num_epochs=settings.epochs,
            narrator=ImageClassificationNarrator(
                log,
                lambda epochs_done: write_snapshot(job.paths.model, network, epochs_done),
                settings.checkpoint_frequency,
                has_validation=validation is not None,
            ),
            selection=None if validation is None else BestAccuracy(settings),
            validation_batches_of=validation,
            identity=identity(settings),
        )
        if result.is_main and result.has_weights:
            write_artifact(
                job.paths.model,
                network,
                facts,
                hyperparameters=settings.model_dump(mode="json"),
                training=_what_it_came_to(result),
            )
            logger.info('Saved checkpoint to "%s"', job.paths.model / FILE_NAME)
    if result.interruption is not None:
        raise result.interruption
    if result.is_main:
        _judge(job, network, facts, result, validation, bad)


def _judge(
    job: Job[Settings],
    network: ResNetClassifier,
    facts: ModelFacts,
    result: FitResult,
    validation: ImageBatches | None,
    bad: BadRecords,
) -> None:
    """Score the model on the validation channel, as it serves, and write the report.

    That reads the channel twice more, a pipe's next two epochs too (contract, section 2): nothing
    of an evaluation is kept while training, so a resumed job has the same scores. A stream that is
    gone by then costs the report its scores, and not the job its success.
    """
    judged, squashed_accuracy = None, None
    if validation is not None:
        predictor = ImageClassificationPredictor(network, facts)
        validation.may_have_ended()
        try:
            judged = evaluate(predictor, validation)
            squashed_accuracy = evaluate(predictor, validation.squashed()).accuracy
        except PlatformError as error:
            if validation.num_images is not None:  # files, which were there all the time
                raise
            logger.warning("The model is written, but not scored class by class: %s", error)
    if squashed_accuracy is not None:
        logger.info("Accuracy with images squashed as the endpoint does: %f", squashed_accuracy)
    if judged is not None:
        with beside_the_model(job.paths.extras):
            job.paths.extras.mkdir(parents=True, exist_ok=True)
            write_atomically(job.paths.extras / "classes.json", scores_by_class(facts, judged))
    report = report_of(job, result, facts, judged, squashed_accuracy, bad)
    write_report_data(report, job.paths.report)


def planned(job: Job[Settings]) -> Plan:
    """Return the layout of a job: bfloat16 where the hardware has it, unless the job says otherwise.

    On a CPU, images so narrow that a convolution of stride 2 sees one column get float32, whatever
    the job says: in bfloat16, torch 2.14 leaves the columns of that weight's gradient that see
    padding alone as they were in memory, and the weights come to no number at random.
    """
    wanted: LightningPrecision = "bf16-mixed"
    if job.hyperparameters.precision_dtype == "float16":
        wanted = "16-mixed"
    layout = plan_of(job, ALGORITHM.placement, auto_precision=wanted)
    if layout.accelerator == "cpu" and layout.precision == "16-mixed":
        logger.warning("float16 needs a GPU: training goes on with the CPU's own choice.")
        usual = plan_of(job, ALGORITHM.placement, auto_precision="bf16-mixed").precision
        layout = replace(layout, precision=usual)
    if layout.accelerator == "cpu" and layout.precision == "bf16-mixed":
        shape = job.hyperparameters.shape
        network = ResNetShape.of_image(job.hyperparameters.num_layers, shape)
        if network.last_strided_width_px(shape[2]) == 1:
            logger.warning(
                "image_shape %s: expected wider images for bfloat16 on a CPU, where torch's gradients of "
                "a network whose last stages see one column are wrong; training goes on in float32.",
                job.hyperparameters.image_shape,
            )
            layout = replace(layout, precision="32-true")
    return layout


def has_compiler() -> bool:
    """Return whether kernels can be compiled here: that needs a C compiler beside the GPU."""
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        logger.info("There is no C compiler: the network runs as it is, and not compiled.")
    return compiler is not None


def facts_of(settings: Settings, train: ImageBatches) -> ModelFacts:
    """Return what the model must know beside its weights."""
    names = train.class_names or ()
    return ModelFacts(
        num_layers=settings.num_layers,
        image_shape=settings.shape,
        num_classes=settings.num_classes,
        is_multi_label=bool(settings.multi_label),
        resize=settings.resize,
        class_names=names if len(names) == settings.num_classes else (),
    )


def _weights_of_marks(settings: Settings, train: ImageBatches) -> torch.Tensor | None:
    if not settings.use_weighted_loss:
        return None
    if train.class_counts is None or train.num_images is None:
        raise UserError(
            "hyperparameter use_weighted_loss: expected images that can be counted beforehand; channel "
            "train comes as a stream (a pipe, such as each manifest, or a .rec read from a bucket), or in "
            "pieces (ShardedByS3Key). Bring all of it to each host in input mode File: a .rec file, or "
            "image files and a .lst in channel train_lst. Or set use_weighted_loss=0."
        )
    positives = torch.from_numpy(train.class_counts).float()
    return positive_weights(positives, train.num_images)


def identity(settings: Settings) -> dict[str, object]:
    """Return what two jobs must share for one to continue the other's checkpoint."""
    names = ("num_layers", "image_shape", "num_classes", "multi_label", "optimizer", "seed")
    return {"algorithm": ALGORITHM.name, **{name: getattr(settings, name) for name in names}}


def _what_it_came_to(result: FitResult) -> dict[str, object]:
    """Return which epoch was kept, and its figures."""
    figures = {
        f"{channel}_{name}": curve[result.kept_epoch]
        for channel, curves in (("train", result.train), ("validation", result.validation))
        for name, curve in curves.items()
        if curve and name in (ACCURACY, "loss")
    }
    return {"epoch": result.kept_epoch, "epochs_done": len(result.losses), **figures}
