"""What a pair must be like, one record at a time, with a sentence for each thing that may be wrong."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sm_dl.algorithms.object2vec.hyperparameters import Object2VecHyperparameters
from sm_dl.algorithms.object2vec.sides import Side
from sm_dl.errors import UserError, shown

MAX_SCORE = 1e16
"""The squared errors of the largest batch, 10,000 times (2e16)^2, still sum to a float32, and so do the
squares of its gradients."""


@dataclass(frozen=True)
class Rules:
    """What the pairs of a job must be like."""

    sides: tuple[Side, Side]
    num_classes: int | None
    """None where a score is learnt."""

    @classmethod
    def of(cls, hyperparameters: Object2VecHyperparameters, sides: tuple[Side, Side]) -> "Rules":
        """Return the rules of a job."""
        is_softmax = hyperparameters.output_layer == "softmax"
        return cls(sides, hyperparameters.num_classes if is_softmax else None)

    def are_labels(self, labels: npt.NDArray[np.float64]) -> bool:
        """Return whether each number is a label."""
        if self.num_classes is None:
            return bool((np.abs(labels) <= MAX_SCORE).all())
        return bool(np.isin(labels, np.arange(self.num_classes)).all())


def check_record(record: Mapping[str, object], place: str, rules: Rules) -> None:
    """Refuse a record that is no labelled pair.

    Raises:
        UserError: A field is missing or wrong.
    """
    for side in rules.sides:
        check_sequence(record.get(side.field), place, side)
    label = record.get("label")
    if isinstance(label, int | float) and not isinstance(label, bool):
        number = float(label) if abs(label) <= MAX_SCORE else np.inf
        if rules.are_labels(np.array([number])):
            return
    if rules.num_classes is None:
        raise UserError(
            f"{place}: label: expected a finite number of at most {MAX_SCORE:g}; got {_got(label)}."
        )
    raise UserError(
        f"{place}: label: expected a whole number from 0 to {rules.num_classes - 1}; got {_got(label)}. "
        "Set num_classes to the number of classes, or output_layer=mean_squared_error to learn a score."
    )


def check_sequence(value: object, place: str, side: Side) -> None:
    """Refuse what is no list of token ids of a side.

    Raises:
        UserError: It is missing, no list, empty, or holds what is no token.
    """
    if not isinstance(value, list) or not value:
        wish = "; write a single token as [10]" if isinstance(value, int) else ""
        raise UserError(
            f"{place}: {side.field}: expected a list of at least one token id; got {_got(value)}{wish}."
        )
    for index, token in enumerate(value):
        if type(token) is not int or token < 0:
            raise UserError(
                f"{place}: {side.field}[{index}]: expected a token id, an integer from 0 to "
                f"{side.vocab_size - 1}; got {shown(token)}."
            )
        if token >= side.vocab_size:
            raise UserError(
                f'{place}: Inconsistent vocab for {side.field} found. Vocab id "{token}" is not less than '
                f"vocab_size={side.vocab_size}. Raise enc{side.field[-1]}_vocab_size, or correct the id."
            )


def _got(value: object) -> str:
    return "nothing" if value is None else shown(value)
