#!/usr/bin/env python3
"""Train the small ResNet as a torchvision-style script does: the peer of `image_classification_versus.py`.

ImageFolder, PIL and a DataLoader in its process, torchvision's transforms, float32, channels first; the
same schedule and epochs. `--recipe same` has the same network and optimizer, too: the batch norm over the
input, Xavier's output layer, MXNet's momentum, biases that do not decay. `--recipe torch` has what torch
gives: a fixed normalisation, its own linear layer, its SGD. Prints one line of JSON.
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

from sm_dl.algorithms.image_classification.network import ResNetClassifier
from sm_dl.engine.optim import mxnet_optimizer
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
    parser.add_argument("--recipe", choices=("same", "torch"), default="same")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    is_same = options.recipe == "same"
    scale = transforms.Normalize(0, 1 / 255) if is_same else transforms.Normalize(MEAN, DEVIATION)
    normalise = [transforms.ToTensor(), scale]
    augment = [transforms.RandomCrop(SIDE), transforms.RandomHorizontalFlip()]
    train = ImageFolder(options.images / "train", transforms.Compose(augment + normalise))
    test = ImageFolder(
        options.images / "test", transforms.Compose([transforms.CenterCrop(SIDE), *normalise])
    )
    loader = DataLoader(train, options.batch, shuffle=True)
    network, optimizer = learner(len(train.classes), options.rate, is_same=is_same)
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


def learner(
    num_classes: int, rate: float, *, is_same: bool
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a ResNet-20 with fresh weights, and its optimizer."""
    if is_same:
        same = ResNetClassifier(ResNetShape.of_image(20, (3, SIDE, SIDE)), num_classes)
        return same, mxnet_optimizer(
            "sgd", same, learning_rate=rate, momentum=0.9, weight_decay=1e-4
        )
    network = Classifier(20, num_classes)
    return network, torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9, weight_decay=1e-4)


@torch.no_grad()
def accuracy(network: nn.Module, loader: DataLoader[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Return the share of right answers."""
    network.eval()
    right = [network(images).argmax(1) == labels for images, labels in loader]
    return float(torch.cat(right).double().mean())


if __name__ == "__main__":
    sys.exit(main())
