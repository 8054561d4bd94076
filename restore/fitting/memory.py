"""Memory: what a device has free, what a fit has taken, and the errors by which it says that it did not suffice."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from pathlib import Path

import torch

__all__ = ["available", "forget_peak", "granted", "is_out_of_memory", "peak_mb", "release", "resident"]

SHARE = 0.8
"""Part of the free memory that a fit takes unasked: the rest of the machine wants to live too."""

CGROUP = Path("/sys/fs/cgroup")


def granted(device: str, share: float = 1.0) -> int | None:
    """Return the bytes that this process may hold when nothing is said about it; None where the system does not tell.

    What it holds already counts, since a forecast is of the whole process.

    Args:
        device: where the fit runs.
        share: of the free memory, where several processes share it.
    """
    free = available(device)
    if free is None:
        return None
    held = resident() if torch.device(device).type == "cpu" else 0
    return int(held + SHARE * share * free)


def available(device: str) -> int | None:
    """Return the bytes that are free on a device: of the machine and of the control group that a container sets."""
    kind = torch.device(device).type
    if kind == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if kind != "cpu":
        return None
    found = [free for free in (_free_in_machine(), _free_in_group()) if free is not None]
    return min(found) if found else None


def resident() -> int:
    """Return the bytes of memory that this process holds; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the device's memory did not suffice; PyTorch's allocator of the CPU has no class of its own for it."""
    told = str(error)
    named = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return named or (isinstance(error, RuntimeError) and ("out of memory" in told or "can't allocate memory" in told))


def release(device: str) -> None:
    """Give back what an ended fit held: networks and their optimisers refer to each other in circles.

    glibc keeps freed memory in pieces between what is still held; trimmed, the next tile or the figures can have it.
    """
    gc.collect()
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").malloc_trim(0)
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()


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
    used: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    release("cuda" if used else "cpu")
    for index in range(torch.cuda.device_count() if used else 0):
        torch.cuda.reset_peak_memory_stats(index)
    with contextlib.suppress(OSError):  # other systems have no such file
        Path("/proc/self/clear_refs").write_text("5")


def _free_in_machine() -> int | None:
    try:
        with Path("/proc/meminfo").open() as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None


def _free_in_group() -> int | None:
    """Return what version 2 of control groups leaves; files that it could drop from its cache count as free."""
    try:
        most = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        return None if most == "max" else max(0, int(most) - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):
        return None
