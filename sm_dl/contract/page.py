"""What every algorithm's page has in common: the job as it was run, and the records it left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from sm_dl.contract.figures import Figure, Report, Table
from sm_dl.contract.hyperparameters import Hyperparameters
from sm_dl.job.job import Job


def page_of(
    job: Job[Any],
    *,
    title: str,
    summary: str,
    scores: Mapping[str, float | None],
    figures: Sequence[Figure],
    left_out: Sequence[str],
    num_left_out: int,
) -> Report:
    """Return the page of a finished job, as data.

    Args:
        job: As it was checked.
        title: Of the page.
        summary: A sentence or two: what was learnt from what.
        scores: Metrics by name, in the order to show them.
        figures: In reading order.
        left_out: Why records could not be read; the first ones.
        num_left_out: How many there were.
    """
    hyperparameters: Hyperparameters = job.hyperparameters
    missing = Table(
        "Records left out",
        ["reason"],
        [[reason] for reason in left_out],
        note=f"{num_left_out} in all could not be read; max_bad_records is "
        f"{hyperparameters.max_bad_records}.",
    )
    return Report(
        title=title,
        summary=summary,
        scores=scores,
        job={
            "algorithm": job.algorithm,
            "hyperparameters": hyperparameters.model_dump(mode="json"),
            "channels": {name: str(source.path) for name, source in job.channels.items()},
            "resources": job.resources.model_dump(mode="json"),
            "hosts": list(job.hosts.names),
            "output": str(job.paths.root),
        },
        figures=[*figures, missing] if num_left_out else figures,
    )
