"""The training loop on one parameter: losses, averages, early stopping, what is kept."""

import itertools
import os
import signal
from dataclasses import dataclass, field
from math import nan

import pytest
import torch
from lightning.pytorch import LightningModule

from sm_dl.contract.hyperparameters import Hyperparameters
from sm_dl.engine.fit import fit
from sm_dl.engine.losses import StepLoss
from sm_dl.engine.stopping import Patience
from sm_dl.engine.strategy import Plan
from sm_dl.errors import AlgorithmError, StoppedError
from sm_dl.job import stop
from sm_dl.job.job import Job
from sm_dl.job.paths import Paths

ON_ONE_CPU = Plan("cpu", 1, 1, "auto", "32-true")


class Scripted(LightningModule):
    """Has the losses it is told to have, and a weight that counts its updates."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.register_buffer("counter", torch.zeros((), dtype=torch.int64))
        self.measured = []

    def training_step(self, batch, batch_idx):
        self.counter += 1
        total = torch.tensor(batch) + self.weight.detach() - self.weight
        return StepLoss(total=total, count=torch.tensor(1.0), records=1)

    def validation_step(self, batch, batch_idx):
        self.measured.append(self.weight.item())
        return StepLoss(total=torch.tensor(batch), count=torch.tensor(1.0), records=1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)  # the gradient is -1


class Halving(Scripted):
    """Halves its rate after every update, or after every epoch."""

    interval = "step"

    def configure_optimizers(self):
        optimizer = super().configure_optimizers()
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: 0.5**done)
        config = {"scheduler": schedule, "interval": self.interval}
        return {"optimizer": optimizer, "lr_scheduler": config}


class HalvingByEpoch(Halving):
    interval = "epoch"


class Listener:
    """A narrator that remembers what it was told."""

    def __init__(self):
        self.running, self.summaries = [], []

    def batch_ends(self, epoch, batch, running):
        self.running.append((epoch, batch, running.means()))

    def epoch_ends(self, summary):
        self.summaries.append(summary)


@dataclass
class Training:
    root: object
    told: Listener = field(default_factory=Listener)

    def run(
        self,
        losses,
        patience=None,
        batches_per_epoch=1,
        validation=None,
        module=None,
        average_decay=0.99,
        average_every=1,
    ):
        """Train with one scripted loss, and perhaps one validation loss, an epoch."""
        module = module or Scripted()
        with stop.listening(), stop.deferred():
            result = fit(
                module,
                lambda place: iter(
                    [losses[place.epoch]] * (batches_per_epoch - place.first_record)
                ),
                job=Job("scripted", Hyperparameters(), {}, Paths(self.root)),
                plan=ON_ONE_CPU,
                num_epochs=len(losses),
                narrator=self.told,
                selection=patience and Patience(patience),
                average_decay=average_decay,
                average_every=average_every,
                validation_batches_of=validation
                and (lambda place: iter([validation[place.epoch]])),
                identity={"algorithm": "scripted"},
            )
        return result, module


@pytest.fixture
def training(tmp_path):
    return Training(tmp_path)


@pytest.fixture
def sigterm_at():
    """Return a maker of modules that get SIGTERM at a step."""

    def make(kind, step, *, step_name="training_step", times=1):
        module = kind()
        original, calls = getattr(module, step_name), itertools.count(1)

        def step_with_signal(batch, batch_idx):
            if next(calls) == step:
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGTERM)
            return original(batch, batch_idx)

        setattr(module, step_name, step_with_signal)
        return module

    return make


@pytest.mark.parametrize(
    ("kind", "weight"),
    [(Scripted, 4.0), (Halving, 1 + 1 / 2 + 1 / 4 + 1 / 8), (HalvingByEpoch, 3.0)],
)
def test_a_schedule_moves_by_update_or_by_epoch_as_it_asks(training, kind, weight):
    _, module = training.run([1.0, 1.0], batches_per_epoch=2, module=kind(), average_decay=None)
    assert module.weight.item() == weight


def test_a_schedule_by_update_goes_on_where_the_job_was_stopped(training, sigterm_at):
    stopped = sigterm_at(Halving, 3)
    result, _ = training.run([1.0, 1.0], batches_per_epoch=2, module=stopped, average_decay=None)
    assert isinstance(result.interruption, StoppedError)
    _, module = training.run([1.0, 1.0], batches_per_epoch=2, module=Halving(), average_decay=None)
    assert module.weight.item() == 1 + 1 / 2 + 1 / 4 + 1 / 8


def test_without_patience_the_last_epoch_is_kept_even_when_it_is_worse(training):
    result, _ = training.run([3.0, 1.0, 2.0])
    assert (result.kept_epoch, result.final_loss) == (2, 2.0)


def test_patience_ends_the_run_after_exactly_so_many_epochs_without_a_lower_loss(training):
    result, _ = training.run([3.0, 1.0, 2.0, 1.0, 1.5, 0.5], patience=3)
    assert len(result.losses) == 5


def test_patience_keeps_the_best_epoch(training):
    result, _ = training.run([3.0, 1.0, 2.0, 1.0, 1.5, 0.5], patience=3)
    assert (result.kept_epoch, result.final_loss) == (1, 1.0)


def test_the_weights_of_the_best_epoch_are_loaded(training):
    _, stopped = training.run([3.0, 1.0, 2.0, 2.0, 2.0], patience=2)
    _, short = Training(training.root / "short").run([3.0, 1.0])
    assert stopped.weight == short.weight


def test_the_early_stopping_lines_are_the_service_s(training, log):
    training.run([1.0, 2.0], patience=1)
    told = [
        record.getMessage()
        for record in log.records
        if record.name.endswith(("stopping", "weights"))
    ]
    assert told == [
        "Using early stopping with patience 1",
        "best epoch loss so far",
        "loss did not improve",
        "Loading parameters from best epoch (0)",
    ]


def test_a_run_that_had_ended_early_does_not_go_on(training):
    losses = [3.0, 1.0, 2.0, 2.0, 2.0, 2.0]
    first, _ = training.run(losses, patience=2)
    again, _ = training.run(losses, patience=2)
    assert again.losses == first.losses


def test_more_epochs_continue_a_finished_run(training):
    training.run([3.0, 2.0])
    result, _ = training.run([9.0, 9.0, 1.0])
    assert result.losses == [3.0, 2.0, 1.0]


def test_a_loss_that_is_not_finite_ends_the_job_with_the_place(training):
    result, _ = training.run([1.0, float("nan")])
    assert isinstance(result.interruption, AlgorithmError)
    assert "epoch 1, batch 0: the loss is nan" in str(result.interruption)


def test_a_loss_that_is_not_finite_changes_no_weight(training):
    _, module = training.run([1.0, float("nan")])
    _, short = Training(training.root / "short").run([1.0])
    assert module.weight == short.weight


def test_a_gradient_that_is_not_finite_ends_the_job_before_the_update(training):
    module = Scripted()
    module.weight.register_hook(lambda gradient: gradient * float("inf"))
    result, _ = training.run([1.0], module=module)
    assert str(result.interruption).startswith("epoch 0, batch 0: the gradient is inf; no model")
    assert not result.has_weights


class Breaking(Scripted):
    """Has an infinite weight from one of its updates on."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=1.0)
        return [optimizer], [
            torch.optim.lr_scheduler.LambdaLR(
                optimizer, lambda epoch: float("inf") if epoch == self.at else 1.0
            )
        ]


