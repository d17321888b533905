"""A record that cannot be read is left out, named and counted, in every format; the rest is read."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from sm_dl.data.bad_records import BadRecords, BadRowError
from sm_dl.data.columns import labels_and_features
from sm_dl.data.csv_table import read_csv
from sm_dl.data.image import decode
from sm_dl.data.image_record import image_record_bytes, read_image_records
from sm_dl.data.lst import read_list
from sm_dl.data.protobuf import record_pb2
from sm_dl.data.protobuf.read import read_batches
from sm_dl.data.recordio import framed
from sm_dl.errors import UserError
from tests.data.images import encoded, rgb

Make = Callable[..., Any]


def _rows(file: Any, bad: BadRecords | None, kind: Any = "number", **more: Any) -> dict[str, list]:
    """Return the rows by place."""
    return {
        columns.place(row): list(values.values())
        for columns in read_csv(file, kind, bad=bad, **more)
        for row, values in enumerate(columns.batch.to_pylist())
    }


def _places(bad: BadRecords) -> list[str]:
    return [reason.partition(":")[0] for reason in bad.reasons]


CSV_LINES = {
    "another width": b"1,2,3",
    "no number": b"1,x",
    "an empty cell": b"1,",
    "a NUL": b"1,\0",
    "a CR alone": b"1\r2,3",
    "no UTF-8": b"1,\xff",
    "an open quote": b'1,"2',
}


@pytest.mark.parametrize("line", CSV_LINES.values(), ids=CSV_LINES)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_bad_line_is_left_out_and_the_others_keep_their_numbers(
    data_file: Make, line: bytes, end: bytes
) -> None:
    bad = BadRecords(2)
    lines = [b"1,2", line, b"", b"3,4", line, b"5,6"]
    found = _rows(data_file(end.join(lines), "a.csv"), bad)
    assert found == {
        "train/a.csv line 1": [1, 2],
        "train/a.csv line 4": [3, 4],
        "train/a.csv line 6": [5, 6],
    }
    assert _places(bad) == ["train/a.csv line 2", "train/a.csv line 5"]


def test_text_with_an_open_quote_is_left_out_alone(data_file: Make) -> None:
    bad = BadRecords(1)
    found = _rows(data_file(b'a,b\n"c,d\ne,f\n"g",h\n', "a.csv"), bad, "text")
    assert list(found.values()) == [["a", "b"], ["e", "f"], ["g", "h"]]
    assert _places(bad) == ["train/a.csv line 2"]


def test_bad_lines_are_found_in_any_block_of_a_long_file(data_file: Make) -> None:
    lines = [b"%d,%d" % (number, number) for number in range(1, 600_001)]
    wrong = [2, 3, 77_777, 300_000, 599_999, 600_000]
    for number in wrong:
        lines[number - 1] = b"nothing"
    bad = BadRecords(len(wrong))
    file = data_file(b"\n".join(lines), "a.csv")
    numbers = [
        int(columns.numbers[row] if columns.numbers is not None else columns.first + row)
        for columns in read_csv(file, "number", bad=bad)
        for row in np.flatnonzero(columns.batch.column(0).to_numpy() > 0).tolist()
    ]
    assert sorted({*range(1, 600_001)} - set(numbers)) == wrong
    assert len(numbers) == 600_000 - len(wrong)
    assert [int(place.split()[-1]) for place in _places(bad)] == wrong


def test_one_bad_line_too_many_ends_the_job(data_file: Make) -> None:
    file = data_file(b"1,2\nx,y\n3,4\n5\n", "a.csv")
    with pytest.raises(
        UserError, match=r"a.csv line 4: expected 2 columns; got 1.*after the 1 that"
    ):
        _rows(file, BadRecords(1))


def test_without_a_limit_the_first_bad_line_is_refused(data_file: Make) -> None:
    file = data_file(b"1,2\nx,y\n3,4\n5\n", "a.csv")
    for bad in (None, BadRecords()):
        with pytest.raises(UserError, match=r"a\.csv line 2: expected a number in column 1"):
            _rows(file, bad)


def test_rows_that_are_not_finite_are_left_out(data_file: Make) -> None:
    bad = BadRecords(2)
    file = data_file(b"0,1\n1,inf\nnan,2\n1,3\n", "a.csv")
    (columns,) = read_csv(file, "number", bad=bad)
    labels, features = labels_and_features(columns, 1, bad)
    assert (labels.tolist(), features.tolist()) == ([[0], [1]], [[1], [3]])
    assert _places(bad) == ["train/a.csv line 2", "train/a.csv line 3"]


def test_rows_chosen_from_a_table_keep_their_places(data_file: Make) -> None:
    (columns,) = read_csv(data_file(b"1\n\n2\n3\n", "a.csv"), "number")
    chosen = columns.only(np.array([False, True, True]))
    assert [chosen.place(0), chosen.place(1)] == ["train/a.csv line 3", "train/a.csv line 4"]
    assert chosen.batch.column(0).to_pylist() == [2, 3]


def _payload(*values: float, kind: str = "float32_tensor", label: int = 1) -> bytes:
    record = record_pb2.Record()
    if kind == "bytes":
        record.features["values"].bytes.value.append(b"x")
    else:
        getattr(record.features["values"], kind).values.extend(values)
    record.label["values"].float32_tensor.values.extend([0.0] * label)
    return record.SerializeToString()


PAYLOADS = {
    "random bytes": b"\xff\xff\xff",
    "cut within": _payload(1, 2)[:-3],
    "bytes": _payload(kind="bytes"),
    "no values": b"",
    "a name that is no UTF-8": _payload(1, 2).replace(b"values", b"\xff" * 6),
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_a_damaged_protobuf_record_is_left_out(payload: bytes) -> None:
    bad = BadRecords(2)
    payloads = [_payload(1, 2), payload, *[_payload(3, 4)] * 40, payload, _payload(5, 6)]
    stream = b"".join(framed(one, cuts=False) for one in payloads)
    (batch,) = read_batches(io.BytesIO(stream), "a.pbr", bad)
    assert batch.features["values"].dense().tolist() == [[1, 2], *[[3, 4]] * 40, [5, 6]]
    second = len(framed(payloads[0], cuts=False))
    assert bad.reasons[0].startswith(f"a.pbr record 2 at byte {second}: ")
    assert _places(bad)[1].startswith("a.pbr record 43 at byte ")
    assert batch.places(41).startswith("a.pbr record 44 at byte ")


def test_a_record_that_the_algorithm_cannot_use_is_left_out() -> None:
    bad = BadRecords(2)
    payloads = [_payload(1, 2), _payload(3), _payload(4, 5, label=2), _payload(6, 7)]
    stream = b"".join(framed(one, cuts=False) for one in payloads)

    def check(batch: Any) -> None:
        batch.features["values"].dense()
        batch.label["values"].scalars()

    (batch,) = read_batches(io.BytesIO(stream), "a.pbr", bad, check)
    assert batch.features["values"].dense().tolist() == [[1, 2], [6, 7]]
    assert [place.split(" at ")[0] for place in _places(bad)] == [
        "a.pbr record 2",
        "a.pbr record 3",
    ]


def test_a_batch_of_bad_records_alone_is_no_batch() -> None:
    stream = framed(b"\xff", cuts=False) * 3
    assert list(read_batches(io.BytesIO(stream), "a.pbr", BadRecords(3))) == []


def test_one_bad_protobuf_record_too_many_ends_the_job() -> None:
    stream = framed(b"\xff", cuts=False) * 3
    with pytest.raises(
        UserError, match=r"record \d at byte \d+: .* after the 2 that hyperparameter"
    ):
        list(read_batches(io.BytesIO(stream), "a.pbr", BadRecords(2)))


def test_a_lost_frame_ends_the_job_whatever_the_limit() -> None:
    stream = framed(_payload(1, 2), cuts=False) + bytes(64)
    with pytest.raises(UserError, match=r"record 2 at byte .*expected a RecordIO record"):
        list(read_batches(io.BytesIO(stream), "a.pbr", BadRecords(1000)))


def test_an_image_record_without_room_for_its_labels_is_left_out() -> None:
    bad = BadRecords(2)
    good = [image_record_bytes(b"image", np.float32([number]), number) for number in range(2)]
    wrong = b"\xff" * 30
    stream = b"".join(framed(one, cuts=True) for one in (good[0], wrong, b"short", good[1]))
    found = list(read_image_records(io.BytesIO(stream), "a.rec", bad))
    assert [record.identity for record in found] == [0, 1]
    assert [place.split(" at ")[0] for place in _places(bad)] == [
        "a.rec record 2",
        "a.rec record 3",
    ]


def test_a_list_line_that_is_none_is_left_out() -> None:
    bad = BadRecords(1)
    text = b"0\t1\ta.jpg\n1\tno number\tb.jpg\n2\t0\tc.jpg\n"
    assert [line.path for line in read_list(io.BytesIO(text), "a.lst", bad)] == ["a.jpg", "c.jpg"]
    assert _places(bad) == ["a.lst line 2 at byte 10"]


def test_damaged_images_are_left_out_and_counted_exactly_by_any_number_of_threads() -> None:
    whole = encoded(rgb(), "JPEG")
    bad = BadRecords(100)

    def read(number: int) -> int:
        content = whole[: len(whole) // 2] if number % 3 == 0 else whole
        with bad.tolerated():
            return int(decode(content, f"image {number}").size > 0)
        return 0

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(read, range(300))) == 200
    assert bad.count == 100
    assert sorted(_places(bad), key=lambda place: int(place.split()[-1])) == [
        f"image {number}" for number in range(0, 300, 3)
    ]


def test_a_record_that_is_met_again_in_a_later_epoch_counts_once() -> None:
    bad = BadRecords(1)
    for _ in range(5):
        bad.leave_out(UserError("a.rec record 3 at byte 24: damaged."))
    assert (bad.count, len(bad.reasons)) == (1, 1)


def test_what_is_no_fault_of_a_record_is_not_tolerated() -> None:
    with pytest.raises(ZeroDivisionError), BadRecords(9).tolerated():
        _ = 1 / 0


def test_an_error_of_a_row_knows_the_row() -> None:
    assert BadRowError("line 3: wrong.", 2).row == 2
