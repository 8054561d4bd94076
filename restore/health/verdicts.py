"""The verdicts on a gradient's way through layers or time, and the one rule that gives them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from enum import StrEnum

__all__ = [
    "EXPLODING_ABOVE",
    "VANISHING_BELOW",
    "Verdict",
    "end_to_end_ratio",
    "verdict_of_path",
    "verdict_of_ratio",
]

VANISHING_BELOW = 1e-3
"""End-to-end ratio of gradient norms below which the gradient vanishes."""

EXPLODING_ABOVE = 1e3
"""End-to-end ratio of gradient norms above which the gradient explodes."""


class Verdict(StrEnum):
    """What became of a gradient; as a string, its name in reports.

    healthy: bounded, it arrives within the thresholds.
    vanishing: it arrives smaller than `VANISHING_BELOW` of what it was.
    exploding: it arrives larger than `EXPLODING_ABOVE` times what it was, or overflows.
    dead: it is cut off; before it could vanish it is exactly 0.
    unstable: its ends agree, but on the way it leaves the thresholds.
    nan: it is not a number.
    """

    healthy = "healthy"
    vanishing = "vanishing"
    exploding = "exploding"
    dead = "dead"
    unstable = "unstable"
    nan = "nan"


def end_to_end_ratio(norms: Sequence[float]) -> float:
    """Return first over last of the gradient norms, which are in the order of the forward pass.

    A ratio of nothing to nothing is NaN.

    >>> end_to_end_ratio([0.5, 1.0, 2.0])
    0.25
    """
    first, last = norms[0], norms[-1]
    if last == 0:
        return math.nan if first == 0 or math.isnan(first) else math.inf
    return first / last


def verdict_of_ratio(ratio: float) -> Verdict:
    """Return the verdict on an end-to-end ratio of gradient norms: vanishing, exploding, healthy or nan.

    >>> [str(verdict_of_ratio(ratio)) for ratio in (1e-4, 1e-3, 1.0, 1e3, 1e4)]
    ['vanishing', 'healthy', 'healthy', 'healthy', 'exploding']
    """
    if math.isnan(ratio):
        return Verdict.nan
    if ratio < VANISHING_BELOW:
        return Verdict.vanishing
    return Verdict.exploding if ratio > EXPLODING_ABOVE else Verdict.healthy


def verdict_of_path(norms: Sequence[float]) -> Verdict:
    """Return the verdict on one gradient norm or more, in the order of the forward pass: layer by layer, or t = 0..T.

    The gradient runs from the last to the first. The first thing that befalls it on its way counts: an overflow makes
    it exploding, even where infinity times 0 is NaN further on.

    >>> [str(verdict_of_path(norms)) for norms in ([1.0, 0.9, 1.1], [1e-7, 1e-3, 1.0], [0.0, 0.0, 1.0])]
    ['healthy', 'vanishing', 'dead']
    """
    backwards = list(reversed(norms))
    strange = next((norm for norm in backwards if not math.isfinite(norm)), None)
    if strange is not None:
        return Verdict.nan if math.isnan(strange) else Verdict.exploding
    if backwards[0] == 0 or _cut_off(backwards):
        return Verdict.dead
    verdict = verdict_of_ratio(end_to_end_ratio(norms))
    on_the_way = {verdict_of_ratio(norm / backwards[0]) for norm in norms}
    return Verdict.unstable if verdict is Verdict.healthy and on_the_way != {Verdict.healthy} else verdict


def _cut_off(backwards: Sequence[float]) -> bool:
    """Whether a norm is 0 right after one that had not vanished; after one that had, it may be 0 by underflow."""
    limit = VANISHING_BELOW * backwards[0]
    return any(norm == 0 and before >= limit for before, norm in itertools.pairwise(backwards))
