"""CSV, svmlight and NumPy files to protobuf records."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from sm_dl.data.protobuf.columns import Csr
from sm_dl.data.protobuf.write import dense_records, sparse_records
from sm_dl.data.recordio import framed
from sm_dl.errors import UserError, shown
from sm_dl.files import renamed_when_done

ROWS_AT_ONCE = 10_000
MAX_LINE_BYTES = 1 << 24
CSV_SUFFIXES = (".csv", ".csv.gz")
SVMLIGHT_SUFFIXES = (".svm", ".svmlight", ".libsvm", ".svm.gz", ".svmlight.gz", ".libsvm.gz")
ARRAY_SUFFIXES = (".npy", ".npz")
SUFFIXES = (*CSV_SUFFIXES, *SVMLIGHT_SUFFIXES, *ARRAY_SUFFIXES)
FEATURES, LABELS = "features", "labels"
CSR_NAMES = {"data", "indices", "indptr", "shape"}


@dataclass(frozen=True)
class Options:
    """How a table is to be read."""

    label_columns: int = 1
    """Leading columns of a CSV that are the label: 0 or 1."""
    dtype: str = "float32"
    first_column: int = 1
    """Number of the first column in svmlight's rows."""
    num_columns: int | None = None
    """Of sparse rows; by default as many as occur."""


Rows = NDArray[Any] | Csr
Piece = tuple[Rows, NDArray[Any] | None]


def write_table(source: Path, target: Path, options: Options) -> int:
    """Write a table's rows as records; return how many.

    Raises:
        UserError: The file cannot be read, is of no kind known here, or damaged.
    """
    number = 0
    try:
        with renamed_when_done(target) as aside, aside.open("wb") as stream:
            for rows, labels in _pieces(source, options):
                records = (
                    sparse_records(rows, labels)
                    if isinstance(rows, Csr)
                    else dense_records(rows, labels)
                )
                for record in records:
                    stream.write(framed(record, cuts=False))
                    number += 1
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise UserError(f"{source}: damaged or cut short ({error}). Copy it again.") from None
    except OSError as error:
        raise UserError(f"{error.filename or source}: {error.strerror or error}.") from None
    return number


def _pieces(source: Path, options: Options) -> Iterator[Piece]:
    name = source.name.lower()
    if name.endswith(CSV_SUFFIXES):
        return _csv(source, options)
    if name.endswith(SVMLIGHT_SUFFIXES):
        return iter([_svmlight(source, options)])
    if name.endswith(ARRAY_SUFFIXES):
        return iter([_arrays(source, options)])
    raise UserError(f"{source}: expected a file that ends in {', '.join(SUFFIXES)}.")


def _csv(source: Path, options: Options) -> Iterator[Piece]:
    number, width = 0, None
    with _opened(source) as stream:
        every = _lines(stream, source)
        while lines := [line for _, line in islice(every, ROWS_AT_ONCE)]:
            try:
                table = np.loadtxt(lines, delimiter=",", comments=None, ndmin=2, dtype=np.float64)
            except ValueError as error:
                raise UserError(
                    f"{source}: in the {ROWS_AT_ONCE} rows after row {number}: expected rows of "
                    f"numbers, equally many in each and without a header; {error}."
                ) from None
            width = width or table.shape[1]
            if table.shape[1] != width or width <= options.label_columns:
                raise UserError(
                    f"{source} row {number + 1}: expected {width} columns, more than the "
                    f"{options.label_columns} of the label; got {table.shape[1]}."
                )
            number += len(table)
            rows = table[:, options.label_columns :].astype(options.dtype)
            yield rows, table[:, 0].astype(options.dtype) if options.label_columns else None


