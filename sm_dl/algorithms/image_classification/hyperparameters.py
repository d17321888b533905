"""The 29 hyperparameters of image classification, under the service's names and with its ranges."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from sm_dl.contract.hyperparameters import Hyperparameters, hyperparameter

MAX_SIDE_PX = 10_000
MAX_CLASSES = 1_000_000
"""What a job may ask for, and a model that is loaded may say."""
DEPTHS = (18, 34, 50, 101, 152, 200, 20, 32, 44, 56, 110)
AUGMENTATIONS = ("crop", "crop_color", "crop_color_transform")
Augmentation = Literal["crop", "crop_color", "crop_color_transform"]


def _joined(value: object) -> object:
    """Return the service's spelling of a native list or number."""
    if isinstance(value, list | tuple) or (isinstance(value, int) and not isinstance(value, bool)):
        return ",".join(map(str, value if isinstance(value, list | tuple) else [value]))
    return value


def _positive_integers(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise ValueError("not whole numbers with commas between them")
    numbers = tuple(int(part) for part in parts)
    if min(numbers) < 1 or max(numbers) > 1_000_000:
        raise ValueError("a number is out of range")
    return numbers


def _shape(text: str) -> str:
    numbers = _positive_integers(text)
    if len(numbers) != 3:
        raise ValueError(f"{len(numbers)} numbers")
    if numbers[0] not in (1, 3):
        raise ValueError("images have 3 channels (RGB) or 1 (grey)")
    if max(numbers) > MAX_SIDE_PX:
        raise ValueError(f"a side is above {MAX_SIDE_PX} pixels")
    return ",".join(map(str, numbers))


def _epochs(text: str) -> str:
    numbers = _positive_integers(text)
    if sorted(set(numbers)) != list(numbers):
        raise ValueError("the epochs do not rise")
    return ",".join(map(str, numbers))  # the guide shows "10, 20", the service's pattern no blank


def _depth(value: int) -> int:
    if value not in DEPTHS:
        raise ValueError("no such network")
    return value


class ImageClassificationHyperparameters(Hyperparameters):
    """What one image classification job can be told (AWS developer guide; spec section 4)."""

    num_classes: int = hyperparameter(ge=1, le=MAX_CLASSES)
    """Width of the output layer; labels must lie in 0 to num_classes - 1."""
    num_training_samples: int = hyperparameter(ge=1)
    """Images of the training channel. A wrong number is told and changes nothing: `lr_scheduler_step`
    counts epochs as they are, where the service's counts updates."""
    augmentation_type: Augmentation | None = hyperparameter(default=None)
    """What happens to training images. crop: random crop and mirror; crop_color: also hue, saturation
    and lightness; crop_color_transform: also rotation, shear and aspect ratio. Absent: a centre crop."""
    beta_1: float = hyperparameter(default=0.9, ge=0, le=1, tune=(1e-6, 0.999))
    """Decay of adam's mean; with 1, which the service's range includes, adam cannot train."""
    beta_2: float = hyperparameter(default=0.999, ge=0, le=1, tune=(1e-6, 0.999))
    """Decay of adam's squares; with 1 the step size is 0."""
    checkpoint_frequency: int | None = hyperparameter(default=None, ge=1)
    """Also leave the weights of every epoch that this divides, at most `epochs`, and of the one that
    early stopping ends with. The epoch of the best validation accuracy serves, whichever it is."""
    early_stopping: bool = hyperparameter(default=False)
    """Whether training ends once the validation accuracy no longer rises."""
    early_stopping_min_epochs: int = hyperparameter(default=10, ge=1)
    """Epochs that always run before early stopping may act."""
    early_stopping_patience: int = hyperparameter(default=5, ge=1)
    """Epochs without improvement that early stopping tolerates."""
    early_stopping_tolerance: float = hyperparameter(default=0.0, ge=0, le=1)
    """Smallest gain, relative to the best accuracy so far, that early stopping calls improvement."""
    epochs: int = hyperparameter(default=30, ge=1)
    """Passes over the training images."""
    eps: float = hyperparameter(default=1e-8, ge=0, le=1, tune=(1e-8, 1.0))
    """Constant in the denominator of adam and rmsprop."""
    gamma: float = hyperparameter(default=0.9, ge=0, le=1, tune=(1e-8, 0.999))
    """Decay of rmsprop's squares."""
    image_shape: Annotated[str, BeforeValidator(_joined), AfterValidator(_shape)] = hyperparameter(
        default="3,224,224",
        expected="channels (3 or 1), height and width in pixels with commas between them, such as "
        f"3,224,224, no side above {MAX_SIDE_PX}",
    )
    """Channels, height and width of what the network sees. Pretrained weights need 3,224,224."""
    kv_store: Literal["dist_sync", "dist_async"] | None = hyperparameter(default=None)
    """How several machines share updates. Both train synchronously here; no effect on one machine."""
    learning_rate: float = hyperparameter(default=0.1, ge=0, le=1, tune=(1e-6, 0.5))
    """Step size at the start."""
    lr_scheduler_factor: float = hyperparameter(default=0.1, ge=0, le=1)
    """What the step size is multiplied by after each epoch of `lr_scheduler_step`."""
    lr_scheduler_step: Annotated[str, BeforeValidator(_joined), AfterValidator(_epochs)] | None = (
        hyperparameter(
            default=None,
            expected="rising numbers of epochs with commas between them, such as 10,20",
        )
    )
    """After how many epochs the step size is multiplied by `lr_scheduler_factor`."""
    mini_batch_size: int = hyperparameter(default=32, ge=1, tune=(8, 512))
    """Images per update and machine, split over the machine's processes."""
    momentum: float = hyperparameter(default=0.9, ge=0, le=1, tune=(0.0, 0.999))
    """Momentum of sgd and nag."""
    multi_label: int = hyperparameter(default=0, ge=0, le=1)
    """1: an image has any number of labels, and each class a probability of its own."""
    num_layers: Annotated[int, AfterValidator(_depth)] = hyperparameter(
        default=152, expected=f"one of {', '.join(map(str, DEPTHS))}"
    )
    """Depth of the ResNet. The last five are meant for images of at most 28 pixels."""
    optimizer: Literal["sgd", "adam", "rmsprop", "nag"] = hyperparameter(
        default="sgd", tune=("sgd", "adam", "rmsprop", "nag")
    )
    """Rule of the updates; nag is Nesterov momentum."""
    precision_dtype: Literal["float32", "float16"] = hyperparameter(default="float32")
    """float16: mixed precision of 16 bits with float32 weights. `resources.precision` wins over it."""
    resize: int | None = hyperparameter(default=None, ge=1)
    """The shorter side of an image is brought to so many pixels before the crop; at least as large
    as `image_shape`. Absent: images are cropped as they are."""
    top_k: int | None = hyperparameter(default=None, ge=2)
    """Also report how often the true class is among the k most probable."""
    use_pretrained_model: int = hyperparameter(default=0, ge=0, le=1)
    """1: start from weights learnt on ImageNet, with a new last layer."""
    use_weighted_loss: int = hyperparameter(default=0, ge=0, le=1)
    """1: in the multi-label loss a class counts more the rarer it is. Only with multi_label=1."""
    weight_decay: float = hyperparameter(default=1e-4, ge=0, le=1, tune=(0.0, 0.999))
    """L2 coefficient, on weights and scales of batch norms."""
    model_prefix: str | None = hyperparameter(default=None, extra=True)
    """Ignored; notebooks of the service set it to an empty string."""
    replace_output_layer: bool = hyperparameter(default=False, extra=True)
    """With a `model` channel: start the last layer anew, so that the classes may be others."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return `image_shape` as numbers: channels, height, width."""
        channels, height, width = map(int, self.image_shape.split(","))
        return channels, height, width

    @property
    def scheduled_epochs(self) -> tuple[int, ...]:
        """Return `lr_scheduler_step` as numbers."""
        return (
            tuple(map(int, (self.lr_scheduler_step or "").split(",")))
            if self.lr_scheduler_step
            else ()
        )
