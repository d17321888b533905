"""The record by which an algorithm joins the house: what it is, and how to fit and load it."""

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sm_dl.contract.channels import Channel, check_channels
from sm_dl.contract.codec import Predictor
from sm_dl.contract.hyperparameters import Hyperparameters
from sm_dl.contract.metrics import Metric
from sm_dl.contract.placement import Placement
from sm_dl.job.job import Job, RawJob
from sm_dl.job.paths import Paths
from sm_dl.job.secrets import masked_values

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Algorithm:
    """One algorithm, found by the name of its folder.

    `fit` and `load` import torch when called, never before, so that `describe` stays light.
    """

    name: str
    summary: str
    paper: str
    hyperparameters: type[Hyperparameters]
    channels: tuple[Channel, ...]
    metrics: tuple[Metric, ...]
    placement: Placement
    fit: Callable[[Job[Any]], None]
    """Train on a checked job; leave the artifact in `job.paths.model`."""
    load: Callable[[Path], Predictor[Any, Any]]
    """Return a predictor from a model directory; needs no job."""

    def check(self, job: RawJob, *, is_telling: bool = True) -> Job[Hyperparameters]:
        """Return the job with checked hyperparameters and the channels that hold something.

        Args:
            job: As it was asked for.
            is_telling: Whether the log gets what the service's own containers print at the start;
                one process of a job is enough.

        Raises:
            UserError: The algorithm does not accept this job.
        """
        if is_telling:
            self._tell(job)
        self.placement.check(job.resources.instance_type, job.resources.instance_count)
        hyperparameters = self.hyperparameters.parse(job.hyperparameters)
        if is_telling:
            logger.info("Final configuration: %s", hyperparameters.model_dump(mode="json"))
        return Job(
            algorithm=self.name,
            hyperparameters=hyperparameters,
            channels=check_channels(self.channels, job.channels, len(job.hosts.names)),
            paths=job.paths,
            resources=job.resources,
            hosts=job.hosts,
            source=job.source,
        )

    def _tell(self, job: RawJob) -> None:
        defaults = {one.name: one.default for one in self.hyperparameters.declarations()}
        given = masked_values(job.hyperparameters, public=defaults)
        declared_in = inspect.getsourcefile(self.hyperparameters)
        logger.info("Reading default configuration from %s: %s", declared_in, defaults)
        logger.info("Merging with provided configuration from %s: %s", job.source, given)
        if job.paths.on_platform:
            # Differs from the service: its containers say "Checkpoint loading and saving are
            # disabled." when nothing is configured; ours keep them for the next start all the same
            logger.info("Checkpoints are kept in %s%s.", job.paths.checkpoints, _copied(job.paths))


def _copied(paths: Paths) -> str:
    is_configured = paths.checkpoint_folder is not None
    return "" if is_configured else ", which nobody copies: checkpointconfig.json is absent"
