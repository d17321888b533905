"""Parts of different length come together by rank; a process that is alone keeps its own."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from sm_dl.engine.gathering import num_processes, numbers_of_all, rows_of_all, sum_of_all

CPU = torch.device("cpu")


def test_a_process_that_is_alone_has_everything_already():
    rows = torch.arange(6).reshape(3, 2)
    assert num_processes() == 1
    assert numbers_of_all(7, CPU) == [7]
    assert rows_of_all(rows) is rows
    assert sum_of_all(rows) is rows


def _work(rank: int, path: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{path}/meet", rank=rank, world_size=3)
    rows = torch.full((2 * rank, 2), rank)  # none, two and four
    own = torch.tensor([rank, 1.0])
    found = (numbers_of_all(10 + rank, CPU), rows_of_all(rows), sum_of_all(own), own)
    torch.save(found, f"{path}/{rank}")
    dist.destroy_process_group()


def test_all_processes_get_the_sum_and_the_rows_below_each_other_by_rank(tmp_path):
    mp.spawn(_work, (str(tmp_path),), nprocs=3)
    for rank in range(3):
        numbers, rows, total, own = torch.load(tmp_path / str(rank), weights_only=True)
        assert (total.tolist(), own.tolist()) == ([3.0, 3.0], [rank, 1.0])
        assert numbers == [10, 11, 12]
        assert rows[:, 0].tolist() == [1, 1, 2, 2, 2, 2]
