"""Exit statuses of commands that did what they could; bad input exits with 2."""

from __future__ import annotations

__all__ = ["FAILED", "INTERRUPTED"]

FAILED = 1
"""Some of what was asked for could not be done."""

INTERRUPTED = 130
"""Ctrl-C, as shells have it: 128 and the number of the signal."""
