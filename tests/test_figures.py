"""Figures: strict JSON, a reason for every null, and numbers that others compute alike."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

import restore.figures as module
from restore.figures import SCHEMA_VERSION, against_reference, figures
from restore.fitting import Fitted, fit, make_plan
from restore.fitting.observers import ReferenceCurve
from restore.images import Picture
from restore.metrics import LpipsUnavailable
from restore.problems.problem import Problem, denoising, inpainting
from restore.restoration import to_json
from restore.settings import FitSettings, Plan

# What a report of the first schema holds; later ones may add to it.
PROMISED = {
    *("schema_version", "command", "input", "output", "size", "problem", "warnings", "versions"),
    *("prior", "parameters", "norm", "init", "objective", "preset", "seed", "device", "precision", "threads", "sigma"),
    *("iterations", "iteration_best", "stop_reason", "seconds", "seconds_per_iteration", "peak_memory_mb"),
    *("psnr_input", "psnr", "psnr_peak", "psnr_final", "psnr_hole", "ssim", "lpips"),
    *("psnr_estimate", "psnr_estimate_error"),
}
SCORES = {"psnr_input", "psnr", "psnr_hole", "ssim", "lpips"}
SETTINGS = FitSettings(iterations=12, device="cpu", precision="float32", network={"channels": (4, 4), "tail": 0})


@pytest.fixture(autouse=True)
def no_lpips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say that LPIPS is not there, whatever this machine has."""
    monkeypatch.setattr(module, "lpips_distance", lambda *images: LpipsUnavailable("No weights.", "Fetch them"))


@pytest.fixture(params=["denoise", "inpaint"])
def problem(request: pytest.FixtureRequest, scene: Tensor, noisy_scene: Tensor) -> Problem:
    if request.param == "denoise":
        return denoising(noisy_scene, 25.0)
    return inpainting(scene, torch.rand(40, 50, generator=torch.Generator().manual_seed(0)) < 0.3)


def _picture(problem: Problem) -> Picture:
    return Picture.from_array(np.moveaxis((255 * problem.measurement[0].clamp(0, 1)).byte().numpy(), 0, -1))


def _run(problem: Problem, truth: Tensor | None, **values: Any) -> tuple[Plan, Fitted, ReferenceCurve | None]:
    plan = dataclasses.replace(make_plan(problem, SETTINGS), **values)
    curve = None if truth is None else ReferenceCurve(problem, truth[None])
    return plan, fit(problem, plan, [] if curve is None else [curve]), curve


def test_a_picture_that_is_not_finite_has_reached_nothing() -> None:
    problem = denoising(torch.rand(1, 16, 16), 25.0)
    curve = ReferenceCurve(problem, torch.rand(1, 1, 16, 16))
    assert math.isnan(curve._psnr(torch.full((1, 1, 16, 16), math.nan)))
    assert curve._psnr(curve.reference) == math.inf


def _figures(problem: Problem, plan: Plan, fitted: Fitted, curve: ReferenceCurve | None, **more: Any) -> dict[str, Any]:
    wanted: dict[str, Any] = {"sigma_estimated": False, "seconds": 1.23456, "warnings": ("mind the gap",), **more}
    picture = wanted.pop("picture", _picture(problem))
    return figures(problem.kind, picture, problem, SETTINGS, plan, fitted, curve, **wanted)


def _strict(report: dict[str, Any]) -> None:
    """Assert that strict JSON holds the report, and that exactly what is null has a reason."""
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    nulls = {name for name, value in report.items() if value is None}
    assert set(report["null_reasons"]) == nulls
    assert all(len(reason) > 10 for reason in report["null_reasons"].values())


def test_report_without_a_reference(problem: Problem) -> None:
    plan, fitted, _ = _run(problem, None)
    report = _figures(problem, plan, fitted, None)
    _strict(report)
    assert {"psnr_peak", "psnr_final", "input"} <= set(report["null_reasons"])
    assert report["null_reasons"]["psnr_peak"] == "needs --reference"


def test_report_with_a_reference(problem: Problem, scene: Tensor) -> None:
    plan, fitted, curve = _run(problem, scene)
    report = _figures(problem, plan, fitted, curve)
    _strict(report)
    assert curve is not None
    assert report["psnr_peak"] == max(curve.psnr)
    assert report["psnr_final"] == curve.psnr[-1]
    assert report["psnr_network"] == curve.network[-1]


