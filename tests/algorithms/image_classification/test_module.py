"""Losses and accuracies are those of torch and of the eye; padding counts for nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from sm_dl.algorithms.image_classification.batches import Batch
from sm_dl.algorithms.image_classification.module import (
    ImageClassificationModule,
    positive_weights,
)


class _Fixed(nn.Module):
    """Stands in for a network: its logits are given."""

    def __init__(self, logits_BK: torch.Tensor) -> None:
        super().__init__()
        self.logits_BK = nn.Parameter(logits_BK)

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        return self.logits_BK


LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0], [0.0, 3.0, 2.0, 1.0], [1.0, 0.5, 0.0, 2.0]])
LABELS = torch.tensor([0, 2, 1])
MARKS = torch.tensor([[1.0, 0, 0, 0], [0, 1, 1, 1], [0, 0, 1, 1]])


def _step(settings, labels: torch.Tensor, weight=(1.0, 1.0, 1.0), positive=None, **changes):
    module = ImageClassificationModule(_Fixed(LOGITS), settings(**changes), positive)
    return module.training_step(Batch(torch.zeros(3, 3, 2, 2), labels, torch.tensor(weight)), 0)


def test_the_loss_is_the_sum_of_cross_entropies(settings) -> None:
    loss = _step(settings, LABELS)
    expected = nn.functional.cross_entropy(LOGITS, LABELS, reduction="sum")
    torch.testing.assert_close(loss["total"], expected)
    assert (float(loss["count"]), loss["records"]) == (3, 3)


def test_accuracy_counts_first_answers_and_top_k_the_first_k(settings) -> None:
    figures = _step(settings, LABELS, top_k=2)["figures"]
    assert {name: float(value) for name, value in figures.items()} == {
        "accuracy": 1,
        "top_k_accuracy_2": 2,
    }


def test_an_image_of_weight_0_counts_for_nothing(settings) -> None:
    loss = _step(settings, LABELS, weight=(1.0, 0.0, 1.0))
    expected = nn.functional.cross_entropy(LOGITS[[0, 2]], LABELS[[0, 2]], reduction="sum")
    torch.testing.assert_close(loss["total"], expected)
    assert float(loss["count"]) == 2


def test_several_labels_have_a_mean_over_classes(settings) -> None:
    loss = _step(settings, MARKS, multi_label=1)
    expected = nn.functional.binary_cross_entropy_with_logits(LOGITS, MARKS)
    torch.testing.assert_close(loss["total"] / loss["count"], expected)
    right = ((LOGITS > 0) == (MARKS > 0.5)).float().mean()
    torch.testing.assert_close(loss["figures"]["accuracy"] / 3, right)


def test_rare_classes_weigh_more_where_asked_for(settings) -> None:
    weights_K = positive_weights(MARKS.sum(0), len(MARKS))
    assert weights_K.tolist() == [2, 2, 0.5, 0.5]
    loss = _step(settings, MARKS, positive=weights_K, multi_label=1)
    probability = LOGITS.sigmoid()
    by_hand = -(weights_K * MARKS * probability.log() + (1 - MARKS) * (1 - probability).log())
    torch.testing.assert_close(loss["total"] / 3, by_hand.mean())


def test_a_class_nobody_has_weighs_as_if_one_had() -> None:
    assert positive_weights(torch.tensor([0.0]), 10).tolist() == [10]


def test_the_step_size_falls_after_each_listed_epoch(settings) -> None:
    module = ImageClassificationModule(_Fixed(LOGITS), settings(lr_scheduler_step="2,4"))
    np.testing.assert_allclose(
        [module.rate_factor(epoch) for epoch in range(6)], [1, 1, 0.1, 0.1, 0.01, 0.01]
    )


@pytest.mark.parametrize("optimizer", ["sgd", "nag", "adam", "rmsprop"])
def test_every_optimizer_lowers_the_loss(settings, optimizer: str) -> None:
    changes = {"optimizer": optimizer, "learning_rate": 0.05}
    module = ImageClassificationModule(_Fixed(LOGITS.clone()), settings(**changes))
    (rule,), _ = module.configure_optimizers()
    batch = Batch(torch.zeros(3, 3, 2, 2), LABELS, torch.ones(3))
    losses = []
    for _ in range(10):
        rule.zero_grad()
        loss = module.training_step(batch, 0)["total"]
        loss.backward()
        rule.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_a_module_learns_a_batch_by_heart(settings, network) -> None:
    torch.manual_seed(0)
    module = ImageClassificationModule(network(), settings(learning_rate=0.1))
    (rule,), _ = module.configure_optimizers()
    images = torch.randint(0, 256, (8, 3, 12, 16), dtype=torch.uint8)
    batch = Batch(images, torch.arange(8) % 4, torch.ones(8))
    for _ in range(25):
        rule.zero_grad()
        step = module.training_step(batch, 0)
        (step["total"] / 8).backward()
        rule.step()
    assert float(step["figures"]["accuracy"]) == 8
