"""The classifier: a ResNet that takes pixels as they are stored, and one linear layer.

Shape letters in this file: B = images, C = channels, H, W = pixels, K = classes.
"""

import torch
from torch import Tensor, nn

from sm_dl.nn.resnet import ResNet, ResNetShape, initialise

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_DEVIATION = (58.395, 57.12, 57.375)
"""Red, green and blue on ImageNet, in units of 0 to 255: what torchvision's weights were trained with."""
GREY_MEAN, GREY_DEVIATION = 117.26, 58.0
"""The same of one grey channel (weights 0.299, 0.587, 0.114)."""
INPUT_EPSILON = 2e-5


class ResNetClassifier(ResNet):
    """Maps images of 0 to 255 to one logit a class.

    The names of the weights are torchvision's, plus `bn_data`: the batch norm that scales the
    input, as the service has it. It starts at ImageNet's mean and deviation, so that torchvision's
    weights see in evaluation what they were trained with, and goes on with those of the data.

    Differs from the service: `bn_data` has no beta. The next batch norm would take it out again,
    and its gradient costs 2 % of a step of ResNet-18. Batch norms have torch's epsilon, 1e-5.
    """

    def __init__(self, shape: ResNetShape, num_classes: int) -> None:
        """Make a network with fresh weights."""
        super().__init__(shape)
        self.num_classes = num_classes
        self.bn_data = nn.BatchNorm2d(shape.num_channels, eps=INPUT_EPSILON, affine=False)
        is_colour = shape.num_channels == len(IMAGENET_MEAN)
        means = IMAGENET_MEAN if is_colour else (GREY_MEAN,) * shape.num_channels
        deviations = IMAGENET_DEVIATION if is_colour else (GREY_DEVIATION,) * shape.num_channels
        self.bn_data.running_mean = torch.tensor(means)
        self.bn_data.running_var = torch.tensor(deviations).square()
        self.fc = nn.Linear(shape.stage_channels[-1], num_classes)
        self.start_output_anew()

    def start_output_anew(self) -> None:
        """Draw the last layer's weights again, for other classes."""
        initialise(self.fc)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return logits, shape (B, K), of images of any number type with values 0 to 255."""
        # a batch norm over so few channels is faster with its channels apart
        apart_BCHW = images_BCHW.to(torch.float32, memory_format=torch.contiguous_format)
        scaled_BCHW = self.bn_data(apart_BCHW)
        features_BC = super().forward(scaled_BCHW).mean((2, 3), dtype=torch.float32)
        with torch.autocast(
            features_BC.device.type, enabled=False
        ):  # probabilities need the digits
            logits_BK: Tensor = self.fc(features_BC)
        return logits_BK
