import subprocess
import sys

import pytest

from sm_dl.errors import PlatformError, UserError
from sm_dl.job.lock import output_lock
from sm_dl.job.paths import Paths

HOLDER = """
import sys, time
from pathlib import Path
from sm_dl.job.lock import output_lock
from sm_dl.job.paths import Paths
with output_lock(Paths(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_jobs_in_one_output_folder_are_refused_with_the_way_out(tmp_path):
    paths = Paths(tmp_path / "run")
    with (
        output_lock(paths),
        pytest.raises(UserError, match=r"another job is writing .* choose another output"),
        output_lock(paths),
    ):
        pass


def test_two_jobs_in_two_folders_do_not_disturb_each_other(tmp_path):
    with output_lock(Paths(tmp_path / "one")), output_lock(Paths(tmp_path / "other")):
        pass


def test_the_folder_is_free_after_the_job(tmp_path):
    for _ in range(2):
        with output_lock(Paths(tmp_path)):
            pass


def test_a_killed_job_leaves_no_lock(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.kill()
    holder.communicate()
    with output_lock(Paths(tmp_path)):
        pass


def test_a_folder_that_cannot_be_made_is_the_platform_s_fault(tmp_path):
    (tmp_path / "run").write_text("a file where a folder should be")
    with (
        pytest.raises(PlatformError, match="make the output folder writable"),
        output_lock(Paths(tmp_path / "run")),
    ):
        pass
