"""A folder of input objects, and the folder of `.out` objects a transform makes of it."""

import logging
import os
from pathlib import Path

from sm_dl.errors import AlgorithmError, PlatformError, UserError
from sm_dl.files import data_files, renamed_when_done
from sm_dl.serving.batch import one_object
from sm_dl.serving.batch.association import Association
from sm_dl.serving.batch.rules import Rules
from sm_dl.serving.batch.source import opened

logger = logging.getLogger(__name__)

OUTPUT_SUFFIX = ".out"
MAX_NAMES_SHOWN = 20


def input_objects(source: Path, output: Path) -> dict[str, Path]:
    """Return the input files by key, sorted; the key is the path below `source`.

    Raises:
        UserError: There is nothing to read, or the outputs would become inputs next time.
    """
    if source.is_file():
        return {source.name: source}
    if output.resolve().is_relative_to(source.resolve()):
        raise UserError(
            f"--output {output}: lies inside --input {source}; choose a folder beside it."
        )
    found = data_files(source) if source.is_dir() else []
    files = {path.relative_to(source).as_posix(): path for path in found}
    objects = {key: files[key] for key in sorted(files)}
    if not objects:
        raise UserError(
            f"--input {source}: expected a file or a folder that holds one; found none."
        )
    return objects


def write_outputs(
    submit: one_object.Submit, objects: dict[str, Path], output: Path, rules: Rules
) -> None:
    """Write `<key>.out` for each object; one that fails leaves none, and the others go on.

    An output appears whole, when its last answer is on the disk. What an earlier run left under
    the name is removed first: it must not pass for an answer to this one.

    Raises:
        UserError: Some objects failed, each for a reason the log gives; or all would.
        AlgorithmError: Some failed, at least one by our fault; or the model is stuck.
        PlatformError: The disk failed; the objects that follow are not tried.
    """
    if rules.has_filters and rules.content_type:
        Association(rules, rules.content_type)  # once instead of once per object
    failures: dict[str, UserError | AlgorithmError] = {}
    for key, path in objects.items():
        try:
            _write_output(submit, path, key, output / (key + OUTPUT_SUFFIX), rules)
        except one_object.StuckError:
            raise
        except (UserError, AlgorithmError) as error:
            logger.error("%s: %s", error.log_label, error)  # noqa: TRY400 - the sentence is enough
            failures[key] = error
    logger.info(
        "%d of %d objects written to %s", len(objects) - len(failures), len(objects), output
    )
    if failures:
        raise _summary(failures, len(objects))


def _write_output(
    submit: one_object.Submit, path: Path, key: str, target: Path, rules: Rules
) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        with (
            renamed_when_done(target) as aside,
            aside.open("wb") as sink,
            opened(path, key, rules.compression_type) as source,
        ):
            one_object.transform(submit, source, sink, name=key, rules=rules)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise UserError(
            f"{key}: its output {target} would take the place of a folder, or lie in a file. "
            "Rename the object, or choose another --output."
        ) from None
    except OSError as error:  # of the sink: those of the source have their own sentence
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise PlatformError(
            f"{target}: cannot be written ({reason}). Make room, or choose another --output, and "
            "start the same command again."
        ) from error


def _summary(
    failures: dict[str, UserError | AlgorithmError], num_objects: int
) -> UserError | AlgorithmError:
    is_ours = any(isinstance(error, AlgorithmError) for error in failures.values())
    names = ", ".join(list(failures)[:MAX_NAMES_SHOWN])
    rest = len(failures) - MAX_NAMES_SHOWN
    more = f" and {rest} more" if rest > 0 else ""
    return (AlgorithmError if is_ours else UserError)(
        f"{len(failures)} of {num_objects} objects have no output: {names}{more}. "
        "The lines above give each reason."
    )
