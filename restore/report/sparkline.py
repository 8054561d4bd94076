"""A curve as one line of text."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

__all__ = ["ASCII", "BLOCKS", "sparkline"]

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-~=+*#"


def sparkline(values: Sequence[float], *, width: int = 60, levels: str = BLOCKS) -> str:
    """Return a line of at most `width` characters for a curve, one level a decade: level 5 of 8 is around 1.

    Columns show the geometric mean of their values; what is 0 or beyond the ends is at the lowest or highest level,
    and what is not a number is a blank.

    >>> sparkline([1e-5, 1e-3, 1e-2, 0.1, 1.0, 10.0, 1e3, math.nan])
    '▁▂▃▄▅▆█ '
    """
    columns = min(width, len(values))
    edges = [round(column * len(values) / columns) for column in range(columns + 1)] if columns else []
    return "".join(_level(values[low:high], levels) for low, high in itertools.pairwise(edges))


def _level(values: Sequence[float], levels: str) -> str:
    if any(math.isnan(value) for value in values):
        return " "
    decades = sum(_decade(value, len(levels)) for value in values) / len(values)
    return levels[min(max(round(decades) + len(levels) // 2, 0), len(levels) - 1)]


def _decade(value: float, levels: int) -> float:
    """Return log10 of the value, held within what the levels can show so that a mean over a column is finite."""
    if value <= 0:
        return -float(levels)
    return min(max(math.log10(value), -float(levels)), float(levels)) if math.isfinite(value) else float(levels)
