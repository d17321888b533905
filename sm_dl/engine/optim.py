"""The six optimizers as MXNet 1.3 means them, which is what the service's learning rates are for.

With s = `rescale`, c = `clip` and wd = `weight_decay`, g is clip(s * gradient + wd * w, c) for adam
and rmsprop, and clip(s * gradient, c) for the others, whose decay comes after. Source:
python/mxnet/optimizer.py and src/operator/optimizer_op-inl.h of MXNet 1.3.0. torch's own differ in
where epsilon, the rate and the decay stand, and that is more than rounding: its Adadelta takes a
learning rate, MXNet's none.
"""

# ruff: noqa: SLF001 - torch's operations on many tensors at once have no public names

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Name = Literal["sgd", "nag", "adam", "rmsprop", "adagrad", "adadelta"]
Tensors = list[Tensor]
STEP = "step"
"""The setting of a group that counts its updates."""

ADAGRAD_EPSILON, ADADELTA_EPSILON, ADADELTA_DECAY = 1e-7, 1e-5, 0.9


class MXNetOptimizer(torch.optim.Optimizer):
    """One of the six, all weights of a group in a few multi-tensor operations."""

    def __init__(self, groups: Sequence[dict[str, Any]], name: Name, **settings: float) -> None:
        """Set up the parameter groups; see `mxnet_optimizer` for the settings."""
        super().__init__(groups, {"lr": 0.0, "weight_decay": 0.0, STEP: 0, **settings})
        self.name = name

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make one update."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [one for one in group["params"] if one.grad is not None]
            if weights:
                group[STEP] += 1
                self._update(weights, group)
        return loss

    step.hooked = True  # type: ignore[attr-defined] # without torch's mark for profilers and its hooks

    def zero_grad(self, set_to_none: bool = True) -> None:  # noqa: FBT001, FBT002 - torch's signature
        """Forget the gradients; without torch's mark for profilers, which costs a small step 2 %."""
        if not set_to_none:
            super().zero_grad(set_to_none=False)
            return
        for group in self.param_groups:
            for weight in group["params"]:
                weight.grad = None

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state, with this optimizer's settings and groups, whichever that one had.

        Files hold tensors row by row, whatever order the weights' memory has.
        """
        saved = state_dict["param_groups"]
        numbers = iter([number for group in saved for number in group["params"]])
        groups = [
            {
                **group,
                "params": [next(numbers) for _ in group["params"]],
                STEP: max(one[STEP] for one in saved),
            }
            for group in self.param_groups
        ]
        super().load_state_dict({"state": state_dict["state"], "param_groups": groups})
        for weight, states in self.state.items():
            names = [name for name, state in states.items() if state.shape == weight.shape]
            laid_out = _laid_out_like([weight] * len(names), [states[name] for name in names])
            states.update(zip(names, laid_out, strict=True))

    def _update(self, weights: Tensors, group: dict[str, Any]) -> None:
        decay, decays_in_gradient = group["weight_decay"], self.name in ("adam", "rmsprop")
        gradients: Tensors = [one.grad for one in weights if one.grad is not None]
        if group["rescale"] != 1.0:
            gradients = _multiplied(gradients, group["rescale"])
        if decays_in_gradient and decay:
            gradients = _added(gradients, weights, decay)
        if group["clip"] < math.inf:
            gradients = _clipped(gradients, group["clip"])
        rule: Callable[[Tensors, Tensors, dict[str, Any]], None] = getattr(self, f"_{self.name}")
        rule(weights, gradients, group)

    def _state(self, weights: Tensors, *names: str) -> list[Tensors]:
        """Return for each name one tensor a weight, zero before the first update."""
        states = [self.state[weight] for weight in weights]
        for weight, state in zip(weights, states, strict=True):
            for name in names:
                if name not in state:
                    state[name] = torch.zeros_like(weight)
        return [[state[name] for state in states] for name in names]

    def _sgd(self, weights: Tensors, gradients: Tensors, group: dict[str, Any]) -> None:
        """Update m = momentum * m - lr * (g + wd * w), w += m: a rate stays in the momentum.

        torch's update m = momentum * m + (1 - dampening) * (wd * w - g), w -= lr * m, which makes one
        pass over the memory where four operations make nine, comes to that with other numbers.
        """
        rate, momentum, decay = group["lr"], group["momentum"], group["weight_decay"]
        if momentum == 0:
            if decay:
                gradients = _added(gradients, weights, decay)
            torch._foreach_add_(weights, gradients, alpha=-rate)
            return
        (moments,) = self._state(weights, "momentum")
        torch._fused_sgd_(
            weights,
            _laid_out_like(weights, gradients),
            moments,
            weight_decay=-decay,
            momentum=momentum,
            lr=-1.0,
            dampening=1 - rate,
            nesterov=False,
            maximize=True,
            is_first_step=False,
        )

    def _nag(self, weights: Tensors, gradients: Tensors, group: dict[str, Any]) -> None:
        """Update g += wd * w, m = momentum * m + g, w -= lr * (g + momentum * m)."""
        (moments,) = self._state(weights, "momentum")
        torch._fused_sgd_(
            weights,
            _laid_out_like(weights, gradients),
            moments,
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            lr=group["lr"],
            dampening=0.0,
            nesterov=True,
            maximize=False,
            is_first_step=False,
        )

    def _adam(self, weights: Tensors, gradients: Tensors, group: dict[str, Any]) -> None:
        """Update with epsilon beside the root of the raw squares, all in one pass over the memory.

        torch's epsilon stands beside the root of the corrected ones: here it is corrected too. With
        a beta_2 of 1, MXNet's rate is lr * sqrt(1 - beta_2^t) / (1 - beta_1^t) = 0: the mean moves alone.
        """
        means, squares = self._state(weights, "mean", "square")
        if group["beta_2"] == 1:
            torch._foreach_lerp_(means, gradients, 1 - group["beta_1"])
            return
        step = torch.full((), float(group[STEP]), device=weights[0].device)
        torch._fused_adam_(
            weights,
            _laid_out_like(weights, gradients),
            means,
            squares,
            [],
            [step] * len(weights),
            lr=group["lr"],
            beta1=group["beta_1"],
            beta2=group["beta_2"],
            weight_decay=0.0,
            eps=group["epsilon"] / math.sqrt(1 - group["beta_2"] ** group[STEP]),
            amsgrad=False,
            maximize=False,
        )

    def _rmsprop(self, weights: Tensors, gradients: Tensors, group: dict[str, Any]) -> None:
        """Update w -= lr * g / sqrt(n + epsilon)."""
        (squares,) = self._state(weights, "square")
        torch._foreach_mul_(squares, group["gamma"])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["gamma"])
        roots = torch._foreach_add(squares, group["epsilon"])
        torch._foreach_sqrt_(roots)
        torch._foreach_addcdiv_(weights, gradients, roots, -group["lr"])

    def _adagrad(self, weights: Tensors, gradients: Tensors, group: dict[str, Any]) -> None:
        """Update w -= lr * (g / sqrt(h + epsilon) + wd * w)."""
        rate = group["lr"]
        (sums,) = self._state(weights, "square")
        torch._foreach_addcmul_(sums, gradients, gradients, 1.0)
        roots = torch._foreach_add(sums, ADAGRAD_EPSILON)
        torch._foreach_sqrt_(roots)
        if group["weight_decay"]:
            torch._foreach_mul_(weights, 1 - rate * group["weight_decay"])
        torch._foreach_addcdiv_(weights, gradients, roots, -rate)

    def _adadelta(self, weights: Tensors, gradients: Tensors, group: dict[str, Any]) -> None:
        """Update w -= step + wd * w: no learning rate, neither on the step nor on the decay."""
        squares, steps = self._state(weights, "square", "change")
        torch._foreach_mul_(squares, ADADELTA_DECAY)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - ADADELTA_DECAY)
        changes = torch._foreach_add(steps, ADADELTA_EPSILON)
        torch._foreach_div_(changes, torch._foreach_add(squares, ADADELTA_EPSILON))
        torch._foreach_sqrt_(changes)
        torch._foreach_mul_(changes, gradients)
        torch._foreach_mul_(steps, ADADELTA_DECAY)
        torch._foreach_addcmul_(steps, changes, changes, 1 - ADADELTA_DECAY)
        if group["weight_decay"]:
            torch._foreach_mul_(weights, 1 - group["weight_decay"])
        torch._foreach_sub_(weights, changes)


def _laid_out_like(weights: Tensors, tensors: Tensors) -> Tensors:
    """Return tensors in the order of the weights' memory: torch's fused updates go by place alone."""
    return [
        one if one.stride() == weight.stride() else torch.empty_like(weight).copy_(one)
        for weight, one in zip(weights, tensors, strict=True)
    ]


def _multiplied(tensors: Tensors, factor: float) -> Tensors:
    return list(torch._foreach_mul(tensors, factor))


def _added(tensors: Tensors, others: Tensors, factor: float) -> Tensors:
    return list(torch._foreach_add(tensors, others, alpha=factor))


def _clipped(tensors: Tensors, bound: float) -> Tensors:
    return list(torch._foreach_clamp_max(torch._foreach_clamp_min(tensors, -bound), bound))


def decaying(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that decay: MXNet's `*_weight` and `*_gamma`; biases and betas do not."""
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
    found = []
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if parameter.ndim > 1 or (isinstance(owner, norms) and name == "weight"):
                found.append(parameter)
    return found