@pytest.mark.parametrize(
    ("num_epochs", "place"),
    [(1, "epoch 0: training has diverged"), (3, "epoch 1, batch 0: the loss is nan")],
)
@pytest.mark.parametrize("average_decay", [None, 0.5])
def test_weights_that_are_not_finite_are_no_model(training, num_epochs, place, average_decay):
    result, _ = training.run([1.0] * num_epochs, module=Breaking(0), average_decay=average_decay)
    assert isinstance(result.interruption, AlgorithmError)
    assert str(result.interruption) == (
        f"{place}; no model is written, since an update has left weight with a value that is not finite. "
        "Lower learning_rate, and check the data for extreme values."
    )
    assert not result.has_weights


def test_a_best_epoch_outlives_later_weights_that_are_not_finite(training):
    result, module = training.run(
        [1.0] * 3, patience=9, validation=[1.0, 2.0, 2.0], module=Breaking(1), average_decay=None
    )
    assert "batch 0: the loss is nan; the weights of epoch 0, the best" in str(result.interruption)
    assert (result.has_weights, result.kept_epoch, module.weight.item()) == (True, 0, 1.0)


def test_weights_that_are_not_finite_are_not_gone_on_with(training, monkeypatch, log):
    monkeypatch.setenv("SM_DL_CHECKPOINT_INTERVAL_S", "0")
    training.run([1.0] * 2, module=Breaking(1), average_decay=None)
    assert "no checkpoint is saved: the last update left weight with" in log.text
    again, module = training.run([1.0] * 2, average_decay=None)
    assert "Continuing from checkpoint" in log.text
    assert (again.interruption, again.has_weights, module.weight.item()) == (None, True, 2.0)


