"""The comparison without normalisation: sides that are left to themselves, and a grid that is fair to all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import restore
from restore.errors import UsageError
from restore.fitting import make_plan
from restore.health import baseline
from restore.health.baseline import FACTORS, OTHER_RATES, compare_with_baseline, fit_side
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import FitSettings, Plan
from restore.strict import strict

NETWORK = {"channels": (6, 6), "tail": 0}
SETTINGS: dict[str, Any] = {"device": "cpu", "precision": "float32", "network": NETWORK, "iterations": 30}


@pytest.fixture
def problem() -> Problem:
    """A 32x32 grey picture of noise, to be denoised."""
    return denoising(torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0)), 25.0)


def _plan(problem: Problem, **values: Any) -> Plan:
    return make_plan(problem, FitSettings(**{**SETTINGS, **values}))


def test_a_side_that_diverges_is_told_as_it_is_and_why_what_is_null_is_null(problem: Problem) -> None:
    plan = _plan(problem, norm="none", learning_rate=1e8)
    report = baseline._own(fit_side("none", problem, plan, problem.measurement))
    json.dumps(strict(report), allow_nan=False)
    assert strict(report)["loss"] is None
    assert report["null_reasons"]["loss"] == "the loss was not finite"
    assert report["gradient_health"]["verdict"] == "nan"
    assert "needs --reference" in baseline._own(fit_side("none", problem, plan))["null_reasons"]["psnr"]


def test_each_optimiser_has_its_grid_and_its_own_rival(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan(problem)
    seen: dict[str, list[float]] = {}
    tuned = baseline._tuned

    def noting(name: str, problem: Problem, plan: Plan, rates: list[float], say: Callable[[str], None]) -> Any:
        seen[name] = list(rates)
        return tuned(name, problem, plan, rates, say)

    monkeypatch.setattr(baseline, "_tuned", noting)
    report, sides = compare_with_baseline("fair", problem, plan)
    assert set(seen) == set(sides) and len(sides) == 10
    for name, rates in seen.items():
        wanted = OTHER_RATES["adam"] if "adam" in name else [factor * plan.learning_rate for factor in FACTORS]
        assert rates == list(wanted)
        assert sides[name].plan.learning_rate in rates
    for side in (report, *report["beside"]):
        rival = "normalized, adam" if side["optimizer"] == "adam" else "normalized"
        assert side["compared_with"] == rival
    # The normalised network under Adam is compared with itself, and so takes as long as itself.
    (same,) = (side for side in report["beside"] if side["change"] == "normalized, adam")
    assert same["speedup"] == 1.0


@pytest.mark.parametrize(
    ("rates", "edge"), [((1e-9, 1e-8, 3e-3), "highest"), ((3e-3, 1e6, 1e7), "lowest"), ((1e-9, 3e-3, 1e6), None)]
)
def test_a_rate_at_an_end_of_the_grid_is_said_to_be(problem: Problem, rates: list[float], edge: str | None) -> None:
    said: list[str] = []
    plan, at = baseline._tuned("bias", problem, _plan(problem, norm="bias", iterations=120), rates, said.append)
    assert at == edge and plan.learning_rate == 3e-3
    assert ("may lie beyond" in said[0]) == (edge is not None)


def test_rates_are_chosen_in_the_middle(problem: Problem) -> None:
    large = denoising(torch.rand(1, 200, 140), 25.0)
    assert torch.equal(baseline._middle(large).measurement, large.measurement[..., 36:164, 6:134])
    assert torch.equal(baseline._middle(problem).measurement, problem.measurement)
    hole = torch.zeros(200, 200, dtype=torch.bool)
    hole[30:170, 30:170] = True
    covered = inpainting(torch.rand(1, 200, 200), hole)
    assert baseline._middle(covered) is covered
    hole[40:50, 40:50] = False
    assert baseline._middle(inpainting(torch.rand(1, 200, 200), hole)).size == (128, 128)


def test_the_psnr_of_a_side_is_that_of_its_picture(problem: Problem) -> None:
    side = fit_side("normalized", problem, _plan(problem), problem.measurement)
    error = float((side.fitted.last.clamp(0, 1) - problem.measurement).square().mean())
    assert baseline._own(side)["psnr"] == pytest.approx(-10 * np.log10(error), abs=1e-4)


def test_an_unnormalised_twin_has_one_setting_changed(noisy_scene: torch.Tensor) -> None:
    problem = denoising(noisy_scene, 25.0)
    plan = make_plan(problem, FitSettings(**SETTINGS, time_budget=1000.0))
    report, sides = compare_with_baseline("unnormalized", problem, plan, noisy_scene[None])
    assert list(sides) == ["normalized", "bias", "none"]
    for name, side in sides.items():
        changed = {key for key, value in vars(side.plan).items() if value != getattr(plan, key)}
        assert changed <= {"norm", "networks", "rescue", "stop", "time_budget"}
        assert (side.plan.norm, side.plan.rescue, side.plan.stop) == (
            "channel" if name == "normalized" else name,
            False,
            "none",
        )
        assert side.plan.networks == 1
        assert side.fitted.iterations == 30
    keys = {"change", "iterations", "seconds", "psnr", "loss", "levels", "area", "baseline_area", "speedup"}
    assert keys | {"gradient_health"} <= set(report)
    assert report["compared_with"] == report["normalized"]["change"] == "normalized"
    assert report["change"] == "bias" and [side["change"] for side in report["beside"]] == ["none"]
    assert report["normalized"]["psnr"] == pytest.approx(float(sides["normalized"].run.psnr[-1]))


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
    assert result.interrupted
    assert np.array_equal(result.image, restore.denoise(picture, sigma=25, **SETTINGS).image)
    assert result.report["baseline"] is None
    assert any("was interrupted" in warning for warning in result.report["warnings"])
