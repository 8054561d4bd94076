"""Intervals and tests against scipy and against counting, on fixed data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from restore.studies.statistics import (
    bootstrap_interval,
    compare,
    holm,
    significance_is_possible,
    wilcoxon_p,
)

DIFFERENCES = [0.31, -0.12, 0.85, 0.44, 0.07, 1.2, 0.52, -0.3]


def signed_ranks(values: list[float]) -> float:
    """The two-sided p-value by going through all 2^n signs."""
    ranks = stats.rankdata(np.abs(values))
    positive = sum(rank for rank, value in zip(ranks, values, strict=True) if value > 0)
    least = min(positive, sum(ranks) - positive)
    sums = [sum(itertools.compress(ranks, signs)) for signs in itertools.product((0, 1), repeat=len(values))]
    return min(1.0, 2 * sum(one <= least + 1e-9 for one in sums) / len(sums))


def test_the_interval_is_scipys() -> None:
    expected = stats.bootstrap((np.array(DIFFERENCES),), np.mean, n_resamples=9999, rng=np.random.default_rng(3))
    low, high = bootstrap_interval(DIFFERENCES, seed=3) or (0, 0)
    assert (low, high) == (expected.confidence_interval.low, expected.confidence_interval.high)
    assert low < np.mean(DIFFERENCES) < high


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = [
        low <= 0.5 <= high
        for low, high in (bootstrap_interval(rng.normal(0.5, 1, 40).tolist()) or (1, 0) for _ in range(60))
    ]
    assert 0.85 <= np.mean(held) <= 1


def test_an_interval_needs_two_pictures() -> None:
    assert bootstrap_interval([]) is bootstrap_interval([1.0]) is None
    assert bootstrap_interval([1.0, 1.0]) == (1.0, 1.0)


@pytest.mark.parametrize("count", [6, 7, 8])
def test_p_counts_signs(count: int) -> None:
    values = DIFFERENCES[:count]
    assert wilcoxon_p(values) == pytest.approx(signed_ranks(values), abs=1e-12)
    assert wilcoxon_p(values) == stats.wilcoxon(values).pvalue


def test_p_without_a_difference() -> None:
    assert wilcoxon_p([0.0] * 9) == 1


def test_holm_rejects_what_its_procedure_rejects() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        p = (rng.random(6) ** 3).tolist()
        level = rng.random() * 0.3
        order = sorted(range(6), key=lambda index: p[index])
        rejected = set()
        for rank, index in enumerate(order):  # stops at the first that is not rejected
            if p[index] > level / (6 - rank):
                break
            rejected.add(index)
        assert {index for index, value in enumerate(holm(p)) if value <= level} == rejected


def test_those_without_a_p_count_too() -> None:
    assert holm([0.01], 4) == [0.04]
    assert holm([]) == []


def test_possible_is_what_the_smallest_p_can_do() -> None:
    for pictures, comparisons in itertools.product(range(1, 12), range(1, 9)):
        least = stats.wilcoxon(np.arange(1.0, pictures + 1)).pvalue
        smallest = holm([least] * comparisons)[0]
        assert significance_is_possible(pictures, comparisons) == (smallest <= 0.05)
    assert not significance_is_possible(0, 1)


def family(count: int, variants: int) -> dict[str, dict[str, float]]:
    return {
        f"v{variant}": {f"p{picture}": 0.1 + 0.01 * picture + variant for picture in range(count)}
        for variant in range(variants)
    }


def test_a_p_value_only_where_it_can_tell() -> None:
    assert [one.p for one in compare(family(6, 1))] == [pytest.approx(2**-5)]
    assert [one.p for one in compare(family(6, 2))] == [None, None]
    assert [one.p for one in compare(family(7, 2))] == [pytest.approx(2 * 2**-6)] * 2
    assert [one.p for one in compare(family(5, 1))] == [None]


def test_one_that_lacks_pictures_is_still_of_the_family() -> None:
    short = {**family(8, 1), "few": {"p0": 1.0, "p1": -1.0, "p2": 0.0}}
    full, few = compare(short)
    assert full.p == pytest.approx(2 * 2**-7)
    assert (few.p, few.mean, few.wins, few.ties, few.losses) == (None, 0.0, 1, 1, 1)


def test_nothing_to_compare() -> None:
    (none,) = compare({"a": {}})
    assert (none.mean, none.low, none.p, none.wins) == (None, None, None, 0)
