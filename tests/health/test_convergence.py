"""Levels, areas and the speed-up, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from restore.health.convergence import Run, compare


def _run(loss: list[float], psnr: list[float] | None = None, every: int = 10) -> Run:
    iteration = every * np.arange(1.0, len(loss) + 1)
    return Run(iteration, iteration / 100, np.asarray(loss, float), np.asarray(psnr or [], float))


def test_a_run_that_is_as_fast_as_itself() -> None:
    run = _run([1.0, 0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1], list(range(10)))
    compared = compare(run, run)
    assert compared["speedup"] == 1
    assert {row["ratio"] for row in compared["levels"]} == {1.0}
    assert compared["area"] == compared["baseline_area"]


def test_a_baseline_that_takes_four_times_as_long() -> None:
    fast = _run([1.0] + [0.0] * 9, every=10)
    slow = _run([1.0] + [0.0] * 9, every=40)
    compared = compare(fast, slow)
    assert compared["speedup"] == 4
    # The smoothed loss is 1, 1/2, 1/3, 1/4, 1/5, 0, ...: 0.1 is reached at the sixth check.
    row = next(row for row in compared["levels"] if row["fraction"] == 0.9)
    assert (row["level"], row["iterations"], row["baseline_iterations"]) == (pytest.approx(0.1), 60, 240)
    assert (row["seconds"], row["baseline_seconds"]) == (0.6, 2.4)


def test_a_baseline_that_never_gets_there() -> None:
    compared = compare(_run([1.0] * 2 + [0.0] * 8, [1.0] * 5 + [9.0] * 5), _run([1.0] * 10, [1.0] * 10))
    assert compared["speedup"] is None
    assert compared["null_reasons"] == {"speedup": "the baseline did not reach this loss in 100 iterations"}
    assert {row["baseline_iterations"] for row in compared["levels"]} == {None}
    assert {row["metric"] for row in compared["levels"]} == {"loss", "psnr"}


def test_a_baseline_that_is_not_finite() -> None:
    compared = compare(_run([1.0, 0.5] + [0.0] * 6), _run([1.0, np.nan] + [0.0] * 6))
    assert compared["speedup"] is None
    assert np.isnan(compared["baseline_area"])
    assert compared["null_reasons"]["baseline_area"] == "the loss was not finite to the end"


def test_the_area_is_the_mean_of_the_smoothed_loss() -> None:
    run = _run([4.0, 2.0, 0.0])  # smoothed: 4, 3, 2
    assert compare(run, run)["area"] == pytest.approx(3.0)
