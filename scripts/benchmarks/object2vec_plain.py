"""The peer of `object2vec_versus.py`: the same network as a plain PyTorch loop, records as they come.

A Dataset of records, a DataLoader whose collate function pads record by record, `nn.Embedding`,
`nn.Linear` and `torch.optim.Adam` with their defaults: what one writes first. Prints CPU seconds.
"""

import argparse
import gzip
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

Record = dict[str, Any]


class TwoTowers(nn.Module):
    """Pooled embeddings of both sides, three comparators, one hidden layer."""

    def __init__(self, sizes: tuple[int, int], dim: int, hidden: int) -> None:
        """Build it; the row behind each vocabulary is for padding."""
        super().__init__()
        self.sizes = sizes
        self.tables = nn.ModuleList(nn.Embedding(size + 1, dim, padding_idx=size) for size in sizes)
        self.hidden = nn.Linear(4 * dim, hidden)
        self.output = nn.Linear(hidden, 1)

    def forward(self, tokens: tuple[Tensor, Tensor]) -> Tensor:
        """Return one score a pair."""
        pooled = []
        for table, size, part in zip(self.tables, self.sizes, tokens, strict=True):
            mask = (part != size).unsqueeze(2).float()
            pooled.append((table(part) * mask).sum(1) / mask.sum(1).clamp(min=1))
        one, two = pooled
        joined = torch.cat([one * two, one, two, (one - two).abs()], 1)
        scores: Tensor = self.output(self.hidden(joined).tanh()).squeeze(1)
        return scores


def collate(records: list[Record], sizes: tuple[int, int]) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Return a padded batch."""
    sides = []
    for field, size in zip(("in0", "in1"), sizes, strict=True):
        longest = max(len(record[field]) for record in records)
        padded = [record[field] + [size] * (longest - len(record[field])) for record in records]
        sides.append(torch.tensor(padded))
    labels = torch.tensor([float(record["label"]) for record in records])
    return (sides[0], sides[1]), labels


def main() -> None:
    """Train for some batches and print how many pairs a CPU second takes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--channel", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs=2, default=(944, 1684))
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--batches", type=int, default=1000)
    options = parser.parse_args()
    torch.manual_seed(0)
    sizes = tuple(options.sizes)
    records: list[Record] = []
    for path in sorted(options.channel.iterdir()):
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            records += [json.loads(line) for line in file]
    loader: DataLoader[Any] = DataLoader(
        records,  # type: ignore[arg-type]  # a list is a dataset
        batch_size=options.batch_size,
        shuffle=True,
        collate_fn=lambda rows: collate(rows, sizes),
    )
    network = TwoTowers(sizes, options.dim, options.hidden)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    started, seen = time.process_time(), 0
    for number, (tokens, labels) in enumerate(loader, start=1):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(network(tokens), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        seen += len(labels)
        if number == options.batches:
            break
    seconds = time.process_time() - started
    print(json.dumps({"pairs_per_cpu_s": seen / seconds, "pairs": seen, "cpu_s": seconds}))


if __name__ == "__main__":
    main()