def test_a_batch_without_any_observed_point_changes_no_weight(training):
    class Unobserved(Scripted):
        def training_step(self, batch, batch_idx):
            return {**super().training_step(batch, batch_idx), "count": torch.tensor(0.0)}

    result, module = training.run([1.0, 1.0], module=Unobserved())
    assert (module.weight.item(), result.interruption) == (0.0, None)


def test_the_average_starts_at_the_weights_and_follows_them(training):
    _, module = training.run([1.0] * 3)
    average = 0.0
    for step in range(3):
        average += (step + 1 - average) * (1 - (1 + step) / (10 + step))
    assert module.weight.item() == pytest.approx(average)


def test_a_validation_channel_decides_which_epoch_is_kept(training):
    result, _ = training.run([3.0, 2.0, 1.0], patience=5, validation=[5.0, 4.0, 6.0])
    assert (result.kept_epoch, result.final_loss) == (1, 2.0)


def test_validation_losses_are_kept_beside_the_training_losses(training):
    result, _ = training.run([3.0, 2.0], validation=[5.0, 4.0])
    assert (result.losses, result.validation["loss"]) == ([3.0, 2.0], [5.0, 4.0])


@pytest.mark.parametrize(("num_updates", "tolerance"), [(9, 0.0), (100, 5.0), (400, 10.0)])
def test_some_updates_may_go_into_the_average_as_one(training, num_updates, tolerance):
    weights = []
    for every in (1, 10):
        run = Training(training.root / str(every))
        _, module = run.run([1.0], batches_per_epoch=num_updates, average_every=every)
        weights.append(module.weight.item())
    assert weights[1] == pytest.approx(weights[0], abs=tolerance)  # a weight counts its updates
    assert (weights[1] == weights[0]) == (tolerance == 0.0)


def test_validation_measures_the_averaged_weights(training):
    _, module = training.run([1.0] * 3, validation=[1.0] * 3)
    assert module.measured[-1] == pytest.approx(module.weight.item())


def test_a_resumed_run_keeps_its_validation_losses(training):
    training.run([3.0, 2.0], validation=[5.0, 4.0])
    result, _ = training.run([3.0, 2.0, 1.0], validation=[0.0, 0.0, 6.0])
    assert result.validation["loss"] == [5.0, 4.0, 6.0]


def test_patience_that_is_given_up_on_leaves_the_last_weights(training):
    training.run([3.0, 1.0, 2.0], patience=5, average_decay=None)
    result, module = training.run([3.0, 1.0, 2.0, 2.0], average_decay=None)
    assert (result.kept_epoch, module.weight.item()) == (3, 4.0)


