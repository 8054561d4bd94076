"""Channel normalisation in generators: a step in one dimension, an image in two, and the surface of the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restore.priors import initialise, make_normalisation
from restore.studies.chains import Chains, step_function
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict
from restore.studies.pictures import photograph

__all__ = ["CLAIMS", "fit_step", "surface"]


def fit_step(normalised: bool, steps: int, seed: int) -> tuple[Chains, Tensor, list[float]]:
    """Fit a step of n = 1024 by 12 layers of 4 channels with rectifiers: SGD at 0.1, momentum 0.9, default weights."""
    generator = torch.Generator().manual_seed(seed)
    options: dict[str, Any] = {"channels": 4, "kernel": 3, "relu": True, "sigmoid": True}
    chains = Chains(1, 12, normalised=normalised, init="default", generator=generator, **options)
    code = torch.rand(4, 1024, generator=generator)
    return chains, code, _descend(chains, code, step_function(1024), steps, 0.1)


def _descend(network: nn.Module, code: Tensor, target: Tensor, steps: int, rate: float) -> list[float]:
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    found = []
    for _ in range(steps):
        loss = (network(code) - target).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def measure_step(conditions: Conditions) -> Outcome:
    """Fit the step with and without normalisation."""
    steps = 600 if conditions.quick else 2000
    found = {name: fit_step(name == "with", steps, conditions.seed)[2] for name in ("with", "without")}
    last = {name: losses[-1] for name, losses in found.items()}
    met = last["with"] < 0.01 and last["without"] > 0.2
    return Outcome(
        measured={"steps": steps, "last_loss": last, "variance_of_the_target": 0.25},
        threshold="below 0.01 with; above 0.2 without, where the mean of the target costs 0.25",
        verdict=Verdict.met if met else Verdict.not_reproduced,
        curves=[Curve(name, range(1, steps + 1), losses) for name, losses in found.items()],
        axes=("step", "mean squared error"),
        scales=("linear", "log"),
    )


class _Generator(nn.Sequential):
    """Six 3x3 convolutions of 32 channels, reflected at the border, each with ReLU and norm, then a 1x1 one."""

    def __init__(self, norm: str) -> None:
        layers: list[nn.Module] = []
        for _ in range(6):
            layers.append(nn.Conv2d(32, 32, 3, padding=1, padding_mode="reflect"))
            layers += [nn.ReLU(), make_normalisation(norm, 32)]
        super().__init__(*layers, nn.Conv2d(32, 1, 1))


def measure_image(conditions: Conditions) -> Outcome:
    """Fit a photograph by a two-dimensional generator from a fixed code, with and without normalisation."""
    size, steps = (48, 300) if conditions.quick else (128, 2000)
    target = torch.from_numpy(photograph(size))[None, None]
    found: dict[str, list[float]] = {}
    gradients: dict[str, float] = {}
    for name, norm in (("with", "channel"), ("without", "bias")):
        network = _Generator(norm)
        initialise(network, "default", torch.Generator().manual_seed(conditions.seed))
        code = 0.1 * torch.rand(1, 32, size, size, generator=torch.Generator().manual_seed(conditions.seed))
        found[name] = _descend(network, code, target, steps, 0.1)
        first = next(network.parameters())
        gradients[name] = 0.0 if first.grad is None else float(first.grad.norm())
    last = {name: losses[-1] for name, losses in found.items()}
    met = last["with"] < last["without"] / 5
    return Outcome(
        measured={"size": size, "steps": steps, "last_loss": last, "last_gradient_of_the_first_layer": gradients},
        threshold="the loss with normalisation ends below a fifth of that without",
        verdict=Verdict.met if met else Verdict.not_reproduced,
        curves=[Curve(name, range(1, steps + 1), losses) for name, losses in found.items()],
        axes=("step", "mean squared error"),
        scales=("linear", "log"),
    )


def surface(
    chains: Chains, code: Tensor, target: Tensor, points: int, seed: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the loss (points, points) over [-1, 1]^2 in two random directions, each filter's as long as the filter.

    Source of the scaling: arXiv:1712.09913.
    """
    generator = torch.Generator().manual_seed(seed)
    centre = [weight.detach().clone() for weight in chains.weights]
    directions = []
    for _ in range(2):
        drawn = [torch.randn(weight.shape, generator=generator) for weight in centre]
        directions.append(
            [
                d * w.norm(dim=(1, 2), keepdim=True) / d.norm(dim=(1, 2), keepdim=True)
                for d, w in zip(drawn, centre, strict=True)
            ]
        )
    axis = np.linspace(-1, 1, points)
    found = np.empty((points, points))
    with torch.no_grad():
        for row, a in enumerate(axis):
            for column, b in enumerate(axis):
                for weight, origin, first, second in zip(chains.weights, centre, *directions, strict=True):
                    weight.copy_(origin + a * first + b * second)
                found[row, column] = F.mse_loss(chains(code)[0], target).item()
        for weight, origin in zip(chains.weights, centre, strict=True):
            weight.copy_(origin)
    return found


def measure_surface(conditions: Conditions) -> Outcome:
    """Compare how much the loss varies around the fits of the step, with and without normalisation."""
    steps, points = (300, 11) if conditions.quick else (2000, 31)
    roughness: dict[str, float] = {}
    curves: list[Curve] = []
    for name in ("with", "without"):
        chains, code, _ = fit_step(name == "with", steps, conditions.seed)
        found = surface(chains, code, step_function(1024), points, conditions.seed)
        roughness[name] = float(np.median(np.abs(np.diff(found, axis=1))) * (points - 1) / 2)
        curves.append(Curve(name, np.linspace(-1, 1, points).tolist(), found[points // 2].tolist()))
    met = roughness["with"] > 10 * roughness["without"]
    return Outcome(
        measured={"median_slope": roughness},
        threshold="the median slope of the surface is more than ten times as large with normalisation",
        verdict=Verdict.met if met else Verdict.not_reproduced,
        curves=curves,
        axes=("along a random direction, in lengths of the filters", "mean squared error"),
    )


CLAIMS = (
    Claim(
        name="channel-norm-relu",
        text="A deep rectified network learns a step function with channel normalisation, and only its mean without.",
        source="arXiv:1907.09539",
        published="3.7e-5 with, 0.250 without, after 2,000 steps",
        expected=Verdict.met,
        measure=measure_step,
    ),
    Claim(
        name="channel-norm-2d",
        text="A convolutional generator fits an image with channel normalisation, and gets stuck without.",
        source="arXiv:1907.09539",
        published="3.7e-4 with, 4.8e-2 without, 256x256 and 5,000 steps, another image",
        expected=Verdict.met,
        measure=measure_image,
    ),
    Claim(
        name="loss-landscape",
        text="Around what was learned the loss is flat without channel normalisation, and is not with it.",
        source="arXiv:1907.09539",
        published=None,
        expected=Verdict.met,
        measure=measure_surface,
    ),
)
