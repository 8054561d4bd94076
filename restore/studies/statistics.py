"""Paired comparisons over pictures: the difference, its interval, and a test where a test can tell anything.

Pictures differ far more from each other than variants do on one picture, so all is computed on differences within a
picture. Seeds and damages of one picture are no further pictures: they are averaged first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Comparison", "bootstrap_interval", "compare", "holm", "significance_is_possible", "wilcoxon_p"]

LEVEL = 0.05
"""Significance level of the tests; the intervals hold 1 - LEVEL."""

RESAMPLES = 9999


@dataclass(frozen=True)
class Comparison:
    """One variant against the baseline; a difference above 0 is the variant's.

    Attributes:
        label: of the variant.
        differences: by picture.
        mean: of the differences; None without any.
        low, high: the 95 % bootstrap interval of the mean; None for fewer than two pictures.
        p: two-sided p-value of Wilcoxon's signed-rank test after Holm's correction; None where it could not have been
            significant whatever the differences.
        wins, ties, losses: numbers of pictures whose difference is above, equal to, and below 0.
    """

    label: str
    differences: Mapping[str, float]
    mean: float | None
    low: float | None
    high: float | None
    p: float | None
    wins: int
    ties: int
    losses: int


def compare(family: Mapping[str, Mapping[str, float]]) -> list[Comparison]:
    """Return the comparisons of one family, whose p-values are corrected together.

    Args:
        family: differences by picture, by the label of the variant.
    """
    testable = {
        label: list(found.values())
        for label, found in family.items()
        if significance_is_possible(len(found), len(family))
    }
    # Those that cannot be tested still count: Holm's factors are those of the whole family.
    corrected = dict(zip(testable, holm([wilcoxon_p(x) for x in testable.values()], len(family)), strict=True))
    return [_comparison(label, found, corrected.get(label)) for label, found in family.items()]


def bootstrap_interval(differences: Sequence[float], *, seed: int = 0) -> tuple[float, float] | None:
    """Return the 95 % bias-corrected and accelerated bootstrap interval of the mean; None for fewer than two values.

    9,999 resamples of whole pictures. Source: Efron, Better Bootstrap Confidence Intervals, 1987,
    doi:10.1080/01621459.1987.10478410, as `scipy.stats.bootstrap` has it.

    >>> bootstrap_interval([0.5, 0.5, 0.5])
    (0.5, 0.5)
    """
    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2:
        return None
    if np.ptp(values) == 0:  # every resample is the same: the acceleration would be 0 / 0
        return float(values[0]), float(values[0])
    from scipy.stats import bootstrap

    interval = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=1 - LEVEL, rng=np.random.default_rng(seed)
    ).confidence_interval
    return float(interval.low), float(interval.high)


def wilcoxon_p(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test that the differences are symmetric about 0.

    Zeros are dropped; without any other difference it is 1. Source: Wilcoxon, Individual Comparisons by Ranking
    Methods, 1945, doi:10.2307/3001968, as `scipy.stats.wilcoxon` has it.
    """
    if not any(differences):
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(np.asarray(differences, dtype=np.float64)).pvalue)


def holm(p: Sequence[float], comparisons: int | None = None) -> list[float]:
    """Return p-values that hold for a family of comparisons, in the order given.

        p~_(i) = max over j <= i of min(1, (m - j + 1) p_(j)),   p_(1) <= ... <= p_(m)

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6 (1979).

    Args:
        comparisons: m; None takes the number of p-values. The p-values that are not there count as the largest.

    >>> holm([0.01, 0.04, 0.03, 0.005])
    [0.03, 0.06, 0.06, 0.02]
    """
    count = len(p) if comparisons is None else comparisons
    corrected = [1.0] * len(p)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
        largest = max(largest, min(1.0, (count - rank) * p[index]))
        corrected[index] = largest
    return corrected


def significance_is_possible(pictures: int, comparisons: int) -> bool:
    """Return whether Wilcoxon's exact test with Holm's correction could fall to the level at all.

    With n pictures its least two-sided p-value is 2^(1-n), all differences of one sign, and Holm multiplies the
    smallest of m by m: m 2^(1-n) <= 0.05.

    >>> [significance_is_possible(n, 1) for n in (5, 6)], [significance_is_possible(n, 3) for n in (6, 7)]
    ([False, True], [False, True])
    """
    return pictures > 0 and comparisons * 2.0 ** (1 - pictures) <= LEVEL


def _comparison(label: str, differences: Mapping[str, float], p: float | None) -> Comparison:
    values = list(differences.values())
    interval = bootstrap_interval(values)
    return Comparison(
        label,
        dict(differences),
        math.fsum(values) / len(values) if values else None,
        None if interval is None else interval[0],
        None if interval is None else interval[1],
        p,
        sum(value > 0 for value in values),
        sum(value == 0 for value in values),
        sum(value < 0 for value in values),
    )
