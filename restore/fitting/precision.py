"""Where a fit runs and in which arithmetic: decided from what the machine is, never from a trial run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from restore.errors import DeviceError

__all__ = ["arithmetic", "resolve_device", "resolve_precision"]


def resolve_device(name: str) -> torch.device:
    """Return the device `name`; `auto` is the first CUDA GPU, else Apple's, else the CPU.

    Raises DeviceError for a device that PyTorch does not know or this machine does not have.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"{name!r} is no device: use auto, cpu, cuda, cuda:0 or mps.") from error
    count = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }.get(device.type, 0)
    if count == 0:
        raise DeviceError(
            f"the device {name!r} was asked for, but PyTorch {torch.__version__} finds none here: "
            "use --device cpu, or install a PyTorch build for it."
        )
    if (device.index or 0) >= count:
        raise DeviceError(f"the device {name!r} was asked for, but there are only {count} here: use a lower index.")
    return device


def resolve_precision(name: str, device: torch.device) -> str:
    """Return `bfloat16` or `float32`; `auto` takes bfloat16 where the hardware multiplies it natively.

    Emulated, it would be slower than float32. Source of the CPU's flags: `torch.cpu.get_capabilities`.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    elif device.type == "cpu":
        flags = torch.cpu.get_capabilities()
        native = bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))
    else:
        native = False
    return "bfloat16" if native else "float32"


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which the network runs: autocast to bfloat16, or nothing.

    On CUDA it keeps no copies of the weights from one call to the next, which a recorded graph would take for new.
    """
    if precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16, cache_enabled=device.type != "cuda")
    return nullcontext()
