"""Tensors of an artifact, as safetensors: data, never code."""

from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sm_dl.errors import PlatformError, UserError
from sm_dl.files import renamed_when_done

FILE_NAME = "weights.safetensors"


def write_weights(folder: Path, network: nn.Module) -> None:
    """Write the network's state, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    with renamed_when_done(folder / FILE_NAME) as temporary:
        try:
            save_file(state, temporary)
        except safetensors.SafetensorError as error:
            raise PlatformError(f"{folder / FILE_NAME}: cannot be written; {error}") from None


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
    for name, tensor in state.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(
                f"{path}: {name} holds a value that is not finite; train the model again."
            )
