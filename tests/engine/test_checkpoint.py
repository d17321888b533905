import pytest
import torch

from sm_dl.engine.checkpoint import IDENTITY, AtomicCheckpointIO, Checkpoints
from sm_dl.errors import PlatformError, UserError
from sm_dl.files import TEMPORARY_SUFFIX

OURS = {"algorithm": "deepar", "num_cells": 40}


@pytest.fixture
def folder(tmp_path):
    """Hold checkpoints of epochs 0 and 1."""
    for epoch in range(2):
        checkpoint = {IDENTITY: OURS, "epoch": epoch, "weights": torch.ones(1000)}
        AtomicCheckpointIO().save_checkpoint(checkpoint, tmp_path / f"epoch-{epoch:06d}.ckpt")
    return tmp_path


def test_the_newest_checkpoint_is_found(folder):
    assert Checkpoints(folder, OURS).newest() == folder / "epoch-000001.ckpt"


def test_no_checkpoint_is_no_error(tmp_path):
    assert Checkpoints(tmp_path / "absent", OURS).newest() is None


@pytest.mark.parametrize("kept_bytes", [0, 100, 2000])
def test_a_cut_checkpoint_is_passed_over_for_the_one_before(folder, kept_bytes):
    newest = folder / "epoch-000001.ckpt"
    newest.write_bytes(newest.read_bytes()[:kept_bytes])
    assert Checkpoints(folder, OURS).newest() == folder / "epoch-000000.ckpt"


def test_a_checkpoint_of_another_algorithm_is_refused(folder):
    with pytest.raises(
        UserError, match=r"another model \(algorithm=deepar; this job has algorithm=ntm\)"
    ):
        Checkpoints(folder, {**OURS, "algorithm": "ntm"}).newest()


def test_a_checkpoint_of_another_shape_is_refused_with_both_descriptions(folder):
    with pytest.raises(UserError, match=r"num_cells=40; this job has num_cells=50"):
        Checkpoints(folder, {**OURS, "num_cells": 50}).newest()


def test_a_temporary_file_of_a_killed_save_is_removed(folder):
    leftover = folder / f"epoch-000002.ckpt.123{TEMPORARY_SUFFIX}"
    leftover.write_bytes(b"half")
    Checkpoints(folder, OURS).newest()
    assert not leftover.exists()


class Explosive:
    def __reduce__(self):
        return (print, ("code in a checkpoint ran",))


def test_a_checkpoint_with_code_in_it_is_never_run(folder, capsys):
    torch.save({IDENTITY: OURS, "payload": Explosive()}, folder / "epoch-000009.ckpt")
    Checkpoints(folder, OURS).newest()
    assert "ran" not in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_the_platform_s_fault(tmp_path):
    (tmp_path / "checkpoints").write_text("a file where a folder should be")
    with pytest.raises((PlatformError, FileExistsError, NotADirectoryError)):
        AtomicCheckpointIO().save_checkpoint({}, tmp_path / "checkpoints" / "epoch-0.ckpt")