def _svmlight(source: Path, options: Options) -> Piece:
    labels: list[float] = []
    columns: list[int] = []
    values: list[float] = []
    row_starts = [0]
    with _opened(source) as stream:
        for number, line in _lines(stream, source):
            text = line.partition(b"#")[0].split()
            if not text:
                continue
            try:
                labels.append(float(text[0]))
                pairs = [pair.partition(b":") for pair in text[1:] if not pair.startswith(b"qid:")]
                columns += [int(column) - options.first_column for column, _, _ in pairs]
                values += [float(value) for _, _, value in pairs]
            except ValueError:
                raise UserError(
                    f"{source} line {number}: expected a label and then column:value pairs; "
                    f"got {shown(line[:80])}."
                ) from None
            row_starts.append(len(columns))
    widest = max(columns, default=-1) + 1
    num_columns = options.num_columns or widest
    if min(columns, default=0) < 0 or widest > num_columns:
        raise UserError(
            f"{source}: expected columns from {options.first_column} to "
            f"{num_columns + options.first_column - 1}; got {min(columns) + options.first_column} to "
            f"{widest + options.first_column - 1}. Set --first-column and --columns."
        )
    rows = Csr(
        np.array(values, dtype=options.dtype),
        np.array(columns, dtype=np.int64),
        np.array(row_starts, dtype=np.int64),
        num_columns,
    )
    return rows, np.array(labels, dtype=options.dtype)


def _arrays(source: Path, options: Options) -> Piece:
    """Return `features` and `labels` of an archive, SciPy's sparse matrix, or a plain array."""
    try:
        with source.open("rb") as stream:
            found = np.load(stream, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return _matrix(found, source, options), None
            with found:
                arrays = {name: found[name] for name in found.files}
    except ValueError as error:
        raise UserError(f"{source}: expected arrays of numbers ({error}).") from None
    labels = arrays.get(LABELS)
    if labels is not None:
        labels = labels.ravel().astype(options.dtype)
    if set(arrays) >= CSR_NAMES:
        if arrays.get("format", np.array(b"csr")).item() != b"csr":
            raise UserError(f"{source}: expected a matrix in CSR form; save matrix.tocsr().")
        sparse = Csr(
            arrays["data"].astype(options.dtype),
            arrays["indices"].astype(np.int64),
            arrays["indptr"].astype(np.int64),
            int(arrays["shape"][1]),
        )
        _check(sparse, source)
        rows: Rows = sparse
    elif FEATURES in arrays:
        rows = _matrix(arrays[FEATURES], source, options)
    else:
        raise UserError(
            f"{source}: expected {FEATURES} and maybe {LABELS}, or a matrix by scipy.sparse.save_npz; "
            f"got {shown(sorted(arrays))}."
        )
    num_rows = len(rows.row_starts) - 1 if isinstance(rows, Csr) else len(rows)
    if labels is not None and len(labels) != num_rows:
        raise UserError(f"{source}: expected {num_rows} labels; got {len(labels)}.")
    return rows, labels


def _check(rows: Csr, source: Path) -> None:
    """Refuse a matrix whose arrays do not go together: nothing has checked them yet."""
    starts, columns = rows.row_starts, rows.columns
    is_right = (
        len(starts) > 0
        and starts[0] == 0
        and (np.diff(starts) >= 0).all()
        and starts[-1] == len(columns) == len(rows.values)
        and ((columns >= 0) & (columns < rows.num_columns)).all()
    )
    if not is_right:
        raise UserError(f"{source}: expected a matrix in CSR form; its arrays do not go together.")


def _matrix(array: NDArray[Any], source: Path, options: Options) -> NDArray[Any]:
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise UserError(
            f"{source}: expected a matrix of numbers; got shape {array.shape} of {array.dtype}."
        )
    return array.astype(options.dtype)


def _lines(stream: IO[bytes], source: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (number, line) of lines that are not blank; a gzip bomb without a break stops here."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise UserError(f"{source} line {number}: expected at most {MAX_LINE_BYTES} bytes.")
        if line.strip():
            yield number, line


def _opened(source: Path) -> IO[bytes]:
    if source.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(source))
    return source.open("rb")
