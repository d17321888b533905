#!/usr/bin/env python3
r"""Train and predict with ResNets on tensors: this project's settings and timm's defaults, in turn.

    python scripts/benchmarks/image_classification_speed.py --layers 18 50 --runs 5

One thread, 224 x 224, batch 8, CPU seconds. timm (1.0.31, with --peer-path where it is not installed)
runs as its scripts do by default: float32, channels first, torch's SGD with momentum.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sm_dl.algorithms.image_classification.batches import Batch
from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.hyperparameters import ImageClassificationHyperparameters
from sm_dl.algorithms.image_classification.module import ImageClassificationModule
from sm_dl.algorithms.image_classification.network import ResNetClassifier
from sm_dl.algorithms.image_classification.predictor import ImageClassificationPredictor
from sm_dl.engine import machine

BATCH, SIDE, NUM_CLASSES = 8, 224, 1000
Step = Callable[[], object]


def main() -> int:
    """Print one line for each depth and task."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layers", type=int, nargs="+", default=[18, 50])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer-path", help="folder with timm and torchvision")
    options = parser.parse_args()
    if options.peer_path:
        sys.path += options.peer_path.split(":")
    machine.prepare()
    torch.set_num_threads(1)
    images = torch.randint(0, 256, (BATCH, 3, SIDE, SIDE), dtype=torch.uint8)
    labels = torch.randint(0, NUM_CLASSES, (BATCH,))
    for layers in options.layers:
        our_training, our_inference = ours(layers, images, labels)
        peer_training, peer_inference = peer(layers, (images / 255 - 0.45) / 0.22, labels)
        compare(f"ResNet-{layers} training", our_training, peer_training, options.runs)
        compare(f"ResNet-{layers} inference", our_inference, peer_inference, 2 * options.runs)
    return 0


def ours(layers: int, images: Tensor, labels: Tensor) -> tuple[Step, Step]:
    """Return one step of training and of inference, as a job on a CPU with bfloat16 makes them."""
    settings = ImageClassificationHyperparameters.parse(
        {"num_classes": NUM_CLASSES, "num_training_samples": BATCH, "num_layers": layers}
    )
    facts = ModelFacts(layers, settings.shape, NUM_CLASSES)
    network = ResNetClassifier(facts.network_shape, NUM_CLASSES)
    module = ImageClassificationModule(network.to(memory_format=torch.channels_last), settings)
    configured: Any = module.configure_optimizers()
    optimizer = configured[0][0]
    on_device = images.contiguous(memory_format=torch.channels_last)
    batch = Batch(on_device, labels, torch.ones(BATCH))
    predictor = ImageClassificationPredictor(
        ResNetClassifier(facts.network_shape, NUM_CLASSES), facts
    )

    def train() -> None:
        module.train()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss: Any = module.training_step(batch, 0)
        (loss["total"] / loss["count"]).backward()
        optimizer.step()

    return train, lambda: predictor.probabilities(on_device)


def peer(layers: int, images: Tensor, labels: Tensor) -> tuple[Step, Step]:
    """Return the same of timm."""
    import timm  # noqa: PLC0415 - of the peer's folder

    network = timm.create_model(f"resnet{layers}", num_classes=NUM_CLASSES)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=2e-5)

    def train() -> None:
        network.train()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def infer() -> object:
        network.eval()
        with torch.inference_mode():
            return network(images).softmax(1)

    return train, infer


def compare(title: str, one: Step, two: Step, runs: int) -> None:
    """Time two steps in turn and print images a second and the median ratio."""
    seconds: tuple[list[float], list[float]] = [], []
    for run in range(runs + 1):
        for step, found in zip((one, two), seconds, strict=True):
            began = time.process_time()
            step()
            if run:  # the first of each warms up
                found.append(time.process_time() - began)
    speeds = [BATCH / statistics.median(found) for found in seconds]
    ratio = statistics.median(theirs / our for our, theirs in zip(*seconds, strict=True))
    print(f"{title}: {speeds[0]:.1f} images/s, timm {speeds[1]:.1f}, ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
