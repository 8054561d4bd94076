"""Levels, areas and the speed-up, against numbers worked out by hand; and the comparison of a small fit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import restore
from restore.errors import UsageError
from restore.fitting import make_plan
from restore.health import baseline
from restore.health.baseline import compare_with_baseline
from restore.health.convergence import Run, compare
from restore.problems.problem import denoising
from restore.settings import FitSettings

NETWORK = {"channels": (8, 8), "tail": 1}
SETTINGS: dict[str, Any] = {"device": "cpu", "precision": "float32", "network": NETWORK, "iterations": 30}


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


def test_the_area_is_the_mean_of_the_smoothed_loss() -> None:
    run = _run([4.0, 2.0, 0.0])  # smoothed: 4, 3, 2
    assert compare(run, run)["area"] == pytest.approx(3.0)


def test_an_unnormalised_twin_has_one_setting_changed(noisy_scene: torch.Tensor) -> None:
    problem = denoising(noisy_scene, 25.0)
    plan = make_plan(problem, FitSettings(**SETTINGS))
    report, sides = compare_with_baseline("unnormalized", problem, plan, noisy_scene[None])
    assert list(sides) == ["normalized", "bias", "none"]
    for name, side in sides.items():
        changed = {key for key, value in vars(side.plan).items() if value != getattr(plan, key)}
        assert changed <= {"norm", "rescue", "stop"}
        assert (side.plan.norm, side.plan.rescue, side.plan.stop) == (
            "channel" if name == "normalized" else name,
            False,
            "none",
        )
        assert side.fitted.iterations == 30
    keys = {"change", "iterations", "seconds", "psnr", "loss", "levels", "area", "baseline_area", "speedup"}
    assert keys | {"gradient_health"} <= set(report)
    assert report["change"] == "bias" and [side["change"] for side in report["beside"]] == ["none"]
    assert report["normalized"]["psnr"] == pytest.approx(float(sides["normalized"].run.psnr[-1]))


def test_a_fair_comparison_tunes_every_side_by_its_loss(
    noisy_scene: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline, "CONTROLS", ({"norm": "bias"}, {"norm": "bias", "init": "he"}))
    monkeypatch.setattr(baseline, "RATES", (1e-6, 1.0))
    problem = denoising(noisy_scene, 25.0)
    plan = make_plan(problem, FitSettings(**SETTINGS))
    said: list[str] = []
    report, sides = compare_with_baseline("fair", problem, plan, None, said.append)
    assert list(sides) == ["normalized", "normalized, sgd", "bias", "bias, he", "bias, sgd", "bias, he, sgd"]
    assert sides["normalized"].plan.learning_rate == plan.learning_rate  # a millionth of it learns nothing
    assert sides["bias, he"].plan.init == "he"
    assert sides["bias, sgd"].plan.optimizer == "sgd"
    assert sum("is best of" in line for line in said) == 6
    assert report["psnr"] is None


def test_what_has_no_normalisation_has_no_baseline(noisy_scene: torch.Tensor) -> None:
    picture = noisy_scene.permute(1, 2, 0).numpy()
    with pytest.raises(UsageError, match="is the baseline itself"):
        restore.denoise(picture, norm="none", baseline="unnormalized", **SETTINGS)
    with pytest.raises(UsageError, match="did you mean 'unnormalized'"):
        restore.denoise(picture, baseline="unnormalised", **SETTINGS)


def test_a_result_carries_its_comparison_and_its_curves(noisy_scene: torch.Tensor) -> None:
    picture = noisy_scene.permute(1, 2, 0).numpy()
    result = restore.denoise(picture, health=True, baseline="unnormalized", sigma=25, **SETTINGS)
    plain = restore.denoise(picture, sigma=25, **SETTINGS)
    assert np.array_equal(result.image, plain.image)
    json.dumps(result.report, allow_nan=False)
    assert result.report["gradient_health"]["verdict"] in ("healthy", "unstable")
    assert result.report["baseline"]["change"] == "bias"
    assert plain.report["baseline"] is None and plain.report["null_reasons"]["baseline"] == "needs --baseline"
    curves = result.curves()
    assert {"loss", "health_gradient_norm", "baseline_bias_loss", "baseline_normalized_loss"} <= set(curves)
    assert curves["baseline_none_loss"].shape == (3,)


def test_an_interrupted_comparison_keeps_the_restoration(
    noisy_scene: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(baseline, "fit_side", interrupted)
    picture = noisy_scene.permute(1, 2, 0).numpy()
    result = restore.denoise(picture, baseline="unnormalized", sigma=25, **SETTINGS)
    assert np.array_equal(result.image, restore.denoise(picture, sigma=25, **SETTINGS).image)
    assert result.report["baseline"] is None
    assert any("was interrupted" in warning for warning in result.report["warnings"])
