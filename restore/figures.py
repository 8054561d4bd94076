"""The figures of a run, as one object that strict JSON can hold.

What needs a reference is null without one, and what is not finite is null; `null_reasons` says why, key by key.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from restore.fitting import Fitted
from restore.fitting.memory import peak_mb
from restore.fitting.observers import ReferenceCurve
from restore.fitting.tiles import make_layout
from restore.fitting.warm_start import begun_on
from restore.health import HealthRecord, gradient_health
from restore.images import Picture
from restore.metrics import LpipsUnavailable, lpips_distance, psnr, ssim
from restore.problems.examination import NoiseFindings
from restore.problems.problem import Problem
from restore.settings import FitSettings, Plan
from restore.strict import strict

__all__ = ["SCHEMA_VERSION", "against_reference", "figures"]

SCHEMA_VERSION = 1

Pixels = np.ndarray[Any, np.dtype[np.float32]]

SIGMA_UNCERTAINTY = 0.015
"""Relative standard error of an estimated sigma on photographs."""

CUT_SHORT = ("time", "interrupted")
"""Reasons for which a fit ended before its end; the held-out pixels were up to 1.6 dB off then."""

NO_REFERENCE = "needs --reference"

FEWEST_JUDGED = 10_000
"""Known pixels of a picture below which those held out of `recorrupted`, as they are filled, are worse than others."""


def figures(
    command: str,
    picture: Picture,
    problem: Problem,
    settings: FitSettings,
    plan: Plan,
    fitted: Fitted,
    curve: ReferenceCurve | None,
    *,
    sigma_estimated: bool,
    seconds: float,
    warnings: tuple[str, ...],
    findings: NoiseFindings | None = None,
    kept: float = 0.0,
) -> dict[str, Any]:
    """Return every figure of a run but those of `against_reference`; `kept` of the result is the measurement."""
    estimate, error, why_not = _estimate(problem, plan, fitted, sigma_estimated, kept)
    report: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "arguments": None,
        "input": None if picture.path is None else str(picture.path),
        "output": None,
        "size": [picture.width, picture.height],
        "problem": problem.kind,
        "prior": plan.prior,
        "parameters": fitted.parameters,
        "norm": plan.norm,
        "init": plan.init,
        "cell": plan.cell,
        "refine": plan.refine,
        "refine_steps": plan.refine_steps,
        "objective": plan.objective,
        "preset": settings.preset,
        "stop": plan.stop,
        "clipping_undone": _ends_undone(problem, plan),
        "seed": plan.seed,
        "device": plan.device,
        "precision": fitted.precision,
        "threads": torch.get_num_threads(),
        "sigma": problem.sigma,
        "sigma_estimated": sigma_estimated,
        "noise_correlation": None if findings is None else findings.correlation.coefficient,
        "impulses": None if findings is None else findings.share,
        "learning_rate": plan.learning_rate,
        "iterations": fitted.iterations,
        "iteration_best": fitted.iteration_best,
        "stop_reason": fitted.stop_reason,
        "seconds": round(seconds, 3),
        "seconds_per_iteration": (fitted.seconds - fitted.seconds_before) / max(1, fitted.iterations),
        "peak_memory_mb": peak_mb(plan.device),
        "max_memory_mb": None if settings.memory_limit is None else settings.memory_limit / 2**20,
        "tiles": _tiles(problem, plan, fitted),
        "warm_start": _warm_start(problem, plan, fitted),
        "psnr_peak": max(curve.psnr) if curve and curve.psnr else None,
        "psnr_final": curve.psnr[-1] if curve and curve.psnr else None,
        "psnr_network": curve.network[-1] if curve and curve.network else None,
        "psnr_estimate": estimate,
        "psnr_estimate_error": error,
        "warnings": list(warnings),
        "versions": _versions(),
        "null_reasons": {},
    }
    reasons = report["null_reasons"]
    if estimate is None:
        reasons["psnr_estimate"] = reasons["psnr_estimate_error"] = why_not
    for name in ("psnr_peak", "psnr_final", "psnr_network"):
        if report[name] is None:
            why = "a tile is not compared with the reference" if plan.tile_side else NO_REFERENCE
            reasons[name] = why if curve is None else "the fit ended before its first check"
    if findings is None:
        reasons["noise_correlation"] = reasons["impulses"] = "only denoising looks for it"
    elif findings.correlation.coefficient is None:
        reasons["noise_correlation"] = findings.correlation.reason
    if report["peak_memory_mb"] is None:
        reasons["peak_memory_mb"] = "this platform does not tell"
    if report["tiles"] is None:
        reasons["tiles"] = "the picture was fitted whole"
    if report["warm_start"] is None:
        reasons["warm_start"] = f"the first step was on a whole {'tile' if plan.tile_side else 'picture'}"
    if report["max_memory_mb"] is None:
        reasons["max_memory_mb"] = "no limit was given"
    reasons["output"] = "not written yet"
    reasons["arguments"] = "called from Python"
    if picture.path is None:
        reasons["input"] = "came as an array or from standard input"
    return _finite(report)


def diagnostics(record: HealthRecord | None, fitted: Fitted, baseline: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return `gradient_health` and `baseline` of a run; inside them, what is not finite is None."""
    health = None if record is None else gradient_health(record, fitted.set_back)
    found = {"gradient_health": strict(health), "baseline": strict(baseline)}
    reasons = {"gradient_health": "needs --health", "baseline": "needs --baseline"}
    return {**found, "null_reasons": {name: reasons[name] for name, value in found.items() if value is None}}


