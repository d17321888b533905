"""What every series must have in common with the rest, in training and in requests (spec section 3)."""

from collections.abc import Sequence

import numpy as np

from sm_dl.algorithms.deepar.series import Series
from sm_dl.errors import UserError


def check_cat(series: Series, cardinality: Sequence[int]) -> None:
    """Refuse a series whose categories are not of the given sizes.

    Raises:
        UserError: `cat` is absent, of another length, or holds a category that does not exist.
    """
    if not cardinality:
        return
    cat = series.cat_C
    if cat is None or len(cat) != len(cardinality):
        got = "none" if cat is None else str(list(cat))
        raise UserError(
            f"{series.place}: cat: expected {len(cardinality)} categories as in the rest of the data; got {got}."
        )
    for index, (value, size) in enumerate(zip(cat, cardinality, strict=True)):
        if value >= size:
            raise UserError(
                f"{series.place}: cat[{index}]: expected 0 to {size - 1}; got {value}. "
                f"Categories must occur in training, and fit cardinality={list(cardinality)}."
            )


def check_dynamic(series: Series, num_dynamic: int, lengths: Sequence[int], rule: str) -> None:
    """Refuse a series without the given number of features of one of the given lengths.

    Raises:
        UserError: `dynamic_feat` is absent, of another number or of another length.
    """
    if not num_dynamic:
        return
    features = series.dynamic_DT
    if features is None or len(features) != num_dynamic:
        got = "none" if features is None else str(len(features))
        raise UserError(
            f"{series.place}: dynamic_feat: expected {num_dynamic} lists as in the rest of the data; got {got}."
        )
    if features.shape[1] not in lengths:
        raise UserError(
            f"{series.place}: dynamic_feat: expected lists of {rule}, that is "
            f"{' or '.join(str(length) for length in lengths)} values; got {features.shape[1]}."
        )


def check_target(series: Series, likelihood: str) -> None:
    """Refuse values that the likelihood cannot give.

    Raises:
        UserError: A value is out of [0, 1] for beta, or no count for negative-binomial.
    """
    target = series.target_T[~np.isnan(series.target_T)]
    if likelihood == "beta":
        wrong, expected = (target < 0) | (target > 1), "values in [0, 1]"
    elif likelihood == "negative-binomial":
        wrong, expected = (target < 0) | (target != np.floor(target)), "non-negative integers"
    else:
        return
    if wrong.any():
        raise UserError(
            f"{series.place}: target: likelihood {likelihood} expects {expected}; "
            f"got {float(target[wrong][0])}. Choose another likelihood or scale the data."
        )
