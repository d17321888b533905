import errno
import os
import shutil
import subprocess
import sys
import time

import pytest
import torch

from sm_dl import faults
from sm_dl.engine.checkpoint import (
    INTERVAL_VARIABLE,
    UPLOADED,
    UPLOADING,
    Checkpoints,
)
from sm_dl.engine.state_file import state_from_bytes
from sm_dl.errors import UserError
from sm_dl.files import TEMPORARY_SUFFIX

OURS = {"algorithm": "deepar", "num_cells": 40}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def file_of(step):
    return f"step-{step:09d}.safetensors"


@pytest.fixture
def folder(tmp_path):
    """Hold checkpoints of steps 10 and 20."""
    checkpoints = Checkpoints(tmp_path, OURS)
    for step in (10, 20):
        checkpoints.save({"step": step, "weights": torch.ones(1000)}, step)
    return tmp_path


def newest_step(folder, identity=OURS):
    content = Checkpoints(folder, identity).newest()
    return content and state_from_bytes(content)["step"]


def test_the_newest_checkpoint_is_found(folder):
    assert newest_step(folder) == 20


def test_no_checkpoint_is_no_error(tmp_path):
    assert Checkpoints(tmp_path / "absent", OURS).newest() is None


def test_the_two_newest_are_kept(folder):
    Checkpoints(folder, OURS).save({"step": 30}, 30)
    assert names(folder) == [file_of(20), file_of(30)]


@pytest.mark.parametrize("kept_bytes", [0, 5, 100, 2000])
def test_a_cut_checkpoint_is_passed_over_for_the_one_before(folder, kept_bytes, log):
    newest = folder / file_of(20)
    newest.write_bytes(newest.read_bytes()[:kept_bytes])
    assert newest_step(folder) == 10
    assert f"{newest}: damaged" in log.text


@pytest.mark.parametrize("position", [0.0, 0.02, 0.3, 0.6, 0.99])
def test_a_flipped_bit_anywhere_is_noticed(folder, position):
    newest = folder / file_of(20)
    content = bytearray(newest.read_bytes())
    content[int(position * len(content))] ^= 1
    newest.write_bytes(content)
    assert newest_step(folder) == 10


def test_damaged_checkpoints_alone_never_mean_a_silent_start_from_zero(folder):
    for path in folder.iterdir():
        path.write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"every checkpoint is damaged .* empty the folder"):
        Checkpoints(folder, OURS).newest()


def test_a_checkpoint_of_another_algorithm_is_refused(folder):
    with pytest.raises(
        UserError, match=r"another model \(algorithm=deepar; this job has algorithm=ntm\)"
    ):
        Checkpoints(folder, {**OURS, "algorithm": "ntm"}).newest()


def test_a_checkpoint_of_another_shape_is_refused_with_both_descriptions(folder):
    with pytest.raises(UserError, match=r"num_cells=40; this job has num_cells=50"):
        Checkpoints(folder, {**OURS, "num_cells": 50}).newest()


def test_a_hyperparameter_that_has_changed_is_told(tmp_path, log):
    Checkpoints(tmp_path, OURS, {"epochs": 3, "seed": 0}).save({"step": 1}, 1)
    Checkpoints(tmp_path, OURS, {"epochs": 5, "seed": 0}).newest()
    told = [record.getMessage() for record in log.records if record.levelname == "WARNING"]
    assert told == ["hyperparameter epochs was 3, and is 5 from here on."]


def test_a_temporary_file_of_a_killed_save_is_removed(folder):
    leftover = folder / f"{file_of(30)}.123{TEMPORARY_SUFFIX}"
    leftover.write_bytes(b"half")
    Checkpoints(folder, OURS).newest()
    assert not leftover.exists()


class Explosive:
    def __reduce__(self):
        return (print, ("code in a checkpoint ran",))


def test_a_checkpoint_with_code_in_it_is_never_run(folder, capsys):
    torch.save({"identity": OURS, "payload": Explosive()}, folder / file_of(99))
    Checkpoints(folder, OURS).newest()
    assert "ran" not in capsys.readouterr().out


