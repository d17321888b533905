"""Arrays to protobuf records: byte for byte what the SDK wrote."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sm_dl.data.protobuf import record_pb2
from sm_dl.data.protobuf.columns import Batch, Csr
from sm_dl.data.protobuf.read import read_batches
from sm_dl.data.protobuf.write import Blob, Tensor, dense_records, record_bytes, sparse_records
from sm_dl.data.recordio import framed
from sm_dl.errors import UserError
from tests.golden import content, needs_golden


def _batch(stream: bytes) -> Batch:
    (batch,) = read_batches(io.BytesIO(stream), "a.pbr")
    return batch


def _framed(records: list[bytes]) -> bytes:
    return b"".join(framed(record, cuts=False) for record in records)


@needs_golden
@pytest.mark.parametrize("kind", ["float32", "float64_nolabel", "int32"])
def test_dense_golden_files_are_written_byte_for_byte(kind: str) -> None:
    whole = content(f"dense_{kind}.rec.pbr")
    batch = _batch(whole)
    labels = batch.label["values"].scalars() if batch.label else None
    assert _framed(list(dense_records(batch.features["values"].dense(), labels))) == whole


@needs_golden
def test_the_sparse_golden_file_is_written_byte_for_byte() -> None:
    whole = content("sparse_float32.rec.pbr")
    batch = _batch(whole)
    records = sparse_records(batch.features["values"].csr(), batch.label["values"].scalars())
    assert _framed(list(records)) == whole


@needs_golden
def test_the_golden_pairs_are_written_byte_for_byte() -> None:
    whole = content("seq2seq_int32_pair.rec")
    batch = _batch(whole)
    pairs = zip(*(batch.features[name].rows() for name in ("source", "target")), strict=True)
    records = [record_bytes({"source": Tensor(s), "target": Tensor(t)}) for s, t in pairs]
    assert _framed(records) == whole


@needs_golden
def test_the_golden_segmentation_response_is_written_byte_for_byte() -> None:
    whole = content("segmentation_response.rec.pbr")
    batch = _batch(whole)
    tensors = {name: Tensor(column.rows()[0]) for name, column in batch.features.items()}
    assert _framed([record_bytes(tensors)]) == whole


@needs_golden
def test_the_golden_bytes_are_written_byte_for_byte() -> None:
    whole = content("bytes_and_metadata.rec.pbr")
    batch = _batch(whole)
    blob = Blob(batch.blobs["image"][0][0], "application/octet-stream")
    texts = {name: values[0] or "" for name, values in batch.texts.items()}
    assert _framed([record_bytes({"image": blob}, texts=texts)]) == whole


@given(
    rows=st.sampled_from([np.float32, np.float64, np.int32]).flatmap(
        lambda dtype: arrays.arrays(dtype, st.tuples(st.integers(1, 6), st.integers(0, 6)))
    )
)
def test_dense_rows_come_back(rows: np.ndarray) -> None:
    batch = _batch(_framed(list(dense_records(rows, rows[:, :1].ravel() if rows.size else None))))
    assert batch.features["values"].dense().tobytes() == rows.tobytes()


@given(
    dense=arrays.arrays(np.float32, (5, 300), elements=st.sampled_from([0, 0, 0, 1.5, -2])),
)
def test_sparse_rows_come_back(dense: np.ndarray) -> None:
    rows, columns = np.nonzero(dense)
    starts = np.searchsorted(rows, np.arange(len(dense) + 1))
    records = sparse_records(Csr(dense[rows, columns], columns, starts, dense.shape[1]))
    column = _batch(_framed(list(records))).features["values"]
    assert (column.dense() == dense).all()
    assert column.csr().columns.tolist() == columns.tolist()


def test_a_tensor_with_everything_is_what_the_library_reads() -> None:
    tensor = Tensor(np.array([1, -2], dtype=np.int64), np.array([3, 300]), (20, 40))
    found = record_pb2.Record.FromString(
        record_bytes({"ä": tensor}, {"values": Tensor(np.float32([1]))}, {"uid": "u"})
    )
    read = found.features["ä"].int32_tensor
    assert (list(read.values), list(read.keys), list(read.shape)) == ([1, -2], [3, 300], [20, 40])
    assert (found.label["values"].float32_tensor.values[0], found.uid) == (1, "u")


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_whole_numbers_that_do_not_fit_are_refused(value: int) -> None:
    with pytest.raises(UserError, match="have 32 bits"):
        record_bytes({"values": Tensor(np.array([value]))})


def test_types_that_the_format_lacks_are_refused() -> None:
    with pytest.raises(UserError, match=r"expected values of type float32.*; got float16"):
        record_bytes({"values": Tensor(np.float16([1]))})
