"""Batch norms of a trained network, made part of the convolutions before them."""

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module) -> None:
    """Fold each batch norm whose owner calls it right after a convolution; in evaluation mode only.

    In evaluation a batch norm is one factor and one summand a channel, which the convolution can
    have in its weights. What is saved is a pass over all pixels for each of them.

    Args:
        network: Changed in place: such a batch norm becomes the identity. Its modules must be
            registered in the order in which they are called, as those of torchvision are.
    """
    for owner in list(network.modules()):
        for (name, before), (follower, behind) in pairwise(list(owner.named_children())):
            if isinstance(before, nn.Conv2d) and isinstance(behind, nn.BatchNorm2d):
                setattr(owner, name, fuse_conv_bn_eval(before, behind))
                setattr(owner, follower, nn.Identity())
