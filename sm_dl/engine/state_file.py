"""A tree of tensors, numbers and texts as one safetensors file with a checksum: data, never code."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load
from torch import Tensor

from sm_dl.artifact.weights import write_tensors

TREE, CHECKSUM = "tree", "sha256"
"""Keys of the file's metadata."""
TENSOR, PAIRS = "$tensor", "$pairs"
"""Marks in the JSON: where a tensor stood, and a mapping whose keys are no texts."""
HEADER_BYTES = 8
"""A safetensors file begins with the length of its JSON header, little-endian."""


class DamagedError(Exception):
    """The bytes are not what was written."""


def write_state(path: Path, tree: Mapping[str, Any]) -> None:
    """Write a tree of mappings, lists, numbers, texts, None and tensors.

    Raises:
        OSError: The disk does not take it.
    """
    tensors: dict[str, Tensor] = {}
    text = json.dumps(_taken_apart(tree, tensors, set()))
    write_tensors(path, tensors, {TREE: text, CHECKSUM: _checksum(text, tensors)})


def state_from_bytes(content: bytes) -> dict[str, Any]:
    """Return the tree that a file of `write_state` holds, its tensors on the CPU.

    Raises:
        DamagedError: It is cut short or altered, or another kind of file.
    """
    try:
        size = int.from_bytes(content[:HEADER_BYTES], "little")
        metadata = json.loads(content[HEADER_BYTES : HEADER_BYTES + size])["__metadata__"]
        tensors = load(content)
        text, expected = metadata[TREE], metadata[CHECKSUM]
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"no whole checkpoint ({type(error).__name__})") from None
    found = _checksum(text, tensors)
    if found != expected:
        raise DamagedError(f"checksum mismatch: expected {expected[:12]}..., got {found[:12]}...")
    tree: dict[str, Any] = _put_together(json.loads(text), tensors)
    return tree


def _taken_apart(value: Any, tensors: dict[str, Tensor], storages: set[int]) -> Any:  # noqa: ANN401 - a tree holds anything
    """Return a tree of JSON values, its tensors moved to `tensors`, each in memory of its own."""
    if isinstance(value, Tensor):
        name = f"{len(tensors):05d}"
        tensor = value.detach().cpu().contiguous()
        storage = tensor.untyped_storage().data_ptr()
        tensors[name] = tensor.clone() if storage in storages else tensor
        storages.add(storage)
        return {TENSOR: name}
    if isinstance(value, Mapping):
        items = [(key, _taken_apart(item, tensors, storages)) for key, item in value.items()]
        return dict(items) if all(isinstance(key, str) for key in value) else {PAIRS: items}
    if isinstance(value, list | tuple):
        return [_taken_apart(item, tensors, storages) for item in value]
    return value


def _put_together(value: Any, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401
    match value:
        case {"$tensor": str(name)}:
            return tensors[name]
        case {"$pairs": list(pairs)}:
            return {key: _put_together(item, tensors) for key, item in pairs}
        case dict():
            return {key: _put_together(item, tensors) for key, item in value.items()}
        case list():
            return [_put_together(item, tensors) for item in value]
    return value


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
