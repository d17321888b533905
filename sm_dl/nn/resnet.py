"""Residual networks of eleven depths, as classifiers, or as backbones of detection and segmentation.

Paper: He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2016, arXiv:1512.03385.

Shape letters in this file: B = images, C = channels, H, W = pixels.

Names of layers are torchvision's: its `state_dict` of the same depth loads by name, less `fc`.
"""

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import relu

from sm_dl.nn.residual import BottleneckUnit, PlainUnit, convolution

Unit = PlainUnit | BottleneckUnit

LARGE: dict[int, tuple[type[Unit], tuple[int, ...]]] = {
    18: (PlainUnit, (2, 2, 2, 2)),
    34: (PlainUnit, (3, 4, 6, 3)),
    50: (BottleneckUnit, (3, 4, 6, 3)),
    101: (BottleneckUnit, (3, 4, 23, 3)),
    152: (BottleneckUnit, (3, 8, 36, 3)),
    200: (BottleneckUnit, (3, 24, 36, 3)),
}
"""Units of each stage by depth (table 1; 200: arXiv:1603.05027)."""
SMALL = (20, 32, 44, 56, 110)
"""Depths of three stages of (depth - 2) / 6 plain units (section 4.2)."""
DEPTHS = (*LARGE, *SMALL)
LARGE_WIDTHS, SMALL_WIDTHS = (64, 128, 256, 512), (16, 32, 64)
SMALL_STEM_HEIGHT_PX = 32
"""Images up to this height get a 3 x 3 stem without pooling (the service's table)."""
NATIVE_STRIDE = 32
DILATIONS = {
    32: (1, 1, 1, 1),
    16: (1, 1, 1, 2),
    8: (1, 1, 2, 4),
}
"""Dilation of each stage by output stride: a stage that does not halve its input looks further."""


@dataclass(frozen=True)
class ResNetShape:
    """Everything that decides the shape of a ResNet's weights, and its stride."""

    num_layers: int
    num_channels: int = 3
    """Of the images: 3 for RGB, 1 for grey."""
    has_small_stem: bool = False
    """A 3 x 3 convolution of stride 1 instead of 7 x 7 of stride 2 and pooling."""
    output_stride: int = NATIVE_STRIDE
    """Pixels of the image per pixel of the last stage; 8 and 16 for segmentation, large stem only."""

    @classmethod
    def of_image(cls, num_layers: int, image_shape: tuple[int, int, int]) -> "ResNetShape":
        """Return the shape for images of (channels, height, width): the depth picks the family.

        Differs from the service: there the height picks the family, and other depths are errors.
        """
        channels, height, _ = image_shape
        return cls(num_layers, channels, has_small_stem=height <= SMALL_STEM_HEIGHT_PX)

    @property
    def is_small(self) -> bool:
        """Return whether it is of the family with three narrow stages."""
        return self.num_layers in SMALL

    @property
    def widths(self) -> tuple[int, ...]:
        """Return the width of each stage, before the bottleneck's expansion."""
        return SMALL_WIDTHS if self.is_small else LARGE_WIDTHS

    @property
    def stages(self) -> tuple[type[Unit], tuple[int, ...]]:
        """Return the kind of unit, and how many of them each stage has."""
        if self.is_small:
            return PlainUnit, ((self.num_layers - 2) // 6,) * len(SMALL_WIDTHS)
        return LARGE[self.num_layers]

    def last_strided_width_px(self, width_px: int) -> int:
        """Return the width of what the last convolution of stride 2 sees, of images so wide."""
        _, counts = self.stages
        halvings_before = len(counts) - 2 + (0 if self.has_small_stem else 2)
        return math.ceil(width_px / (1 << halvings_before))

    @property
    def stage_channels(self) -> tuple[int, ...]:
        """Return the channels that each stage ends with."""
        unit, _ = self.stages
        return tuple(width * unit.expansion for width in self.widths)


class ResNet(nn.Module):
    """Stem and stages; `fc` belongs to those who classify."""

    def __init__(self, shape: ResNetShape) -> None:
        """Make a network with fresh weights (see `initialise`)."""
        super().__init__()
        self.shape = shape
        width = shape.widths[0]
        if shape.has_small_stem:
            self.conv1 = convolution(shape.num_channels, width, 3)
        else:
            self.conv1 = convolution(shape.num_channels, width, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(width)
        unit, counts = shape.stages
        dilations = DILATIONS[shape.output_stride]
        num_in, before = width, 1
        self.stage_names = tuple(f"layer{number}" for number in range(1, len(counts) + 1))
        for index, (name, count) in enumerate(zip(self.stage_names, counts, strict=True)):
            dilation = dilations[index] if len(counts) == len(dilations) else 1
            stride = 1 if index == 0 or dilation > 1 else 2
            # the first unit still sees what the stage before it saw
            units: list[nn.Module] = [unit(num_in, shape.widths[index], stride, before)]
            num_in, before = shape.stage_channels[index], dilation
            units += [
                unit(num_in, shape.widths[index], dilation=dilation) for _ in range(count - 1)
            ]
            self.add_module(name, nn.Sequential(*units))
        initialise(self)

    def stem(self, images_BCHW: Tensor) -> Tensor:
        """Return what the first stage sees: a quarter of height and width, or all of a small one."""
        hidden = self.bn1(self.conv1(images_BCHW))
        if not self.shape.has_small_stem:  # the largest before the ReLU: a quarter is left for it
            hidden = nn.functional.max_pool2d(hidden, 3, stride=2, padding=1)
        return relu(hidden, inplace=True)

    def stages(self, images_BCHW: Tensor) -> list[Tensor]:
        """Return the output of every stage, shapes (B, C, H, W) of its own, the deepest last."""
        outputs = [self.stem(images_BCHW)]
        for name in self.stage_names:
            outputs.append(self.get_submodule(name)(outputs[-1]))
        return outputs[1:]

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the output of the last stage, shape (B, C, H / stride, W / stride)."""
        return self.stages(images_BCHW)[-1]


def initialise(network: nn.Module) -> None:
    """Draw weights as the service does: Xavier, Gaussian, fan-in, magnitude 2.

    The deviation is sqrt(2 / fan-in), so that the variance survives a ReLU (He et al., 2015,
    arXiv:1502.01852, equation 10). Batch norms start at 1 and 0, biases at 0.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, std=math.sqrt(2 / module.weight[0].numel()))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
