"""Pack: `python -m sm_dl.pack images|text|table|model ...` makes records, and archives of models."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sm_dl.artifact import archive
from sm_dl.errors import JobError, UserError
from sm_dl.packing import images, table, text

DTYPES = ("float32", "float64", "int32")


def main(argv: Sequence[str] | None = None) -> int:
    """Convert, print what was written and return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        for line in arguments.convert(arguments):
            print(line)
    except JobError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{error.filename}: {error.strerror}.", file=sys.stderr)
        return UserError.exit_code
    return 0


def pack_images(arguments: argparse.Namespace) -> list[str]:
    """Write `.rec`, `.idx` and, if there is none yet, `.lst`."""
    root, output = arguments.root, arguments.output
    target = output.with_name(output.name + images.RECORD_SUFFIX)
    target.parent.mkdir(parents=True, exist_ok=True)
    names: list[str] = []
    if arguments.list:
        lines = images.listed(arguments.list)
    elif arguments.annotations:
        lines = images.lines_by_annotation(
            root, arguments.annotations, shuffles=not arguments.sorted
        )
    else:
        lines, names = images.lines_by_folder(root, shuffles=not arguments.sorted)
    if not arguments.list:
        images.write_list(lines, output.with_name(output.name + images.LIST_SUFFIX))
    number = images.write_records(lines, root, target)
    return [f"{target}: {number} images", *(f"  {n}: {name}" for n, name in enumerate(names))]


def pack_text(arguments: argparse.Namespace) -> list[str]:
    """Write `train.rec`, `val.rec`, `vocab.src.json` and `vocab.trg.json`."""
    output = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    vocabularies = _vocabularies(arguments)
    for vocabulary, name in zip(vocabularies, ("vocab.src.json", "vocab.trg.json"), strict=True):
        text.write_vocabulary(vocabulary, output / name)
    written = [f"{output}: vocabularies of {' and '.join(str(len(v)) for v in vocabularies)} words"]
    pairs = [(arguments.source, arguments.target, "train.rec")]
    if arguments.val_source:
        pairs.append((arguments.val_source, arguments.val_target, "val.rec"))
    for source, target, name in pairs:
        number, blank = text.write_pairs(source, target, vocabularies, output / name)
        dropped = f", {blank} with a blank side dropped" if blank else ""
        written.append(f"{output / name}: {number} pairs{dropped}")
    return written


def _vocabularies(arguments: argparse.Namespace) -> tuple[text.Vocabulary, text.Vocabulary]:
    given = (arguments.vocab_source, arguments.vocab_target)
    for one, other, names in (
        (*given, "--vocab-source and --vocab-target"),
        (arguments.val_source, arguments.val_target, "--val-source and --val-target"),
    ):
        if (one is None) != (other is None):
            raise UserError(f"expected both of {names}, or neither; got one.")
    if all(given):
        return text.read_vocabulary(given[0]), text.read_vocabulary(given[1])
    limits = {"max_words": arguments.max_words, "min_count": arguments.min_count}
    if arguments.single_vocab:
        both = text.vocabulary_from(text.count_words(arguments.source, arguments.target), **limits)
        return both, both
    return (
        text.vocabulary_from(text.count_words(arguments.source), **limits),
        text.vocabulary_from(text.count_words(arguments.target), **limits),
    )


def pack_table(arguments: argparse.Namespace) -> list[str]:
    """Write protobuf records."""
    options = table.Options(
        label_columns=arguments.label_size,
        dtype=arguments.dtype,
        first_column=arguments.first_column,
        num_columns=arguments.columns,
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    number = table.write_table(arguments.input, arguments.output, options)
    return [f"{arguments.output}: {number} records"]


def pack_model(arguments: argparse.Namespace) -> list[str]:
    """Write a `model.tar.gz` as the service keeps models: the folder's contents at the root."""
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    archive.pack(arguments.model, arguments.output)
    return [f"{arguments.output}: {arguments.output.stat().st_size} bytes"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sm_dl pack", description=__doc__)
    kinds = parser.add_subparsers(required=True, metavar="images|text|table|model")
    one = kinds.add_parser("images", help="a folder of JPEG and PNG files to .rec, .idx, .lst")
    one.add_argument("--root", type=Path, required=True, help="the folder; sub-folders are classes")
    one.add_argument("--output", type=Path, required=True, metavar="PREFIX", help="without suffix")
    labels = one.add_mutually_exclusive_group()
    labels.add_argument("--list", type=Path, help="a .lst with labels or boxes")
    labels.add_argument("--annotations", type=Path, help="a folder of JSON files with boxes")
    one.add_argument("--sorted", action="store_true", help="do not shuffle")
    one.set_defaults(convert=pack_images)
    one = kinds.add_parser("text", help="lines of two languages to seq2seq's records")
    one.add_argument("--source", type=Path, required=True, help="lines, plain or .gz")
    one.add_argument("--target", type=Path, required=True, help="their translations")
    one.add_argument("--val-source", type=Path, help="the same for validation")
    one.add_argument("--val-target", type=Path)
    one.add_argument("--vocab-source", type=Path, help="a vocabulary instead of a new one")
    one.add_argument("--vocab-target", type=Path)
    one.add_argument("--single-vocab", action="store_true", help="one vocabulary for both sides")
    one.add_argument("--max-words", type=int, default=50_000, help="of a vocabulary")
    one.add_argument("--min-count", type=int, default=1, help="of a word in a vocabulary")
    one.add_argument("--output", type=Path, required=True, help="a folder")
    one.set_defaults(convert=pack_text)
    one = kinds.add_parser("table", help=f"{' '.join(table.SUFFIXES)} to protobuf records")
    one.add_argument("--input", type=Path, required=True)
    one.add_argument("--output", type=Path, required=True, help="the record file")
    one.add_argument("--label-size", type=int, choices=(0, 1), default=1, help="of a CSV")
    one.add_argument("--dtype", choices=DTYPES, default="float32")
    one.add_argument("--first-column", type=int, choices=(0, 1), default=1, help="of svmlight")
    one.add_argument("--columns", type=int, help="of sparse rows; default: as many as occur")
    one.set_defaults(convert=pack_table)
    one = kinds.add_parser("model", help="a model folder to the service's model.tar.gz")
    one.add_argument("--model", type=Path, required=True, help="the folder `model` of a job")
    one.add_argument("--output", type=Path, required=True, help="e.g. model.tar.gz")
    one.set_defaults(convert=pack_model)
    return parser


if __name__ == "__main__":
    sys.exit(main())
