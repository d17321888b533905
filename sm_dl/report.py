"""Report: `python -m sm_dl.report RUN_FOLDER` draws the page of a finished run again."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from sm_dl.errors import JobError, UserError
from sm_dl.job.paths import Paths
from sm_dl.reports.read import DATA_FILE

logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw a page, print its path and return the exit code."""
    arguments = _parser().parse_args(argv)
    from sm_dl.reports import page  # noqa: PLC0415 - matplotlib, which other doors do without

    try:
        print(page.draw(find(arguments.folder)))
    except JobError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def draw(folder: Path) -> Path | None:
    """Return the path of the page drawn from a folder's `report.json`, or None without one.

    A page that cannot be drawn is logged, never raised: the model it describes is already
    written, and `main` draws it again at any time.
    """
    if not (folder / DATA_FILE).is_file():
        return None
    try:
        from sm_dl.reports import page  # noqa: PLC0415 - matplotlib, for a few seconds at the end

        path = page.draw(folder)
    except Exception:
        logger.exception("%s: the report page could not be drawn.", folder)
        return None
    logger.info("report: %s", path)
    return path


def find(folder: Path) -> Path:
    """Return the report folder of a run.

    Args:
        folder: The run's root, its output folder or the report folder itself.
    Raises:
        UserError: No report's data are there.
    """
    whole = folder.resolve()
    roots = [whole, whole.parent] if whole.name == Paths(whole).output.name else [whole]
    places = [
        folder,
        *(Paths(root, on_platform=on).report for root in roots for on in (False, True)),
    ]
    for place in places:
        if (place / DATA_FILE).is_file():
            return place
    raise UserError(
        f"{folder}: expected the folder of a finished run, with a {DATA_FILE} in "
        f"{Paths(folder).report}; got {'no such file' if folder.is_dir() else 'no folder'}."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sm_dl report", description=__doc__)
    parser.add_argument(
        "folder", type=Path, metavar="RUN_FOLDER", help="a run's folder, its output or its report"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
