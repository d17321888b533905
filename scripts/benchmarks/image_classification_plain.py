#!/usr/bin/env python3
"""Train the small ResNet as a torchvision-style script does: the peer of `image_classification_versus.py`.

The same network, optimizer, schedule and epochs; ImageFolder, PIL and a DataLoader in its process,
torchvision's transforms, float32, channels first. Prints one line of JSON.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from sm_dl.nn.resnet import ResNet, ResNetShape

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDE = 28


class Classifier(nn.Module):
    """A ResNet with a linear layer on top."""

    def __init__(self, num_layers: int, num_classes: int) -> None:
        """Make a network with fresh weights."""
        super().__init__()
        self.body = ResNet(ResNetShape.of_image(num_layers, (3, SIDE, SIDE)))
        self.fc = nn.Linear(self.body.shape.stage_channels[-1], num_classes)

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        features_BC = self.body(images_BCHW).mean((2, 3))
        logits_BK: torch.Tensor = self.fc(features_BC)
        return logits_BK


def main() -> int:
    """Train, validating after every epoch."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True, help="folder with train/ and test/")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--steps", type=int, nargs="*", default=[])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    normalise = [transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)]
    augment = [transforms.RandomCrop(SIDE), transforms.RandomHorizontalFlip()]
    train = ImageFolder(options.images / "train", transforms.Compose(augment + normalise))
    test = ImageFolder(
        options.images / "test", transforms.Compose([transforms.CenterCrop(SIDE), *normalise])
    )
    loader = DataLoader(train, options.batch, shuffle=True)
    network = Classifier(20, len(train.classes))
    optimizer = torch.optim.SGD(
        network.parameters(), lr=options.rate, momentum=0.9, weight_decay=1e-4
    )
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, options.steps)
    accuracies = []
    for _ in range(options.epochs):
        network.train()
        for images, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
        accuracies.append(accuracy(network, DataLoader(test, 256)))
    print(json.dumps({"accuracies": accuracies}))
    return 0


@torch.no_grad()
def accuracy(network: nn.Module, loader: DataLoader[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Return the share of right answers."""
    network.eval()
    right = [network(images).argmax(1) == labels for images, labels in loader]
    return float(torch.cat(right).double().mean())


if __name__ == "__main__":
    sys.exit(main())