def test_a_checkpoint_that_is_being_uploaded_is_not_deleted(folder):
    (folder / (file_of(10) + UPLOADING)).touch()
    Checkpoints(folder, OURS).save({"step": 30}, 30)
    assert file_of(10) in names(folder)


def test_a_checkpoint_that_has_been_uploaded_is_deleted_with_its_marks(folder):
    for mark in (UPLOADING, UPLOADED):
        (folder / (file_of(10) + mark)).touch()
    Checkpoints(folder, OURS).save({"step": 30}, 30)
    assert names(folder) == [file_of(20), file_of(30)]


@pytest.fixture
def full_disk(folder, monkeypatch):
    """Hold two checkpoints on a disk that is full at the end of every later save."""
    monkeypatch.setattr(faults, "_FAULTS", faults.planned({faults.VARIABLE: "save:*:full"}))
    return folder


def test_a_full_disk_keeps_the_newest_checkpoint_whole(full_disk):
    Checkpoints(full_disk, OURS).save({"step": 30}, 30)
    assert newest_step(full_disk) == 20


def test_a_full_disk_gives_up_the_older_checkpoint(full_disk):
    Checkpoints(full_disk, OURS).save({"step": 30}, 30)
    assert names(full_disk) == [file_of(20)]


def test_a_full_disk_keeps_the_newest_whole_checkpoint_not_a_damaged_one(full_disk):
    (full_disk / file_of(20)).write_bytes(b"not a checkpoint")
    checkpoints = Checkpoints(full_disk, OURS)
    checkpoints.newest()
    checkpoints.save({"step": 11}, 11)
    assert newest_step(full_disk) == 10


def test_a_damaged_checkpoint_takes_no_place_of_a_whole_one(folder):
    (folder / file_of(20)).write_bytes(b"not a checkpoint")
    checkpoints = Checkpoints(folder, OURS)
    checkpoints.newest()
    for step in (11, 12):
        checkpoints.save({"step": step}, step)
    assert names(folder) == [file_of(11), file_of(12)]


def test_a_full_disk_is_one_line_with_what_is_needed_and_free(full_disk, log):
    Checkpoints(full_disk, OURS).save({"step": 30}, 30)
    (line,) = [record.getMessage() for record in log.records if record.levelname == "ERROR"]
    needed = (full_disk / file_of(20)).stat().st_size
    assert f"{os.strerror(errno.ENOSPC)}): {needed} bytes needed, " in line


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid(), reason="mounting needs root")
def test_a_real_disk_that_is_too_small_costs_no_run(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        checkpoints = Checkpoints(disk, OURS)
        checkpoints.save({"step": 1, "weights": torch.ones(5000)}, 1)
        checkpoints.save({"step": 2, "weights": torch.ones(50_000)}, 2)
        assert (names(disk), newest_step(disk)) == ([file_of(1)], 1)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_saving_is_due_after_the_interval(tmp_path, monkeypatch):
    monkeypatch.setenv(INTERVAL_VARIABLE, "0.05")
    checkpoints = Checkpoints(tmp_path, OURS)
    before = checkpoints.is_due()
    time.sleep(0.06)
    assert (before, checkpoints.is_due()) == (False, True)


def test_saving_that_takes_long_is_due_more_rarely(tmp_path, monkeypatch):
    monkeypatch.setenv(INTERVAL_VARIABLE, "0")
    checkpoints = Checkpoints(tmp_path, OURS)
    started = time.perf_counter()
    checkpoints.save({"weights": torch.ones(3_000_000)}, 1)
    cost_s = time.perf_counter() - started
    time.sleep(10 * cost_s)  # 2 % would be 49 times the cost
    assert not checkpoints.is_due()


def test_a_killed_save_leaves_the_checkpoint_before(folder):
    code = (
        "import sys; from pathlib import Path; from sm_dl.engine.checkpoint import Checkpoints;"
        f"Checkpoints(Path(sys.argv[1]), {OURS!r}).save({{'step': 30}}, 30)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, folder],
        env={**os.environ, faults.VARIABLE: "save:1:kill"},
        check=False,
    )
    assert (killed.returncode, newest_step(folder)) == (-9, 20)


def test_a_copied_folder_can_be_gone_on_with(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    assert newest_step(tmp_path / "copy") == 20