def against_reference(
    measured: Pixels, written: Pixels, reference: Pixels | None, hole: np.ndarray[Any, np.dtype[np.bool_]] | None
) -> dict[str, Any]:
    """Return `psnr_input, psnr, psnr_hole, ssim, lpips` of the `written` pixels, (C, H, W) on the scale of [0, 1].

    Args:
        measured: what was given, before the restoration.
        reference: the true picture, or None.
        hole: bool (H, W), True where pixels were unknown; None for other problems than inpainting.
    """
    names = ("psnr_input", "psnr", "psnr_hole", "ssim", "lpips")
    reasons: dict[str, str] = {}
    if reference is None:
        return {**dict.fromkeys(names), "null_reasons": dict.fromkeys(names, NO_REFERENCE)}
    truth, before, after = (torch.from_numpy(x.copy()) for x in (reference, measured, written))
    scores: dict[str, Any] = {
        "psnr_input": float(psnr(before, truth)),
        "psnr": float(psnr(after, truth)),
        "psnr_hole": None,
        "ssim": None,
        "lpips": None,
    }
    if hole is None:
        reasons["psnr_hole"] = "only inpainting has a hole"
    else:
        scores["psnr_hole"] = float(psnr(after, truth, where=torch.from_numpy(hole)))
    similarity = float(ssim(after, truth))
    scores["ssim"] = similarity
    if not math.isfinite(similarity):
        reasons["ssim"] = "the picture is smaller than the 11 x 11 window"
    distance = lpips_distance(after.clamp(0, 1), truth.clamp(0, 1))
    if isinstance(distance, LpipsUnavailable):
        reasons["lpips"] = f"{distance.reason} {distance.hint}"
    else:
        scores["lpips"] = float(distance)
    scores["null_reasons"] = reasons
    return _finite(scores)


def _estimate(
    problem: Problem, plan: Plan, fitted: Fitted, sigma_estimated: bool, kept: float
) -> tuple[float | None, float | None, str]:
    """Return the PSNR that the held-out pixels suggest, its standard error, and the reason if there is none.

    Their mean squared error is the image's plus sigma^2, which is taken off; of an inpainting, only the hole's part
    counts.
    """
    if fitted.held_out_error is None or fitted.held_out_deviation is None:
        return None, None, "no pixels were held out of this fit"
    if fitted.stop_reason in CUT_SHORT:
        return None, None, "the fit was cut short, and the held-out pixels then say too little of the others"
    if kept > 0:
        return None, None, "part of the picture is kept as it is, and the held-out pixels speak of the network alone"
    if plan.objective == "recorrupted" and int(problem.known.sum()) < FEWEST_JUDGED:
        return None, None, "the picture is small: its held-out pixels are worse than the others, by 1 to 6 dB"
    variance = (problem.sigma / 255) ** 2
    doubt = 2 * SIGMA_UNCERTAINTY * variance if sigma_estimated else 0.0
    error = fitted.held_out_error - variance
    deviation = math.hypot(fitted.held_out_deviation, doubt)
    if error <= 0:
        return None, None, "the held-out error is not above the noise: sigma is too high, or the error too small"
    decibels = 10 / math.log(10) * deviation / error
    if decibels > 1:
        return None, None, f"its standard error would be {decibels:.1f} dB, above 1 dB"
    if problem.kind == "inpaint":
        error *= 1 - float(problem.known.float().mean())
    return -10 * math.log10(error), decibels, ""


def _ends_undone(problem: Problem, plan: Plan) -> list[str]:
    """Return the ends of the range at which the mean of clipped noise is undone, of `black` and `white`."""
    if not plan.unclips or problem.level is None or not problem.level.is_clipped:
        return []
    return [name for name, clipped in zip(("black", "white"), problem.level.ends, strict=True) if clipped]


def _warm_start(problem: Problem, plan: Plan, fitted: Fitted) -> dict[str, Any] | None:
    """Return width and height of the middle that a large picture's fit, or each tile's, began with, and the steps."""
    if fitted.steps_before == 0:
        return None
    tile = begun_on(problem.size, plan)
    return {"size": [tile.width, tile.height], "iterations": fitted.steps_before}


def _tiles(problem: Problem, plan: Plan, fitted: Fitted) -> dict[str, Any] | None:
    """Return how many tiles there were, how many were restored, their height and width, and what neighbours share."""
    if plan.tile_side == 0:
        return None
    layout = make_layout(problem.size, plan.tile_side, plan.tile_overlap)
    told = {"count": fitted.tiles, "restored": fitted.tiles_fitted}
    return {**told, "size": [layout.tile_size[1], layout.tile_size[0]], "overlap": layout.overlap}


def _versions() -> dict[str, str]:
    return {
        "restore": version("restore"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _finite(report: Mapping[str, Any]) -> dict[str, Any]:
    """Replace infinities and NaN by None, and say so."""
    clean = dict(report)
    reasons = dict(clean["null_reasons"])
    for name, value in clean.items():
        if isinstance(value, float) and not math.isfinite(value):
            clean[name] = None
            reasons.setdefault(name, "the two pictures are equal" if value > 0 else "not a finite number")
    clean["null_reasons"] = reasons
    return clean
