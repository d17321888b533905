"""What a model must know beside its weights, as `model.json` keeps it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sm_dl.algorithms.image_classification.hyperparameters import (
    DEPTHS,
    MAX_CLASSES,
    MAX_SIDE_PX,
)
from sm_dl.nn.resnet import ResNetShape


@dataclass(frozen=True)
class ModelFacts:
    """The shape of a classifier, and what its answers mean."""

    num_layers: int
    image_shape: tuple[int, int, int]
    """Channels, height, width."""
    num_classes: int
    is_multi_label: bool = False
    resize: int | None = None
    """What the shorter side of an image was brought to in training, in pixels."""
    class_names: tuple[str, ...] = ()
    """In the order of the probabilities; empty where nobody named them."""

    @property
    def network_shape(self) -> ResNetShape:
        """Return the shape of the network."""
        return ResNetShape.of_image(self.num_layers, self.image_shape)

    def as_json(self) -> dict[str, object]:
        """Return what `model.json` keeps."""
        return {
            **asdict(self),
            "image_shape": list(self.image_shape),
            "class_names": list(self.class_names),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ModelFacts":
        """Return what `model.json` kept.

        Raises:
            KeyError, TypeError, ValueError: No training run writes such facts.
        """
        channels, height, width = (int(number) for number in values["image_shape"])
        resize = values["resize"]
        facts = cls(
            num_layers=int(values["num_layers"]),
            image_shape=(channels, height, width),
            num_classes=int(values["num_classes"]),
            is_multi_label=bool(values["is_multi_label"]),
            resize=None if resize is None else int(resize),
            class_names=tuple(str(name) for name in values["class_names"]),
        )
        if facts.num_layers not in DEPTHS:
            raise ValueError(f"no network has {facts.num_layers} layers")
        if (
            channels not in (1, 3)
            or not 0 < min(height, width) <= max(height, width) <= MAX_SIDE_PX
        ):
            raise ValueError("image_shape is out of range")
        if not 0 < facts.num_classes <= MAX_CLASSES or (resize is not None and int(resize) < 1):
            raise ValueError("num_classes or resize is out of range")
        if len(facts.class_names) not in (0, facts.num_classes):
            raise ValueError("class_names are not as many as num_classes")
        return facts
