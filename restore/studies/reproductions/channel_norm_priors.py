"""Channel normalisation in the published priors: loss, PSNR and layer gradients of a photograph, with and without."""

from __future__ import annotations

import dataclasses

import torch

from restore.fitting import make_plan
from restore.health.baseline import Side, fit_side
from restore.health.convergence import compare
from restore.problems.problem import denoising
from restore.settings import FitSettings
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict
from restore.studies.pictures import photograph

__all__ = ["CLAIMS"]

SIGMA = 25


def measure(prior: str, conditions: Conditions) -> Outcome:
    """Denoise the photograph by the published settings of `prior`, normalised and with offsets alone."""
    size, steps = (64, 150) if conditions.quick else (128, 1500)
    true = torch.from_numpy(photograph(size))[None]
    generator = torch.Generator().manual_seed(conditions.seed)
    problem = denoising(true + SIGMA / 255 * torch.randn(true.shape, generator=generator), float(SIGMA))
    settings = FitSettings(prior=prior, preset="paper", iterations=steps, seed=conditions.seed)
    plan = make_plan(problem, settings)
    sides: dict[str, Side] = {}
    for name, norm in (("with", "channel"), ("without", "bias")):
        conditions.say(f"channel-norm-{prior}: {name}")
        sides[name] = fit_side(name, problem, dataclasses.replace(plan, norm=norm), true[None])
    compared = compare(sides["with"].run, sides["without"].run)
    loss = {name: float(side.run.smooth_loss[-1]) for name, side in sides.items()}
    met = loss["with"] < loss["without"] and (compared["speedup"] is None or compared["speedup"] > 1)
    return Outcome(
        measured={
            "size": size,
            "steps": steps,
            "last_loss": loss,
            "psnr_peak": {name: float(side.run.psnr.max()) for name, side in sides.items()},
            "psnr_final": {name: float(side.run.psnr[-1]) for name, side in sides.items()},
            "first_layer_over_last": {name: side.health["depth_ratio"] for name, side in sides.items()},
            "verdict": {name: side.health["verdict"] for name, side in sides.items()},
            "speedup": compared["speedup"],
        },
        threshold="a lower loss with normalisation after the same steps, and 90 % of its fall sooner",
        verdict=Verdict.met if met else Verdict.not_reproduced,
        curves=[Curve(name, side.run.iteration.tolist(), side.run.loss.tolist()) for name, side in sides.items()],
        axes=("step", "mean squared error"),
        scales=("linear", "log"),
    )


CLAIMS = (
    Claim(
        name="channel-norm-dip",
        text="The deep image prior fits a photograph in fewer steps with channel normalisation than without.",
        source="arXiv:1907.09539, arXiv:1711.10925",
        published=None,
        expected=Verdict.met,
        measure=lambda conditions: measure("dip", conditions),
    ),
    Claim(
        name="channel-norm-decoder",
        text="The deep decoder fits a photograph in fewer steps with channel normalisation than without.",
        source="arXiv:1907.09539, arXiv:1810.03982",
        published=None,
        expected=Verdict.met,
        measure=lambda conditions: measure("decoder", conditions),
    ),
)
