#!/usr/bin/env python3
r"""Train and predict with ResNets on tensors: this project's settings and timm's defaults, in turn.

    python scripts/benchmarks/image_classification_speed.py --layers 18 50 --rounds 3

One thread, 224 x 224, batch 8, CPU seconds, each system in a process of its own: what a process does
with freed memory decides some of it. Beside ours in bfloat16, which a job takes by itself where the
processor has it, stands ours in float32. timm (1.0.31, with --peer-path where it is not installed)
runs as its scripts do by default: float32, channels first, torch's SGD with momentum; once as a user
starts it, and once with our settings of the process. Without timm ours run alone.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
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
NUM_WARMING, NUM_TIMED = 3, 5
OURS, OURS_IN_FLOAT32 = "ours", "ours in float32"
PEER, PEER_PREPARED = "timm", "timm in a process set up as ours"
TASKS = ("training", "inference")
Step = Callable[[], object]


def main() -> int:
    """Print one line for each depth and task."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layers", type=int, nargs="+", default=[18, 50])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-path", help="folder with timm")
    parser.add_argument("--only", help="time one system here, as JSON")
    options = parser.parse_args()
    if options.peer_path:
        sys.path += options.peer_path.split(":")
    if options.only:
        print(json.dumps(timed(options.only, options.layers[0])))
        return 0
    systems = [OURS, OURS_IN_FLOAT32]
    if importlib.util.find_spec("timm"):
        systems += [PEER, PEER_PREPARED]
    for layers in options.layers:
        rounds = [
            {name: in_own_process(name, layers, options.peer_path) for name in systems}
            for _ in range(options.rounds)
        ]
        for index, task in enumerate(TASKS):
            speeds = {name: [one[name][index] for one in rounds] for name in systems}
            told = []
            for name, found in speeds.items():
                ratio = statistics.median(
                    our / their for our, their in zip(speeds[OURS], found, strict=True)
                )
                told.append(f"{name} {statistics.median(found):.1f} ({ratio:.2f})")
            print(f"ResNet-{layers} {task}, images/s (times): {', '.join(told)}", flush=True)
    return 0


def in_own_process(name: str, layers: int, peer_path: str | None) -> list[float]:
    """Return a system's images per second in each task."""
    command = [sys.executable, __file__, "--only", name, "--layers", str(layers)]
    command += ["--peer-path", peer_path] if peer_path else []
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    speeds: list[float] = json.loads(run.stdout.splitlines()[-1])
    return speeds


def timed(name: str, layers: int) -> list[float]:
    """Return the images per CPU second of one system in this process."""
    if name != PEER:
        machine.prepare()
    torch.set_num_threads(1)
    images = torch.randint(0, 256, (BATCH, 3, SIDE, SIDE), dtype=torch.uint8)
    labels = torch.randint(0, NUM_CLASSES, (BATCH,))
    if name in {OURS, OURS_IN_FLOAT32}:
        steps = ours(layers, images, labels, is_bf16=name == OURS)
    else:
        steps = peer(layers, (images / 255 - 0.45) / 0.22, labels)
    return [BATCH / seconds(step) for step in steps]


def seconds(step: Step) -> float:
    """Return the median of a step's CPU seconds, once it is warm."""
    found = []
    for _ in range(NUM_WARMING + NUM_TIMED):
        began = time.process_time()
        step()
        found.append(time.process_time() - began)
    return statistics.median(found[NUM_WARMING:])


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


if __name__ == "__main__":
    sys.exit(main())
