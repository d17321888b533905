"""Tables to protobuf records, and back without loss."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from sm_dl import pack
from sm_dl.data.protobuf.columns import Column, joined
from sm_dl.data.protobuf.read import read_batches
from tests.golden import DATA

NEWS = DATA / "20news_clean" / "train.feat.gz"


def _pack(source: Path, *options: str) -> int:
    target = str(source.with_name("out.pbr"))
    return pack.main(["table", "--input", str(source), "--output", target, *options])


def _read(source: Path) -> tuple[Column, np.ndarray | None]:
    with source.with_name("out.pbr").open("rb") as stream:
        batches = list(read_batches(stream, "out.pbr"))
    values = joined([batch.features["values"] for batch in batches])
    if not batches[0].label:
        return values, None
    return values, joined([batch.label["values"] for batch in batches]).scalars()


@pytest.mark.skipif(not NEWS.is_file(), reason=f"20 newsgroups is not at {NEWS}")
def test_20_newsgroups_comes_back_word_for_word(tmp_path: Path) -> None:
    source = tmp_path / "train.svm.gz"
    shutil.copy(NEWS, source)
    assert _pack(source, "--columns", "1995") == 0
    with gzip.open(NEWS, "rt") as stream:
        rows = [dict(pair.split(":") for pair in line.split()[1:]) for line in stream]
    csr = _read(source)[0].csr()
    found = scipy.sparse.csr_matrix(
        (csr.values, csr.columns, csr.row_starts), shape=(len(rows), csr.num_columns)
    )
    assert found.sum() == 991_493
    assert [dict(zip(row.indices + 1, row.data, strict=True)) for row in found] == [
        {int(word): float(count) for word, count in row.items()} for row in rows
    ]


@pytest.mark.parametrize("packs", [False, True])
def test_a_csv_has_its_label_in_front(tmp_path: Path, packs: bool) -> None:
    text = b"1,0.5,-2\n0,1e3,4\n"
    source = tmp_path / ("a.csv.gz" if packs else "a.csv")
    source.write_bytes(gzip.compress(text) if packs else text)
    assert _pack(source) == 0
    values, labels = _read(source)
    assert values.dense().tolist() == [[0.5, -2], [1000, 4]]
    assert labels.tolist() == [1, 0]


def test_a_csv_may_have_no_label(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("1,2\n3,4\n" * 15_000 + "\n" * 20_000)
    assert _pack(source, "--label-size", "0", "--dtype", "float64") == 0
    values, labels = _read(source)
    assert values.dense().shape == (30_000, 2)
    assert (values.values.dtype, labels) == (np.float64, None)


def test_comments_and_queries_of_svmlight_are_left_out(tmp_path: Path) -> None:
    source = tmp_path / "a.svm"
    source.write_text("-1 qid:3 1:0.5 4:2 # why\n\n1\n")
    assert _pack(source) == 0
    values, labels = _read(source)
    assert values.dense().tolist() == [[0.5, 0, 0, 2], [0, 0, 0, 0]]
    assert labels.tolist() == [-1, 1]


def test_a_sparse_matrix_of_scipy_comes_back(tmp_path: Path) -> None:
    matrix = scipy.sparse.random_array((50, 300), density=0.05, format="csr", random_state=1)
    source = tmp_path / "a.npz"
    scipy.sparse.save_npz(source, matrix)
    assert _pack(source, "--dtype", "float64") == 0
    assert (_read(source)[0].dense() == matrix.toarray()).all()


def test_arrays_with_labels_come_back(tmp_path: Path) -> None:
    source = tmp_path / "a.npz"
    features, labels = np.arange(6).reshape(3, 2), np.array([1, 0, 2])
    np.savez(source, features=features, labels=labels)
    assert _pack(source, "--dtype", "int32") == 0
    values, found = _read(source)
    assert (values.dense() == features).all()
    assert (found == labels).all()
    np.save(tmp_path / "b.npy", features.astype(np.float32))
    assert _pack(tmp_path / "b.npy") == 0
    assert (_read(source)[0].dense() == features).all()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.csv", b"a,b\n1,2\n", "without a header"),
        ("a.csv", b"1,2\n1,2,3\n", "equally many in each"),
        ("a.csv", b"1\n", "more than the 1 of the label"),
        ("a.csv.gz", gzip.compress(b"1,2\n" * 999, mtime=0)[:-9], "damaged or cut short"),
        ("a.csv.gz", b"1,2\n", "damaged or cut short"),
        (
            "a.csv.gz",
            gzip.compress(bytes(1 << 25), mtime=0),
            "line 1: expected at most 16777216 bytes",
        ),
        ("a.svm", b"1 x:2\n", "line 1: expected a label and then column:value"),
        ("a.svm", b"1 0:2\n", "Set --first-column"),
        ("a.npy", b"\x93NUMPY", "expected arrays of numbers"),
        ("a.npz", b"PK\x03\x04", "damaged or cut short"),
        ("a.txt", b"1,2", "expected a file that ends in"),
    ],
)
def test_a_table_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, problem: str
) -> None:
    source = tmp_path / name
    source.write_bytes(content)
    assert _pack(source) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert str(source) in error
    assert not (tmp_path / "out.pbr").exists()


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"x": np.zeros((2, 2))}, "expected features and maybe labels"),
        ({"features": np.zeros(2)}, "expected a matrix of numbers"),
        ({"features": np.zeros((2, 2)), "labels": np.zeros(3)}, "expected 2 labels; got 3"),
        ({"features": np.array([["a"]])}, "expected a matrix of numbers"),
        ({"features": np.array([[{}]])}, "expected arrays of numbers"),
        (
            {"data": [1.0], "indices": [5], "indptr": [0, 1], "shape": [1, 2]},
            "its arrays do not go together",
        ),
        (
            {"data": [1.0], "indices": [0], "indptr": [0, 1], "shape": [1, 2], "format": b"csc"},
            "save matrix.tocsr()",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arrays: dict, problem: str
) -> None:
    source = tmp_path / "a.npz"
    np.savez(source, **arrays)
    assert _pack(source) == 2
    assert problem in capsys.readouterr().err


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _pack(tmp_path / "a.csv") == 2
    assert f"{tmp_path / 'a.csv'}: No such file" in capsys.readouterr().err
