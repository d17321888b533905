"""Convolutions of a network that only predicts, on a CPU: laid out once, and with what follows in them.

A convolution reorders its weights for oneDNN's kernels in every call, and its result is written, read
for the sum with the shortcut, written, and read for the ReLU. Packed ones have their weights in the
kernel's order, and add and cut off before they write: what torch's own compiler makes of such
networks, without the minute and the C++ compiler that it asks for.

Shape letters in this file: B = images, C = channels in, D = channels out, H, W = pixels.
"""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from sm_dl.nn.residual import BottleneckUnit, PlainUnit

KERNELS = torch.ops.mkldnn
"""oneDNN's, with what may follow a convolution; torch's compiler calls them, no public function does."""
Sizes = Mapping[nn.Module, list[int]]
"""What each convolution is given, shape (B, C, H, W)."""


def can_pack() -> bool:
    """Return whether this torch has the kernels."""
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return has_onednn and hasattr(KERNELS, "_convolution_pointwise")


@torch.inference_mode()
def pack(network: nn.Module, images_BCHW: Tensor) -> None:
    """Pack the convolutions of a network on the CPU, whose batch norms are folded into them.

    Args:
        network: Changed in place, for good: it can neither be trained nor saved any more. A packed unit
            whose shortcut is its input writes its output there, so nobody else may read that.
        images_BCHW: One of those to come: others of other sizes are possible, but not as fast.
    """
    sizes = _sizes(network, images_BCHW)
    for owner in list(network.modules()):
        for name, child in list(owner.named_children()):
            if isinstance(child, PlainUnit | BottleneckUnit):
                setattr(owner, name, PackedUnit(child, sizes))
    for owner in list(network.modules()):
        for name, child in list(owner.named_children()):
            if isinstance(child, nn.Conv2d):
                setattr(owner, name, PackedConvolution(child, sizes))


def _sizes(network: nn.Module, images_BCHW: Tensor) -> Sizes:
    """Return what the convolutions of a network are given with these images."""
    sizes: dict[nn.Module, list[int]] = {}

    def remember(convolution: nn.Module, given: tuple[Tensor]) -> None:
        sizes[convolution] = list(given[0].shape)

    hooks = [
        one.register_forward_pre_hook(remember)
        for one in network.modules()
        if isinstance(one, nn.Conv2d)
    ]
    network(images_BCHW)
    for hook in hooks:
        hook.remove()
    return sizes


class PackedConvolution(nn.Module):
    """A convolution with a bias, and what may follow it."""

    def __init__(self, convolution: nn.Conv2d, sizes: Sizes) -> None:
        """Lay out the weights of a convolution for what it is given."""
        super().__init__()
        self._dtype = convolution.weight.dtype
        self._geometry = (
            [
                *cast("tuple[int, ...]", convolution.padding)
            ],  # a text ("same") in none of our networks
            [*convolution.stride],
            [*convolution.dilation],
            convolution.groups,
        )
        self._weight = KERNELS._reorder_convolution_weight(  # noqa: SLF001
            convolution.weight.detach(), *self._geometry, sizes[convolution]
        )
        self._bias = None if convolution.bias is None else convolution.bias.detach()

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return shape (B, D, H / stride, W / stride), of the weights' type."""
        return self._followed_by("none", images_BCHW)

    def relu(self, images_BCHW: Tensor) -> Tensor:
        """Return max(0, the same)."""
        return self._followed_by("relu", images_BCHW)

    def _followed_by(self, last: str, images_BCHW: Tensor) -> Tensor:
        images_BCHW = images_BCHW.to(self._dtype, memory_format=torch.channels_last)
        convolved: Tensor = KERNELS._convolution_pointwise(  # noqa: SLF001
            images_BCHW, self._weight, self._bias, *self._geometry, last, [], ""
        )
        return convolved

    def add_relu_(self, images_BCHW: Tensor, others_BDHW: Tensor) -> Tensor:
        """Return max(0, the same + others), in the memory of the others."""
        total: Tensor = KERNELS._convolution_pointwise_.binary(
            others_BDHW, images_BCHW, self._weight, self._bias, *self._geometry,
            "add", 1.0, "relu", [], "",
        )  # fmt: skip
        return total


class PackedUnit(nn.Module):
    """A residual unit: a ReLU after each convolution, after the last one's sum with the shortcut."""

    def __init__(self, unit: PlainUnit | BottleneckUnit, sizes: Sizes) -> None:
        """Pack the convolutions of a unit without batch norms."""
        super().__init__()
        own = [one for one in unit.children() if isinstance(one, nn.Conv2d)]
        *first, last = [PackedConvolution(one, sizes) for one in own]
        self.first, self.last = first, last  # no list of modules: it would forget their type
        self.shortcut = None
        if unit.downsample is not None:
            (projection,) = [one for one in unit.downsample if isinstance(one, nn.Conv2d)]
            self.shortcut = PackedConvolution(projection, sizes)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return shape (B, D, H / stride, W / stride)."""
        identity = images_BCHW if self.shortcut is None else self.shortcut(images_BCHW)
        hidden = images_BCHW
        for convolution in self.first:
            hidden = convolution.relu(hidden)
        return self.last.add_relu_(hidden, identity)
