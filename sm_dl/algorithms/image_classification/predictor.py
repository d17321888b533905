"""A trained classifier: artifact in, probabilities out. Knows no job.

Shape letters in this file: B = images, C = channels, H, W = pixels, K = classes.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from sm_dl.algorithms.image_classification import codec
from sm_dl.algorithms.image_classification.codec import Pixels, Probabilities
from sm_dl.algorithms.image_classification.facts import ModelFacts
from sm_dl.algorithms.image_classification.network import ResNetClassifier
from sm_dl.content_types import IMAGES, JSON, JSON_LINES, MediaType
from sm_dl.data.pixel_budget import pixel_budget
from sm_dl.engine.strategy import hardware
from sm_dl.nn.folding import fold_batch_norms
from sm_dl.nn.packing import can_pack, pack

PIXELS_AT_ONCE = 32 * 224 * 224
"""Of all images of one sweep: more take more memory and gain no speed."""


class ImageClassificationPredictor:
    """Gives each class a probability, for images of any size."""

    request_types: tuple[str, ...] = IMAGES
    answer_types: tuple[str, ...] = (JSON, JSON_LINES)

    def __init__(self, network: ResNetClassifier, facts: ModelFacts) -> None:
        """Take a copy of a trained network for serving, on the GPU when there is one."""
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.facts = facts
        self.network = copy.deepcopy(network).eval()
        fold_batch_norms(self.network)
        self.network.to(self.device).to(memory_format=torch.channels_last)
        self.is_bf16 = hardware().has_bf16
        if self.is_bf16:
            _store_convolutions_in_bf16(self.network)
        if self.device.type == "cpu" and can_pack():
            with self._autocast():
                pack(self.network, torch.zeros(1, *facts.image_shape))
        self.shorter_px: int | None = None
        if codec.is_cropping():
            self.shorter_px = facts.resize or max(facts.image_shape[1:])
        pixel_budget()  # a wrong one is no matter of a request
        self._answer_type = codec.default_answer_type()

    def answer_type_for(self, request_type: str) -> str:  # noqa: ARG002 - the same for every image
        """Return JSON, or JSON Lines in a batch transform."""
        return self._answer_type

    def decode(self, body: bytes, media: MediaType) -> Pixels:  # noqa: ARG002 - the bytes tell more
        """Return the image of a request; see `codec.decode`."""
        return codec.decode(body, self.facts.image_shape, self.shorter_px)

    def weight(self, request: Pixels) -> int:
        """Return the pixels of an image."""
        return int(np.prod(request.shape[1:]))

    @property
    def max_weight(self) -> int:
        """Return the pixels of one sweep."""
        return PIXELS_AT_ONCE

    def predict(self, requests: Sequence[Pixels]) -> list[Probabilities]:
        """Return the probabilities of each image, shape (K,)."""
        at_once = max(1, PIXELS_AT_ONCE // self.weight(requests[0]))
        answers: list[Probabilities] = []
        for begin in range(0, len(requests), at_once):
            images_BCHW = torch.from_numpy(np.stack(requests[begin : begin + at_once]))
            answers += list(self.probabilities(images_BCHW.to(self.device)).cpu().numpy())
        return answers

    def encode(self, answer: Probabilities, media_type: str) -> bytes:
        """Return the response body; see `codec.encode`."""
        return codec.encode(answer, media_type)

    @torch.inference_mode()
    def probabilities(self, images_BCHW: Tensor) -> Tensor:
        """Return probabilities, shape (B, K), of images of 0 to 255 on the device."""
        with self._autocast():
            logits_BK: Tensor = self.network(images_BCHW)
        if self.facts.is_multi_label:
            return logits_BK.float().sigmoid()
        return logits_BK.float().softmax(1)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_bf16)


def _store_convolutions_in_bf16(network: nn.Module) -> None:
    """Round the weights of convolutions once, as autocast else does in each call."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(torch.bfloat16)