@pytest.mark.parametrize(("more", "kept"), [(0, 1), (1, 2)])
def test_patience_that_is_new_judges_the_epochs_to_come(training, log, more, kept):
    training.run([3.0, 1.0], average_decay=None)
    result, module = training.run([3.0, 1.0] + [2.0] * more, patience=5, average_decay=None)
    assert (result.kept_epoch, module.weight.item()) == (kept, kept + 1.0)
    assert (
        "chosen by KeepLast up to epoch 1, and is by Patience on train loss from here on"
        in log.text
    )


@pytest.mark.parametrize("patience", [None, 5])
def test_a_validation_channel_may_come_and_go(training, patience):
    training.run([3.0, 2.0], patience=patience)
    result, _ = training.run([3.0, 2.0, 1.0], patience=patience, validation=[0.0, 0.0, 6.0])
    assert result.validation["loss"] == pytest.approx([nan, nan, 6.0], nan_ok=True)
    assert result.kept_epoch == 2
    result, _ = training.run([3.0, 2.0, 1.0, 5.0], patience=patience)
    assert (result.validation, result.losses) == ({}, [3.0, 2.0, 1.0, 5.0])
    assert result.kept_epoch == 3


class Rated(Scripted):
    """Learns at a rate that falls to nothing over so many epochs."""

    def __init__(self, rate, num_epochs):
        super().__init__()
        self.rate, self.num_epochs = rate, num_epochs

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda epoch: 1 - epoch / self.num_epochs
        )
        return [optimizer], [schedule]


def test_added_epochs_are_trained_at_the_rate_of_the_job_that_adds_them(training):
    _, module = training.run([1.0, 1.0], module=Rated(1.0, 2), average_decay=None)
    assert module.weight.item() == 1.0 + 0.5
    _, module = training.run([1.0] * 4, module=Rated(8.0, 4), average_decay=None)
    assert module.weight.item() == 1.0 + 0.5 + 4.0 + 2.0


def test_integers_of_a_module_are_copied_into_the_average(training):
    _, module = training.run([1.0] * 3)
    assert module.counter.item() == 3


def test_sigterm_ends_training_at_the_next_batch(training, sigterm_at):
    result, _ = training.run([3.0, 2.0, 1.0], batches_per_epoch=4, module=sigterm_at(Scripted, 6))
    assert isinstance(result.interruption, StoppedError)
    assert "SIGTERM came in epoch 1, after 6 updates" in str(result.interruption)


def test_a_run_stopped_in_mid_epoch_leaves_the_weights_it_has(training, sigterm_at):
    result, module = training.run([3.0], batches_per_epoch=4, module=sigterm_at(Scripted, 2))
    _, short = Training(training.root / "short").run([3.0], batches_per_epoch=2)
    assert (result.has_weights, module.weight) == (True, short.weight)


@pytest.mark.parametrize("step", [1, 4, 6, 12])
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(training, sigterm_at, step):
    losses = [3.0, 2.0, 1.0]
    training.run(losses, batches_per_epoch=4, module=sigterm_at(Scripted, step))
    again, module = training.run(losses, batches_per_epoch=4)
    whole, untouched = Training(training.root / "whole").run(losses, batches_per_epoch=4)
    assert (again.losses, module.weight, module.counter) == (
        whole.losses,
        untouched.weight,
        untouched.counter,
    )


def test_a_run_stopped_while_it_validates_goes_on_with_the_validation(training, sigterm_at):
    losses, validation = [3.0, 2.0], [5.0, 4.0]
    stopped = sigterm_at(Scripted, 2, step_name="validation_step")
    first, _ = training.run(losses, validation=validation, patience=9, module=stopped)
    again, module = training.run(losses, validation=validation, patience=9)
    assert (len(first.losses), again.losses, again.validation["loss"]) == (1, losses, validation)
    assert module.counter == 2


def test_a_second_sigterm_leaves_the_checkpoint_out(training, sigterm_at):
    training.run([3.0], batches_per_epoch=4, module=sigterm_at(Scripted, 2, times=2))
    assert not list((training.root / "checkpoints").glob("step-*"))


