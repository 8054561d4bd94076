"""Settings of the C library's allocator: a tenth of a small fit's time on a CPU, a third of a large one's memory."""

from __future__ import annotations

import ctypes
import os
import sys

from restore.priors.recomputation import LARGE

__all__ = ["keep_freed_memory"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names and values of glibc's malloc.h
ALL, MAPS = 2**30, 2**22


def keep_freed_memory(pixels: int = 0) -> None:
    """Make glibc keep the memory of freed tensors instead of giving it back and asking for it again in every step.

    What is kept lies in pieces that do not always fit again. In a fit of a large picture that would be as much as the
    tensors take, so there the maps are given back, and asked for in huge pages, which are quick to get: PyTorch does so
    where the variable `THP_MEM_ALLOC_ENABLE` is set before its first tensor.

    Does nothing where there is no glibc. It holds for the whole process, so it is for a program to call, not for a
    library.

    Args:
        pixels: of the largest picture that will be fitted, where that is known.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return
    is_large = pixels >= LARGE
    if is_large:
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    mallopt(M_MMAP_THRESHOLD, MAPS if is_large else ALL)
    mallopt(M_TRIM_THRESHOLD, ALL)
