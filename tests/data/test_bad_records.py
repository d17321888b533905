import pytest

from sm_dl.data.bad_records import MAX_NAMED, BadRecords
from sm_dl.data.jsonlines import read_objects
from sm_dl.data.source import DataFile
from sm_dl.errors import UserError

LINES = b'{"a": 1}\nnot json\n[2]\n{"a": 3}\n'


@pytest.fixture
def file(tmp_path):
    (tmp_path / "a.json").write_bytes(LINES)
    return DataFile(tmp_path / "a.json", "train/a.json", "application/jsonlines")


def test_the_first_bad_record_ends_the_job_by_default(file):
    with pytest.raises(UserError, match=r"train/a.json line 2: expected a JSON object"):
        list(read_objects(file))


def test_as_many_as_allowed_are_left_out(file):
    bad = BadRecords(2)
    assert [record for _, record in read_objects(file, bad)] == [{"a": 1}, {"a": 3}]
    assert bad.count == 2


def test_what_is_left_out_is_named(file, log):
    bad = BadRecords(2)
    list(read_objects(file, bad))
    assert [reason.partition(":")[0] for reason in bad.reasons] == [
        "train/a.json line 2",
        "train/a.json line 3",
    ]
    assert "left out: train/a.json line 3" in log.text


def test_one_too_many_ends_the_job_with_the_limit(file):
    with pytest.raises(UserError, match=r"line 3: .*after the 1 that hyperparameter max_bad_rec"):
        list(read_objects(file, BadRecords(1)))


def test_many_are_counted_and_some_named():
    bad = BadRecords(10 * MAX_NAMED)
    for number in range(3 * MAX_NAMED):
        bad.leave_out(UserError(f"line {number}"))
    assert (bad.count, len(bad.reasons)) == (3 * MAX_NAMED, MAX_NAMED)
