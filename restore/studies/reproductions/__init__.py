"""One module for each paper's claim, or for a few that share a measurement; each lists them as `CLAIMS`."""

from __future__ import annotations

__all__ = ["MODULES"]

MODULES: tuple[str, ...] = (
    "long_memory",
    "rflo_learning",
)
"""Modules that hold claims, in the order in which they are listed."""
