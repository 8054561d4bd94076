"""A nested state, tensors and all, as one file: safetensors, with everything else as JSON in its header. No pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from restore.errors import InputError
from restore.images.atomic import atomic_write_bytes

__all__ = ["read_state", "read_value", "write_state"]

KEY = "restore"


def write_state(path: str | Path, state: Any) -> None:
    """Write a state in the place of an earlier one, whole or not at all.

    Args:
        state: mappings with text or integers as keys, lists, tuples, tensors, numbers, text, None.

    Raises OutputError where the disk does not take it.
    """
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    told = json.dumps(_packed(state, tensors))  # infinities are kept, as no strict JSON could
    atomic_write_bytes(path, save(tensors, {KEY: told}), existing="overwrite")


def read_state(path: str | Path) -> Any:
    """Return the state of a file, its tensors on the CPU and in the layout that they had.

    Raises InputError for a file that is damaged, or none of ours.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            told = json.loads(file.metadata()[KEY])
            return _unpacked(told, file)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{str(path)!r} is no checkpoint that can be read ({error}): name another file, or delete it to start anew."
        ) from error


def read_value(path: str | Path, key: str) -> Any:
    """Return what a file has under a `key`, which holds no tensor, without reading the rest; None if it has none.

    Raises InputError as `read_state`.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            told = json.loads(file.metadata()[KEY])
        return next((_unpacked(value, None) for name, value in told["items"] if name == key), None)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{str(path)!r} is no checkpoint that can be read ({error}).") from error


def _packed(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = str(len(tensors))
        flat = value.detach().cpu()  # first of all: a device that is full has no room for a copy
        flat = torch.view_as_real(flat.resolve_conj()) if flat.is_complex() else flat
        tensors[name] = flat.clone(memory_format=torch.contiguous_format)
        # The layout of a copy: its own if it is dense, and none with gaps or overlaps.
        stride = torch.empty_like(value, device="meta").stride()
        return {"tensor": name, "stride": list(stride), "complex": value.is_complex()}
    if isinstance(value, dict):
        return {"items": [[key, _packed(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_packed(item, tensors) for item in value]}
    return [_packed(item, tensors) for item in value] if isinstance(value, list) else value


def _unpacked(value: Any, file: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, file) for item in value]
    if not isinstance(value, dict):
        return value
    if "items" in value:
        return {key: _unpacked(item, file) for key, item in value["items"]}
    if "tuple" in value:
        return tuple(_unpacked(item, file) for item in value["tuple"])
    flat = file.get_tensor(value["tensor"])
    flat = torch.view_as_complex(flat) if value["complex"] else flat
    # Fused optimisers walk weights and their moments side by side in memory, so the layout matters.
    return torch.empty_strided(flat.shape, value["stride"], dtype=flat.dtype).copy_(flat)