def mxnet_optimizer(  # noqa: PLR0913 - one keyword per hyperparameter
    name: Name,
    module: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    gamma: float = 0.9,
    epsilon: float = 1e-8,
    rescale: float = 1.0,
    clip: float = math.inf,
    kind: type[MXNetOptimizer] = MXNetOptimizer,
) -> MXNetOptimizer:
    """Return an optimizer over all parameters of a module.

    Args:
        name: Which one.
        module: Its parameters that need a gradient.
        learning_rate: Step size; adadelta has none and ignores it.
        weight_decay: L2 coefficient, on weights and scales of normalisations only.
        momentum: Of sgd and nag.
        beta_1: Of adam's mean; below 1.
        beta_2: Of adam's squares.
        gamma: Of rmsprop's squares.
        epsilon: Of adam and rmsprop; the other two have their own.
        rescale: What gradients are multiplied by first.
        clip: The largest absolute value of a component of a gradient.
        kind: The class, e.g. `row_updates.RowOptimizer` for tables with sparse gradients.
    """
    decayed = {id(one) for one in decaying(module)}
    parameters = [one for one in module.parameters() if one.requires_grad]
    # in one order with decay and without, so that a job with it can go on from one without
    parts = [
        [one for one in parameters if (id(one) in decayed) == decays] for decays in (True, False)
    ]
    if weight_decay == 0:
        parts = [[*parts[0], *parts[1]], []]  # one group: one pass over all
    groups = [
        {"params": parts[0], "weight_decay": weight_decay},
        {"params": parts[1], "weight_decay": 0.0},
    ]
    return kind(
        [group for group in groups if group["params"]],
        name,
        lr=learning_rate,
        momentum=momentum,
        beta_1=beta_1,
        beta_2=beta_2,
        gamma=gamma,
        epsilon=epsilon,
        rescale=rescale,
        clip=clip,
    )
