"""Tensors of an artifact, as safetensors: data, never code."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sm_dl.errors import PlatformError, UserError
from sm_dl.files import renamed_when_done

FILE_NAME = "weights.safetensors"
LEFTOVERS = ".tmp" + 6 * "[0-9A-Za-z]"
"""Files that safetensors writes beside the one it was given, and renames; of a killed process they stay."""


def write_weights(folder: Path, network: nn.Module) -> None:
    """Write the network's state, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    try:
        with renamed_when_done(folder / FILE_NAME) as temporary:
            write_tensors(temporary, state)
    except OSError as error:
        raise PlatformError(
            f"{folder / FILE_NAME}: cannot be written ({error.strerror}); the model needs "
            f"{sum(tensor.nbytes for tensor in state.values())} bytes there. Start the job again with more room."
        ) from None


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write CPU tensors to a file; what a killed process left of one in its folder is removed.

    Raises:
        OSError: The disk does not take it.
    """
    for leftover in path.parent.glob(LEFTOVERS):
        leftover.unlink(missing_ok=True)
    try:
        save_file(dict(tensors), path, None if metadata is None else dict(metadata))
    except safetensors.SafetensorError as error:  # its text ends in the system's error number
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None
    path.chmod(0o644)  # the writer's library makes it private; a server may be another user


def not_finite(state: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor that holds NaN or an infinity, None where none does."""
    for name, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            return name
    return None


def read_weights(folder: Path, network: nn.Module) -> None:
    """Load the weights into a network built for them.

    Raises:
        UserError: The file is absent, damaged, or of another network, or a weight is not finite.
    """
    path = folder / FILE_NAME
    try:
        state = load_file(path)
        network.load_state_dict(state)
    except FileNotFoundError:
        raise UserError(
            f"{path}: is absent; expected the model folder of a finished job."
        ) from None
    except (safetensors.SafetensorError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(
            f"{path}: expected the weights that model.json describes; {reason}"
        ) from None
    lost = not_finite(state)
    if lost is not None:
        raise UserError(f"{path}: {lost} holds a value that is not finite; train the model again.")
