"""Durations as a person reads them."""

from __future__ import annotations

__all__ = ["duration"]


def duration(seconds: float) -> str:
    """Return seconds in the unit that suits them.

    >>> duration(2.34), duration(99.6), duration(600), duration(9000)
    ('2.3 s', '100 s', '10 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
