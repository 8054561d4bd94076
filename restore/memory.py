"""How much memory this process has needed."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from pathlib import Path

import torch

__all__ = ["forget_peak", "peak_mb"]


def peak_mb(device: str) -> float | None:
    """Return the most memory of a fit so far in MiB: of the CUDA device, else of the process; None if unknown."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def forget_peak() -> None:
    """Let the next `peak_mb` speak of what comes after this call, where the platform allows it (CUDA, and Linux).

    What earlier work has freed is given back to the system first, since it would count.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
        for index in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(index)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # musl has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