def test_all_that_is_promised_is_there(problem: Problem, scene: Tensor) -> None:
    plan, fitted, curve = _run(problem, scene)
    report = _figures(problem, plan, fitted, curve)
    scores = against_reference(*(problem.measurement[0].numpy(),) * 2, scene.numpy(), None)
    assert set(report) | set(scores) >= PROMISED
    assert set(scores) == {*SCORES, "null_reasons"}
    assert not SCORES & set(report)


def test_values_are_those_of_the_run(problem: Problem) -> None:
    plan, fitted, _ = _run(problem, None)
    report = _figures(problem, plan, fitted, None)
    assert report["schema_version"] == SCHEMA_VERSION
    assert (report["command"], report["problem"], report["size"]) == (problem.kind, problem.kind, [50, 40])
    assert (report["prior"], report["norm"], report["init"], report["objective"]) == (
        *("hourglass", "channel", "default", plan.objective),
    )
    assert (report["sigma"], report["preset"], report["device"]) == (problem.sigma, "balanced", "cpu")
    assert (report["iterations"], report["iteration_best"], report["stop_reason"]) == (12, 12, "iterations")
    assert report["parameters"] == fitted.parameters > 0
    assert report["seconds"] == 1.235
    assert report["seconds_per_iteration"] == pytest.approx(fitted.seconds / 12)
    assert report["warnings"] == ["mind the gap"]
    assert report["threads"] == torch.get_num_threads()
    assert report["versions"]["torch"] == torch.__version__
    assert 50 < report["peak_memory_mb"] < 100_000


def test_precision_is_what_the_fit_ended_in(problem: Problem) -> None:
    plan, fitted, _ = _run(problem, None)
    fallen = dataclasses.replace(fitted, precision="float32")
    assert _figures(problem, dataclasses.replace(plan, precision="bfloat16"), fallen, None)["precision"] == "float32"


def test_input_is_the_path(problem: Problem) -> None:
    plan, fitted, _ = _run(problem, None)
    picture = dataclasses.replace(_picture(problem), path=Path("some/where.png"))
    report = _figures(problem, plan, fitted, None, picture=picture)
    assert report["input"] == str(Path("some/where.png"))
    assert "input" not in report["null_reasons"]


def test_a_perfect_curve_is_null_with_a_reason(problem: Problem) -> None:
    plan, fitted, _ = _run(problem, None)
    curve = ReferenceCurve(problem, problem.measurement, [10], [math.inf], [math.inf])
    report = _figures(problem, plan, fitted, curve)
    _strict(report)
    assert report["null_reasons"]["psnr_final"] == "the two pictures are equal"


def test_a_reference_without_a_check_does_not_ask_for_one(problem: Problem) -> None:
    plan, fitted, _ = _run(problem, None)
    report = _figures(problem, plan, fitted, ReferenceCurve(problem, problem.measurement))
    _strict(report)
    assert report["null_reasons"]["psnr_final"] != "needs --reference"


def _held_out(fitted: Fitted, error: float, deviation: float) -> Fitted:
    return dataclasses.replace(fitted, held_out_error=error, held_out_deviation=deviation)


def test_estimate_takes_the_noise_off(noisy_scene: Tensor) -> None:
    problem = denoising(noisy_scene, 10.0)
    plan, fitted, _ = _run(problem, None)
    error = 10**-3.1
    held_out = _held_out(fitted, error + (10 / 255) ** 2, 0.05 * error)
    report = _figures(problem, plan, held_out, None)
    _strict(report)
    assert report["psnr_estimate"] == pytest.approx(31)
    assert report["psnr_estimate_error"] == pytest.approx(10 * math.log10(math.e) * 0.05)
    doubtful = _figures(problem, plan, held_out, None, sigma_estimated=True)  # sigma itself may be wrong
    assert doubtful["psnr_estimate"] == report["psnr_estimate"]
    assert doubtful["psnr_estimate_error"] > report["psnr_estimate_error"]


def test_estimate_of_an_inpainting_counts_the_hole_alone(scene: Tensor) -> None:
    hole = torch.zeros(40, 50, dtype=torch.bool)
    hole[:10] = True  # a quarter of the picture is wrong by 0.01, the rest is exact
    problem = inpainting(scene, hole)
    plan, fitted, _ = _run(problem, None)
    report = _figures(problem, plan, _held_out(fitted, 0.01**2, 1e-6), None)
    written = torch.where(hole, scene + 0.01, scene)
    assert report["psnr_estimate"] == pytest.approx(
        peak_signal_noise_ratio(scene.numpy(), written.numpy(), data_range=1), abs=1e-3
    )


