"""Residual units (He et al., 2016, arXiv:1512.03385, section 3.3), post-activation.

Shape letters in this file: B = images, C = channels in, D = channels out, H, W = pixels.

The names of the layers and their order are torchvision's, so that its published weights fit.

Differs from the service: its units are pre-activation ("v2", arXiv:1603.05027), for which nobody
publishes weights in an open format; torchvision's fit these.
"""

from torch import Tensor, nn
from torch.nn.functional import relu


def convolution(
    num_in: int, num_out: int, side: int, stride: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """Return a convolution that keeps height and width at stride 1; it has no bias, a batch norm follows."""
    padding = dilation * (side // 2)
    return nn.Conv2d(
        num_in, num_out, side, stride=stride, padding=padding, dilation=dilation, bias=False
    )


def shortcut(num_in: int, num_out: int, stride: int) -> nn.Sequential | None:
    """Return the projection of a shortcut whose ends differ in shape (option B), else None."""
    if stride == 1 and num_in == num_out:
        return None
    return nn.Sequential(convolution(num_in, num_out, 1, stride), nn.BatchNorm2d(num_out))


class PlainUnit(nn.Module):
    """Two 3 x 3 convolutions, added to their input (figure 5, left)."""

    expansion = 1

    def __init__(self, num_in: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        """Make a unit from `num_in` to `width` channels."""
        super().__init__()
        self.conv1 = convolution(num_in, width, 3, stride, dilation)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, dilation=dilation)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(num_in, width, stride)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return shape (B, D, H / stride, W / stride)."""
        identity = images_BCHW if self.downsample is None else self.downsample(images_BCHW)
        hidden = relu(self.bn1(self.conv1(images_BCHW)), inplace=True)
        return relu(self.bn2(self.conv2(hidden)).add_(identity), inplace=True)


class BottleneckUnit(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions, added to their input (figure 5, right).

    Differs from the paper: the stride sits on the 3 x 3 convolution, as in torchvision ("v1.5").
    """

    expansion = 4

    def __init__(self, num_in: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        """Make a unit from `num_in` to 4 * `width` channels."""
        super().__init__()
        num_out = width * self.expansion
        self.conv1 = convolution(num_in, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, stride, dilation)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolution(width, num_out, 1)
        self.bn3 = nn.BatchNorm2d(num_out)
        self.downsample = shortcut(num_in, num_out, stride)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return shape (B, D, H / stride, W / stride)."""
        identity = images_BCHW if self.downsample is None else self.downsample(images_BCHW)
        hidden = relu(self.bn1(self.conv1(images_BCHW)), inplace=True)
        hidden = relu(self.bn2(self.conv2(hidden)), inplace=True)
        return relu(self.bn3(self.conv3(hidden)).add_(identity), inplace=True)
