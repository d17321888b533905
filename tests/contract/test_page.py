"""What every page has: the job as it was run, and what was left out."""

from pathlib import Path

import pytest

from sm_dl.contract.figures import Lines
from sm_dl.contract.hyperparameters import Hyperparameters
from sm_dl.contract.page import page_of
from sm_dl.job.job import ChannelSource, Job
from sm_dl.job.paths import Paths

CURVE = Lines("Loss", "epoch", "loss", [0.0], {"train": [1.0]})


@pytest.fixture
def make(tmp_path: Path):
    def page(reasons: list[str], count: int):
        job = Job(
            "sums",
            Hyperparameters(max_bad_records=7),
            {"train": ChannelSource("train", tmp_path / "train")},
            Paths(tmp_path),
        )
        return page_of(
            job, title="Sums", summary="Of all.", scores={"train:loss": 1.0}, figures=[CURVE],
            left_out=reasons, num_left_out=count,
        )  # fmt: skip

    return page


def test_a_page_says_how_the_job_was_run(make, tmp_path):
    job = make([], 0).job
    assert job["algorithm"] == "sums"
    assert job["hyperparameters"]["max_bad_records"] == 7
    assert job["channels"] == {"train": str(tmp_path / "train")}


def test_without_records_left_out_there_is_no_table_of_them(make):
    assert list(make([], 0).figures) == [CURVE]


def test_records_left_out_come_last_with_their_number_and_the_limit(make):
    curve, table = make(["a.csv line 3: no number", "a.csv line 5: no number"], 5).figures
    assert curve == CURVE
    assert table.rows == [["a.csv line 3: no number"], ["a.csv line 5: no number"]]
    assert table.note == "5 in all could not be read; max_bad_records is 7."