def test_estimate_is_right_on_noise_with_a_known_answer(scene: Tensor) -> None:
    rng = torch.Generator().manual_seed(0)
    measured = scene + 25 / 255 * torch.randn(scene.shape, generator=rng)
    image = scene + 0.05 * torch.randn(scene.shape, generator=rng)
    problem = denoising(measured, 25.0)
    plan, fitted, _ = _run(problem, None)
    errors = (image - measured).square().mean(0).flatten()
    held_out = _held_out(fitted, errors.mean().item(), errors.std().item() / math.sqrt(errors.numel()))
    report = _figures(problem, plan, held_out, None)
    truth = peak_signal_noise_ratio(scene.numpy(), image.numpy(), data_range=1)
    assert abs(report["psnr_estimate"] - truth) < 3 * report["psnr_estimate_error"] < 3


@pytest.mark.parametrize(("error", "deviation"), [(0.5, 1e-4), (1.0, 1e-4), (1.05, 0.02)])
def test_estimate_is_null_where_it_would_be_a_guess(error: float, deviation: float, noisy_scene: Tensor) -> None:
    problem, variance = denoising(noisy_scene, 25.0), (25 / 255) ** 2
    plan, fitted, _ = _run(problem, None)
    report = _figures(problem, plan, _held_out(fitted, error * variance, deviation * variance), None)
    _strict(report)
    assert report["psnr_estimate"] is report["psnr_estimate_error"] is None


def _images(channels: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.random((channels, 40, 50), dtype=np.float32)
    noise = [s * rng.standard_normal(truth.shape, dtype=np.float32) for s in (0.2, 0.05)]
    return [truth, *(np.clip(truth + n, 0, 1) for n in noise)]


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_is_skimages(channels: int) -> None:
    truth, measured, written = _images(channels)
    hole = np.random.default_rng(1).random((40, 50)) < 0.3
    scores = against_reference(measured, written, truth, hole)
    for name, image in (("psnr_input", measured), ("psnr", written)):
        assert scores[name] == pytest.approx(peak_signal_noise_ratio(truth, image, data_range=1), abs=1e-4)
    inside = peak_signal_noise_ratio(truth[:, hole], written[:, hole], data_range=1)
    assert scores["psnr_hole"] == pytest.approx(inside, abs=1e-4)
    assert 0 < scores["ssim"] < 1


def test_scores_without_a_reference_are_null() -> None:
    _, measured, written = _images()
    scores = against_reference(measured, written, None, None)
    _strict(scores)
    assert set(scores["null_reasons"]) == SCORES


def test_denoising_has_no_hole_and_lpips_says_how_to_get_it() -> None:
    truth, measured, written = _images()
    scores = against_reference(measured, written, truth, None)
    _strict(scores)
    assert set(scores["null_reasons"]) == {"psnr_hole", "lpips"}
    assert scores["null_reasons"]["lpips"] == "No weights. Fetch them"


def test_lpips_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, measured, written = _images()

    def distance(estimate: Tensor, reference: Tensor) -> Tensor:
        assert torch.equal(reference, torch.from_numpy(truth))
        assert torch.equal(estimate, torch.from_numpy(written))
        return torch.tensor(0.25)

    monkeypatch.setattr(module, "lpips_distance", distance)
    scores = against_reference(measured, written, truth, None)
    _strict(scores)
    assert scores["lpips"] == 0.25


def test_equal_pictures_and_tiny_ones_stay_strict() -> None:
    truth, measured, _ = _images()
    scores = against_reference(measured, truth, truth, None)
    _strict(scores)
    assert scores["null_reasons"]["psnr"] == "the two pictures are equal"
    assert scores["ssim"] == pytest.approx(1)
    tiny = against_reference(measured[:, :3, :3], truth[:, :3, :3] * 0.9, truth[:, :3, :3], None)
    _strict(tiny)
    assert tiny["ssim"] is None


def test_to_json_refuses_what_strict_json_cannot_hold() -> None:
    assert json.loads(to_json({"psnr": None, "size": [1, 2]})) == {"psnr": None, "size": [1, 2]}
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            to_json({"psnr": value})
