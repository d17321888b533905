"""Refusals of hyperparameters that do not go together, and notices of what means nothing here."""

import logging

from sm_dl.algorithms.image_classification.hyperparameters import ImageClassificationHyperparameters
from sm_dl.engine.strategy import Plan
from sm_dl.errors import UserError
from sm_dl.job.job import Job
from sm_dl.nn.resnet import SMALL

logger = logging.getLogger(__name__)

SMALL_NETWORK_HEIGHT_PX = 28
"""Up to here the service's guide suggests the small networks, and above it the large ones."""
HALVINGS = {True: 4, False: 8}
"""How much a small network, and a large one with a small stem, shrinks an image."""


def check_settings(job: Job[ImageClassificationHyperparameters], plan: Plan) -> None:
    """Refuse a job whose hyperparameters contradict each other, and tell what has no effect.

    Raises:
        UserError: They do; both are named.
    """
    settings = job.hyperparameters
    _check_sizes(settings, plan)
    _check_labels(settings)
    if (
        settings.checkpoint_frequency is not None
        and settings.checkpoint_frequency > settings.epochs
    ):
        raise UserError(
            f"hyperparameter checkpoint_frequency: expected at most epochs, {settings.epochs}; got "
            f"{settings.checkpoint_frequency}."
        )
    if settings.optimizer == "adam" and settings.beta_1 == 1:
        raise UserError(
            "hyperparameter beta_1: expected a number below 1 for optimizer=adam, whose mean would never "
            "see a gradient; got 1."
        )
    if settings.kv_store == "dist_async":
        logger.warning(
            "kv_store dist_async: updates are made synchronously here, as with dist_sync; every "
            "machine waits for the others at each batch."
        )
    if settings.early_stopping and "validation" not in job.channels:
        logger.warning("early_stopping is ignored: there is no validation channel to watch.")
    if settings.replace_output_layer and "model" not in job.channels:
        logger.warning("replace_output_layer is ignored: there is no model channel.")


def _check_sizes(settings: ImageClassificationHyperparameters, plan: Plan) -> None:
    _, height, width = settings.shape
    if settings.resize is not None and settings.resize < max(height, width):
        raise UserError(
            f"hyperparameter resize: expected at least {max(height, width)}, the larger side of "
            f"image_shape={settings.image_shape}; got {settings.resize}."
        )
    if plan.devices > settings.mini_batch_size:
        raise UserError(
            f"hyperparameter mini_batch_size: expected at least one image for each of this machine's "
            f"{plan.devices} processes; got {settings.mini_batch_size}."
        )
    is_small = settings.num_layers in SMALL
    if max(height, width) <= HALVINGS[is_small]:
        raise UserError(
            f"hyperparameter image_shape: expected a side above {HALVINGS[is_small]} pixels for "
            f"num_layers={settings.num_layers}, of which more than one pixel is left in the end; got "
            f"{settings.image_shape}."
        )
    if is_small != (height <= SMALL_NETWORK_HEIGHT_PX):
        logger.warning(
            "num_layers=%d is not what the service's guide suggests for images of %d pixels in height; "
            "it is trained all the same.",
            settings.num_layers, height,
        )  # fmt: skip


def _check_labels(settings: ImageClassificationHyperparameters) -> None:
    if settings.use_weighted_loss and not settings.multi_label:
        raise UserError(
            "hyperparameter use_weighted_loss: expected 0, or multi_label=1, whose loss it weighs; got 1."
        )
    if settings.top_k is not None and settings.multi_label:
        logger.warning("top_k is ignored: with multi_label=1 there is no one true class.")
    elif settings.top_k is not None and settings.top_k > settings.num_classes:
        raise UserError(
            f"hyperparameter top_k: expected at most num_classes, {settings.num_classes}; got "
            f"{settings.top_k}."
        )
