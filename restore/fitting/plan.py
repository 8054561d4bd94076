"""From what a user said to what a fit does: every choice is made before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from restore.errors import UsageError
from restore.fitting import paper
from restore.fitting.precision import resolve_device, resolve_precision
from restore.problems.holes import hole_radius
from restore.problems.problem import Problem
from restore.settings import FitSettings, Plan

__all__ = ["make_plan"]

WORK = {"fast": 0.4, "balanced": 1.0, "best": 4.0}
"""Steps of a preset, as a multiple of the default's."""

FEWEST_HELD_OUT = 64
"""Held-out pixels below which their error says too little to stop by."""

WIDE_RADIUS = 16.0
"""Holes that hold a larger disc are regions: nothing known looks like them, so there is nothing to learn them from."""

BLINDSPOT: Mapping[str, Mapping[str, Any]] = {
    "denoise": {
        "iterations": 650,
        "loss": "squared",
        "hidden": 0.2,
        "residual": False,
        "average": 0.98,
        "learning_rate": 3e-3,
        "beta2": 0.95,
        "patience": 150,
    },
    "inpaint": {
        "iterations": 1600,
        "loss": "absolute",
        "hidden": 0.2,
        "residual": True,
        "average": 0.98,
        "learning_rate": 3e-3,
        "patience": 300,
    },
}

FIT: Mapping[str, Any] = {
    "iterations": 1800,
    "average": 0.99,
    "learning_rate": 0.01,
    "code_noise": 1 / 30,
    "patience": 300,
}

DEFAULTS: Mapping[str, Any] = {
    "norm": "channel",
    "init": "default",
    "network": {},
    "beta2": 0.999,
    "loss": "squared",
    "code": "noise",
    "code_channels": 32,
    "code_noise": 0.0,
    "hidden": 0.0,
    "residual": False,
    "held_out": 0.02,
    "average": 0.0,
    "warmup": 200,
    "patience": 1000,
    "rewind_rate": 0.5,
}


def make_plan(problem: Problem, settings: FitSettings) -> Plan:
    """Return the plan that `settings` ask for on this `problem` and machine.

    The number of steps depends on the picture's size and never on a clock, so that a plan can be repeated.

    Raises UsageError for settings that contradict each other, DeviceError for a device that is not there.
    """
    device = resolve_device(settings.device)
    published = settings.preset.startswith("paper")
    prior = settings.prior or ("dip" if published else "hourglass")
    objective = _objective(problem, settings, prior, published)

    values: dict[str, Any] = dict(DEFAULTS)
    if published:
        values |= _published(problem, settings, prior)
    elif objective == "blindspot":
        values |= BLINDSPOT[problem.kind]
        values["iterations"] = _steps(values["iterations"], problem, settings.preset)
    else:
        values |= FIT
        values["iterations"] = _steps(values["iterations"], problem, settings.preset)
        if prior == "decoder":
            values["code_noise"] = 0.0

    for name in ("norm", "init", "learning_rate", "iterations"):
        if getattr(settings, name) is not None:
            values[name] = getattr(settings, name)
    if settings.iterations is None and settings.optimizer == "sgd":
        values["iterations"] *= 2
    values["network"] = {**values["network"], **settings.network}
    values["stop"] = _stop(settings, published)
    if values["stop"] != "heldout" or int(problem.known.sum()) * values["held_out"] < FEWEST_HELD_OUT:
        values["held_out"] = 0.0
        values["stop"] = "none" if values["stop"] == "heldout" else values["stop"]
    return Plan(
        prior=prior,
        optimizer=settings.optimizer,
        objective=objective,
        time_budget=settings.time_budget,
        seed=settings.seed,
        device=str(device),
        precision=resolve_precision(settings.precision, device),
        **values,
    )


def _objective(problem: Problem, settings: FitSettings, prior: str, published: bool) -> str:
    if published and settings.objective == "blindspot":
        raise UsageError("the published settings fit a fixed code: --preset paper excludes --objective blindspot.")
    if settings.objective != "auto":
        if settings.objective == "blindspot" and prior == "decoder":
            raise UsageError(
                "objective 'blindspot' shows the network a picture, but the prior 'decoder' only takes a small code: "
                "use --objective fit, or --prior hourglass or dip."
            )
        return settings.objective
    if published or prior == "decoder":
        return "fit"
    if problem.kind == "inpaint" and hole_radius(~problem.known[0, 0].cpu().numpy()) > WIDE_RADIUS:
        return "fit"
    return "blindspot"


def _published(problem: Problem, settings: FitSettings, prior: str) -> dict[str, Any]:
    if prior not in ("dip", "decoder"):
        raise UsageError(f"there are no published settings for the prior {prior!r}: use --prior dip or decoder.")
    name = settings.preset.partition(":")[2]
    if prior == "decoder":
        if name:
            raise UsageError(f"--preset paper:{name} is a setting of the prior dip: use --preset paper with decoder.")
        values = dict(paper.DECODER)
    else:
        values = dict(paper.DIP_SETTINGS[name or paper.choose(problem)])
        if problem.kind == "denoise" and problem.sigma >= 40:
            values["code_noise"] = 1 / 20
    # As published a collapsed fit is set back to its last good state and goes on at the same rate.
    return {"held_out": 0.0, "rewind_rate": 1.0, **values}


def _stop(settings: FitSettings, published: bool) -> str:
    if settings.stop != "auto":
        return settings.stop
    # The held-out error needs no knowledge of the noise and holds under every normalisation, which the variance of
    # the outputs does not. The published settings run to their end.
    return "none" if published else "heldout"


def _steps(steps: int, problem: Problem, preset: str) -> int:
    """Scale the number of steps to the preset's work and the picture's size: more pixels teach more in a step."""
    height, width = problem.size
    size = min(1.0, (65536 / (height * width)) ** 0.4)
    return max(50, round(steps * WORK[preset] * float(size)))
