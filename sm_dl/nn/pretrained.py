"""Weights that somebody else trained: found by name, read as data, fitted by name and shape.

They come from a file that the job names, from a folder of the image, or from torchvision's server.
A file is never executed: safetensors holds tensors alone, and pickles are read by torch's reader
that builds nothing but tensors and plain containers.
"""

import logging
import os
import pickle
import socket
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sm_dl.errors import UserError, shown

logger = logging.getLogger(__name__)

State = dict[str, Tensor]

FOLDER_VARIABLE = "SM_DL_WEIGHTS"
"""Names a folder of the image with files such as `resnet50.safetensors` or `resnet50.pth`."""
SERVER = "https://download.pytorch.org/models"
FILES = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-0676ba61.pth",
    "resnet101": "resnet101-63fe2227.pth",
    "resnet152": "resnet152-394f9c45.pth",
}
"""torchvision's IMAGENET1K_V1. Its newer ones classify better, but what was trained with soft labels
transfers worse (Kornblith et al., 2021, arXiv:2010.16402); the name holds the file's checksum."""
SUFFIXES = (".safetensors", ".pth")
TIMEOUT_S = 30.0
WRAPPERS = ("state_dict", "model")
"""Keys under which training scripts keep the weights among other things."""
PREFIX = "module."
"""Put before each name by data-parallel wrappers."""
UNREADABLE = (
    OSError, EOFError, RuntimeError, ValueError, KeyError, AttributeError, TypeError, IndexError,
    pickle.UnpicklingError, safetensors.SafetensorError,
)  # fmt: skip


def imagenet_file(name: str, given: Path | None) -> Path:
    """Return the file of ImageNet weights of a network, fetched if nobody has brought one.

    Args:
        name: E.g. `resnet50`.
        given: The file that the job names.
    Raises:
        UserError: There is none, in none of the three places.
    """
    if given is not None:
        if not given.is_file():
            raise UserError(f"resources weights: expected a file with weights; got {given}.")
        return given
    folder = os.environ.get(FOLDER_VARIABLE, "").strip()
    for suffix in SUFFIXES if folder else ():
        if (path := Path(folder) / f"{name}{suffix}").is_file():
            return path
    where = f"{folder} holds no {name}.safetensors or {name}.pth" if folder else "it is not set"
    return _from_server(name, f"environment variable {FOLDER_VARIABLE}: {where}")


def _from_server(name: str, why_not_local: str) -> Path:
    """Return torchvision's file, from torch hub's cache or else from the server."""
    cure = "Name a local file: resources.weights (--set resources.weights=FILE)."
    if name not in FILES:
        raise UserError(
            f"hyperparameter use_pretrained_model: nobody publishes weights of {name}, and none are "
            f"here ({why_not_local}). {cure}"
        )
    path = Path(torch.hub.get_dir()) / "checkpoints" / FILES[name]
    if path.is_file():
        return path
    url = f"{SERVER}/{FILES[name]}"
    logger.info("Fetching %s", url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _patience(TIMEOUT_S):
            checksum = path.stem.rpartition("-")[2]
            torch.hub.download_url_to_file(url, str(path), hash_prefix=checksum, progress=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"hyperparameter use_pretrained_model: no weights of {name} are here ({why_not_local}), "
            f"and {url} cannot be fetched ({shown(str(error))}). {cure}"
        ) from None
    return path


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Let connections wait so long, since torch's own download waits for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def read_state(path: Path) -> State:
    """Return the tensors of a file of weights, by name.

    Raises:
        UserError: It is no such file, is damaged, or would execute code.
    """
    try:
        with path.open("rb") as file:
            is_safetensors = file.read(9)[8:] == b"{"
        if is_safetensors:
            return load_file(path)
        with warnings.catch_warnings(
            action="ignore"
        ):  # of pickle protocols, which are read all the same
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:160]
        raise UserError(
            f"{path}: expected weights as safetensors or as torch.save wrote a state_dict; it is "
            f"damaged, another kind of file, or holds more than tensors ({reason})."
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path}: expected tensors by name; got {type(content).__name__}.")
    odd = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if odd:
        raise UserError(f"{path}: expected tensors by name; {shown(odd[0])} is none.")
    return {str(name).removeprefix(PREFIX): value for name, value in content.items()}


def fit_state(
    network: nn.Module,
    state: Mapping[str, Tensor],
    *,
    place: str,
    kind: str,
    new: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> None:
    """Load weights into a network, by name.

    Args:
        network: Gets them.
        state: The weights.
        place: What to call their file in an error.
        kind: What they should be, e.g. "ResNet-50".
        new: Beginnings of names that keep the network's own weights: the layers of other classes.
        optional: Beginnings of names that may be absent.
    Raises:
        UserError: They are those of another network; the first difference is named.
    """
    own = network.state_dict()
    wanted = {name: tensor for name, tensor in own.items() if not name.startswith(tuple(new))}
    for name, tensor in wanted.items():
        found = state.get(name)
        if found is None:
            if name.startswith(tuple(optional)) or name.endswith("num_batches_tracked"):
                continue
            raise UserError(
                f"{place}: expected the weights of {kind}, with {name} of shape "
                f"{tuple(tensor.shape)}; got none of this name. It is a file of another network."
            )
        if found.shape != tensor.shape:
            raise UserError(
                f"{place}: expected the weights of {kind}, with {name} of shape "
                f"{tuple(tensor.shape)}; got {tuple(found.shape)}. It is a file of another network."
            )
        if found.is_floating_point() and not torch.isfinite(found).all():
            raise UserError(f"{place}: {name} holds a value that is not finite.")
    for name in state:
        if name not in own and not name.startswith(tuple(new)):
            raise UserError(
                f"{place}: expected the weights of {kind}; got {shown(name)} besides. It is a file of "
                "another network."
            )
    network.load_state_dict({name: state[name] for name in wanted if name in state}, strict=False)
