"""The verdicts, at their thresholds and on what is not finite."""

from __future__ import annotations

import itertools
import math

import pytest

from restore.health import (
    EXPLODING_ABOVE,
    VANISHING_BELOW,
    Verdict,
    end_to_end_ratio,
    verdict_of_path,
    verdict_of_ratio,
)


def test_names_are_those_of_the_reports() -> None:
    assert {str(verdict) for verdict in Verdict} == {"healthy", "vanishing", "exploding", "dead", "unstable", "nan"}
    assert f"{Verdict.healthy}" == "healthy" == Verdict.healthy


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (0.0, "vanishing"),
        (0.999 * VANISHING_BELOW, "vanishing"),
        (VANISHING_BELOW, "healthy"),
        (1.0, "healthy"),
        (EXPLODING_ABOVE, "healthy"),
        (1.001 * EXPLODING_ABOVE, "exploding"),
        (math.inf, "exploding"),
        (math.nan, "nan"),
    ],
)
def test_ratio(ratio: float, verdict: str) -> None:
    assert verdict_of_ratio(ratio) == verdict


@pytest.mark.parametrize(
    ("norms", "verdict"),
    [
        ([2.0], "healthy"),
        ([1.0, 5.0, 0.1, 1.0], "healthy"),
        ([1e-9, 1e-6, 1e-3, 1.0], "vanishing"),
        ([0.0, 1e-200, 1e-100, 1.0], "vanishing"),  # 0 by underflow
        ([1e9, 1e6, 1e3, 1.0], "exploding"),
        ([math.inf, 1e300, 1.0], "exploding"),
        ([math.nan, math.inf, 1e300, 1.0], "exploding"),  # infinity came first on the way back
        ([math.inf, math.nan, 1.0], "nan"),
        ([1.0, math.nan], "nan"),
        ([0.0, 0.0, 0.7, 1.0], "dead"),
        ([0.0, 1.0], "dead"),
        ([0.0, 0.0], "dead"),
        ([1.0, 0.0], "dead"),
        ([1.0, 1e5, 1.0], "unstable"),
        ([1.0, 1e-5, 1.0], "unstable"),
    ],
)
def test_path(norms: list[float], verdict: str) -> None:
    assert verdict_of_path(norms) == verdict


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e30])
def test_verdict_does_not_depend_on_the_scale_of_the_loss(scale: float) -> None:
    for rate, length in itertools.product((0.5, 0.99, 1.0, 1.01, 2.0), (2, 10, 50)):
        norms = [rate**step for step in range(length, -1, -1)]
        assert verdict_of_path([scale * norm for norm in norms]) == verdict_of_path(norms)


def test_ratio_of_nothing() -> None:
    assert math.isnan(end_to_end_ratio([0.0, 0.0]))
    assert end_to_end_ratio([1.0, 0.0]) == math.inf
    assert end_to_end_ratio([0.0, 2.0]) == 0.0