class Counting(Scripted):
    """Reports one and two answers of three as right, in turn."""

    def training_step(self, batch, batch_idx):
        right = torch.tensor(1.0 + batch_idx % 2)
        step = super().training_step(batch, batch_idx)
        return {**step, "count": torch.tensor(3.0), "figures": {"accuracy": right}}

    def validation_step(self, batch, batch_idx):
        return self.training_step(batch, batch_idx)

    def validation_figures(self):
        return {"auc": 0.75}


def test_figures_are_means_over_an_epoch(training):
    result, _ = training.run([3.0], batches_per_epoch=4, module=Counting())
    assert result.train["accuracy"] == [0.5]


def test_the_narrator_hears_running_means_batch_by_batch(training):
    training.run([3.0], batches_per_epoch=3, module=Counting())
    assert [means["accuracy"] for _, _, means in training.told.running] == pytest.approx(
        [1 / 3, 1 / 2, 4 / 9]
    )


def test_the_narrator_hears_what_an_epoch_came_to(training):
    training.run([3.0, 2.0], batches_per_epoch=2, module=Counting(), validation=[5.0, 4.0])
    last = training.told.summaries[-1]
    assert (last.epoch, last.num_epochs, last.batches, last.records) == (1, 2, 2, 2)
    assert (last.validation["accuracy"], last.validation["auc"]) == (pytest.approx(1 / 3), 0.75)


def test_figures_of_a_stopped_run_are_those_of_a_whole_one(training, sigterm_at):
    training.run([3.0], batches_per_epoch=4, module=sigterm_at(Counting, 2))
    again, _ = training.run([3.0], batches_per_epoch=4, module=Counting())
    assert again.train["accuracy"] == [0.5]


def test_without_averaging_the_weights_are_the_last_update_s(training):
    _, module = training.run([1.0] * 3, average_decay=None)
    assert module.weight.item() == 3.0


def test_the_best_epoch_s_own_weights_are_kept_without_averaging(training):
    _, module = training.run([3.0, 1.0, 2.0, 2.0], patience=2, average_decay=None)
    assert module.weight.item() == 2.0


def test_the_gradient_of_a_sum_counts_every_term(training):
    class Summed(Counting):
        objective = "sum"

    _, mean = training.run([3.0], module=Counting(), average_decay=None)
    _, total = Training(training.root / "sum").run([3.0], module=Summed(), average_decay=None)
    assert (mean.weight.item(), total.weight.item()) == (pytest.approx(1 / 3), 1.0)


def test_a_sparse_gradient_that_is_not_finite_is_noticed(training):
    class Rows(Scripted):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(4, 2, sparse=True)

        def training_step(self, batch, batch_idx):
            rows = self.table(torch.tensor([1, 1])).sum() * float("inf")
            return {
                **super().training_step(batch, batch_idx),
                "total": rows.nan_to_num() + rows * 0,
            }

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=1.0)

    result, _ = training.run([1.0], module=Rows(), average_decay=None)
    assert isinstance(result.interruption, AlgorithmError)


class Typed(Scripted):
    """Remembers in which number format a product of matrices comes out."""

    def __init__(self):
        super().__init__()
        self.formats = set()

    def training_step(self, batch, batch_idx):
        self.formats.add(("training", (torch.ones(2, 2) @ torch.ones(2, 2)).dtype))
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        self.formats.add(("validation", (torch.ones(2, 2) @ torch.ones(2, 2)).dtype))
        return super().validation_step(batch, batch_idx)


@pytest.mark.parametrize(
    ("precision", "expected"), [("bf16-mixed", torch.bfloat16), ("32-true", torch.float32)]
)
def test_steps_are_computed_in_the_precision_of_the_plan(
    tmp_path, monkeypatch, precision, expected
):
    monkeypatch.setitem(globals(), "ON_ONE_CPU", Plan("cpu", 1, 1, "auto", precision))
    module = Typed()
    Training(tmp_path).run([1.0, 2.0], validation=[1.0, 2.0], module=module)
    assert module.formats == {("training", expected), ("validation", expected)}
