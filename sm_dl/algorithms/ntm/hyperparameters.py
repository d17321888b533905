"""The 15 hyperparameters of the neural topic model, under the service's names and with its ranges."""

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from sm_dl.contract.hyperparameters import Hyperparameters, hyperparameter, json_list

MAX_LAYER = 1_000_000
INFINITY = frozenset({"inf", "infinity", "+inf", "+infinity"})


def _clip(value: object) -> object:
    """Return the one spelling of infinity that the service prints."""
    if isinstance(value, str) and value.strip().lower() in INFINITY:
        return "Inf"
    return "Inf" if isinstance(value, float) and value == math.inf else value


def _layers(value: object) -> object:
    """Return a list: the service takes `60,40`, its Python client sends `[60, 40]`."""
    if value == "auto":
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return [value]
    if isinstance(value, str) and not value.lstrip().startswith("["):
        value = f"[{value}]"
    return json_list(value)


Layer = Annotated[int, Field(ge=1, le=MAX_LAYER)]


class NTMHyperparameters(Hyperparameters):
    """What one topic model job can be told (AWS developer guide; spec section 4)."""

    feature_dim: int = hyperparameter(ge=1, le=1_000_000)
    """Words of the vocabulary: length of a dense row, bound of sparse keys."""
    num_topics: int = hyperparameter(ge=2, le=1000)
    """Topics to learn."""
    batch_norm: bool = hyperparameter(default=False)
    """Batch normalisation after each linear map of the encoder, before its activation."""
    clip_gradient: Annotated[
        Literal["Inf"] | Annotated[float, Field(ge=1e-3)], BeforeValidator(_clip)
    ] = hyperparameter(default="Inf", expected="a number >= 0.001, or Inf for no limit")
    """Each component of the gradient is kept within plus and minus this value; Inf is no limit."""
    encoder_layers: Annotated[
        Literal["auto"] | Annotated[tuple[Layer, ...], Field(min_length=1)],
        BeforeValidator(_layers),
    ] = hyperparameter(
        default="auto",
        expected="auto, or positive integers separated by commas such as 60,40",
    )
    """Sizes of the encoder's layers in order. `auto`: two, of three and two times num_topics."""
    encoder_layers_activation: Literal["sigmoid", "tanh", "relu"] = hyperparameter(
        default="sigmoid", tune=("sigmoid", "tanh", "relu")
    )
    """Activation of the encoder's layers."""
    epochs: int = hyperparameter(default=50, ge=1)
    """Upper bound on epochs."""
    learning_rate: float = hyperparameter(default=0.001, ge=1e-6, le=1, tune=(1e-4, 0.1))
    """Step size; adadelta, the default optimizer, has none and ignores it, as in the service."""
    mini_batch_size: int = hyperparameter(default=256, ge=1, le=10_000, tune=(16, 2048))
    """Documents per update and per machine; the processes of a machine share them."""
    num_patience_epochs: int = hyperparameter(default=3, ge=1)
    """Early stopping compares with the best of so many epochs before, and ends training at more than
    so many bad epochs. Above `epochs` it never ends training."""
    optimizer: Literal["sgd", "adam", "adagrad", "adadelta", "rmsprop"] = hyperparameter(
        default="adadelta", tune=("sgd", "adam", "adadelta")
    )
    """Update rule, as MXNet 1.3 has it."""
    rescale_gradient: float = hyperparameter(default=1.0, ge=1e-3, le=1, tune=(0.1, 1.0))
    """Factor on the gradient, before it is clipped."""
    sub_sample: float = hyperparameter(default=1.0, gt=0, le=1)
    """Share of the training documents that each epoch draws at random."""
    tolerance: float = hyperparameter(default=0.001, ge=1e-6, le=0.1)
    """An epoch is bad when its loss is not lower by so much than the best of the window before;
    an absolute difference."""
    weight_decay: float = hyperparameter(default=0.0, ge=0, le=1, tune=(0.0, 1.0))
    """L2 coefficient of weights; biases are free. With adadelta it is scaled by no rate."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Return the sizes of the encoder's layers."""
        if self.encoder_layers == "auto":
            return (3 * self.num_topics, 2 * self.num_topics)
        return tuple(self.encoder_layers)
