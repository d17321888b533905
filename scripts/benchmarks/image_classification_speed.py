#!/usr/bin/env python3
r"""Train and predict with ResNets on tensors: this project's settings and timm's defaults, in turn.

    python scripts/benchmarks/image_classification_speed.py --layers 18 50 --runs 5

One thread, 224 x 224, batch 8, CPU seconds. Beside ours in bfloat16, which a job takes by itself where the
processor has it, stands ours in float32. timm (1.0.31, with --peer-path where it is not installed)
runs as its scripts do by default: float32, channels first, torch's SGD with momentum; without it ours
run alone.
"""

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from sm_dl.algorithms.image_classification import predictor as predictor_module
from sm_dl.algorithms.image_classification.batches import Batch
from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.hyperparameters import ImageClassificationHyperparameters
from sm_dl.algorithms.image_classification.module import ImageClassificationModule
from sm_dl.algorithms.image_classification.network import ResNetClassifier
from sm_dl.engine import machine
from sm_dl.engine.strategy import Hardware

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
        systems = {
            "ours": ours(layers, images, labels, is_bf16=True),
            "ours in float32": ours(layers, images, labels, is_bf16=False),
        }
        if importlib.util.find_spec("timm"):
            systems["timm"] = peer(layers, (images / 255 - 0.45) / 0.22, labels)
        for index, (task, runs) in enumerate(
            (("training", options.runs), ("inference", 2 * options.runs))
        ):
            steps = {name: pair[index] for name, pair in systems.items()}
            compare(f"ResNet-{layers} {task}", steps, runs)
    return 0


def ours(layers: int, images: Tensor, labels: Tensor, *, is_bf16: bool) -> tuple[Step, Step]:
    """Return one step of training and of inference, as a job on a CPU with or without bfloat16 makes them."""
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
    hardware = Hardware(has_bf16=is_bf16)
    with mock.patch.object(predictor_module, "hardware", return_value=hardware):
        predictor = predictor_module.ImageClassificationPredictor(
            ResNetClassifier(facts.network_shape, NUM_CLASSES), facts
        )

    def train() -> None:
        module.train()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
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


def compare(title: str, steps: dict[str, Step], runs: int) -> None:
    """Time steps in turn and print images a second, and how many times as fast the first one is."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for run in range(runs + 1):
        for name, step in steps.items():
            began = time.process_time()
            step()
            if run:  # the first of each warms up
                seconds[name].append(time.process_time() - began)
    first = next(iter(seconds.values()))
    told = []
    for name, found in seconds.items():
        ratio = statistics.median(theirs / our for our, theirs in zip(first, found, strict=True))
        told.append(f"{name} {BATCH / statistics.median(found):.1f} ({ratio:.2f})")
    print(f"{title}, images/s (times): {', '.join(told)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
