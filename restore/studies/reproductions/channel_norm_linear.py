"""Channel normalisation in deep linear networks: gradients that arrive, and steps that grow more slowly with depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restore.studies.chains import Chains, step_function
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict

__all__ = ["CLAIMS", "Growth", "growth", "initial_gradients", "losses", "steps_to_learn"]

LENGTH = 128
DEPTHS = (5, 10, 20, 30)

GROWTH_DEPTHS = tuple(range(2, 9))
SEEDS = 10
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Rates of plain gradient descent, the best of which counts at every depth."""

LEARNED = 0.1
"""Share of the target's variance below which the loss counts as learned."""


def initial_gradients(depth: int, normalised: bool, init: str, seed: int) -> Tensor:
    """Return |dL/dw_l| at the start, (d,), the median over 20 draws, for half the mean squared error to a step."""
    generator = torch.Generator().manual_seed(seed)
    chains = Chains(20, depth, normalised=normalised, init=init, generator=generator)
    code = torch.rand(20, LENGTH, generator=generator)
    error = chains(code) - step_function(LENGTH)
    (error.square().mean(1) / 2).sum().backward()
    return chains.layer_gradients().median(0).values


def losses(depth: int, normalised: bool, steps: int, seed: int) -> list[float]:
    """Return the mean squared error to a step function over the steps: SGD at 0.1, momentum 0.9, default weights."""
    generator = torch.Generator().manual_seed(seed)
    chains = Chains(1, depth, normalised=normalised, init="default", generator=generator)
    code = torch.rand(1, LENGTH, generator=generator)
    optimizer = torch.optim.SGD(chains.parameters(), lr=0.1, momentum=0.9)
    found = []
    for _ in range(steps):
        loss = (chains(code) - step_function(LENGTH)).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def steps_to_learn(
    depth: int, normalised: bool, init: str, cap: int, seed: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the steps (seeds,) until the loss is a tenth of the target's variance, infinity where `cap` is not enough.

    Plain gradient descent on a target that two layers make, at the rate of `RATES` with the smallest median.
    """
    count = SEEDS * len(RATES)
    generator = torch.Generator().manual_seed(seed)
    code = torch.randn(SEEDS, LENGTH, generator=generator)
    teacher = Chains(SEEDS, 2, normalised=False, generator=generator)
    with torch.no_grad():
        target = teacher(code)
        target = (target - target.mean(1, keepdim=True)) / target.std(1, keepdim=True, correction=0)
    weights = torch.Generator().manual_seed(seed + 1 + depth)
    chains = Chains(count, depth, normalised=normalised, init=init, generator=weights)
    code, target = code.repeat(len(RATES), 1), target.repeat(len(RATES), 1)
    rates = torch.tensor(RATES).repeat_interleave(SEEDS)
    reached = torch.full((count,), float("inf"))
    for step in range(1, cap + 1):
        loss = (chains(code) - target).square().mean(1)
        reached = torch.where(reached.isinf() & (loss.detach() < LEARNED), float(step), reached)
        if step % 50 == 0 and bool((~reached.isinf()).view(len(RATES), SEEDS).all(1).any()):
            break
        chains.zero_grad(set_to_none=True)
        (loss.sum() / 2).backward()
        with torch.no_grad():
            for parameter in chains.parameters():
                each = rates.repeat_interleave(len(parameter) // count).view(-1, *[1] * (parameter.dim() - 1))
                if parameter.grad is not None:
                    parameter.sub_(each * parameter.grad)
    found = reached.view(len(RATES), SEEDS).double().numpy()
    return np.asarray(found[int(np.argmin([np.median(row) for row in found]))])


@dataclass(frozen=True)
class Growth:
    """A line through log(steps) over depth: slope with its 95 % bootstrap interval, R^2, and unreached runs."""

    slope: float
    low: float
    high: float
    r_squared: float
    censored: int


def growth(
    depths: Sequence[int], steps: Sequence[np.ndarray[Any, np.dtype[np.float64]]], cap: int, seed: int
) -> Growth:
    """Fit log(median steps) over depth; runs that were not done at the `cap` count as done there (the slope is then a
    lower bound), and the interval is over resampled seeds."""
    table = np.log(np.minimum(np.stack(steps), cap))  # (depths, seeds)
    x = np.asarray(depths, dtype=np.float64)

    def line(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
        y = np.median(values, axis=1)
        slope, level = np.polyfit(x, y, 1)
        spread = float(((y - y.mean()) ** 2).sum())
        return float(slope), 1 - float(((y - level - slope * x) ** 2).sum()) / spread if spread > 0 else 1.0

    slope, r_squared = line(table)
    random = np.random.default_rng(seed)
    draws = [line(table[:, random.integers(0, table.shape[1], table.shape[1])])[0] for _ in range(1000)]
    low, high = np.quantile(draws, (0.025, 0.975))
    return Growth(slope, float(low), float(high), r_squared, int(np.isinf(np.stack(steps)).sum()))


def measure(conditions: Conditions) -> Outcome:
    """Measure initial gradients, losses over steps, and steps over depth, with and without."""
    seed = conditions.seed
    gradients = {
        f"{'with' if normalised else 'without'}, {init}": [
            float(initial_gradients(depth, normalised, init, seed).median()) for depth in DEPTHS
        ]
        for normalised in (True, False)
        for init in ("default", "preserving")
    }
    steps = 300 if conditions.quick else 2000
    last = {
        f"depth {depth}, {'with' if normalised else 'without'}": losses(depth, normalised, steps, seed)
        for depth in DEPTHS
        for normalised in (True, False)
    }
    cap = 2000 if conditions.quick else 10_000
    found: dict[str, Growth] = {}
    medians: dict[str, list[float]] = {}
    for name in gradients:
        which, init = name.split(", ")
        conditions.say(f"channel-norm-linear: steps over depth, {name}")
        taken = [steps_to_learn(depth, which == "with", init, cap, seed) for depth in GROWTH_DEPTHS]
        found[name] = growth(GROWTH_DEPTHS, taken, cap, seed)
        medians[name] = [float(np.median(np.minimum(each, cap))) for each in taken]
    deepest = {name: values[-1] for name, values in gradients.items()}
    arrive = deepest["with, default"] > 1e-3 and deepest["without, default"] < 1e-8
    slower = found["without, default"].low > found["with, default"].high
    return Outcome(
        measured={
            "initial_gradient_at_depth_30": deepest,
            "last_loss": {name: values[-1] for name, values in last.items()},
            "growth_per_layer": {name: vars(each) for name, each in found.items()},
        },
        threshold="depth 30, PyTorch's own weights: layer gradients above 1e-3 with and below 1e-8 without; the slope "
        "of log steps over depth, 2 to 8, is larger without than with, and the intervals do not touch",
        verdict=Verdict.met if arrive and slower else Verdict.not_reproduced,
        curves=[Curve(name, GROWTH_DEPTHS, values) for name, values in medians.items()],
        axes=("depth", "steps to a tenth of the variance"),
        scales=("linear", "log"),
        note="PyTorch's own weights shrink the signal by sqrt(3) a layer, and that is what most of the difference "
        "comes from: with weights that keep its power the gradient without normalisation is "
        f"{deepest['without, preserving']:.2g} at depth 30 in the place of {deepest['without, default']:.2g}, and the "
        f"slopes are {found['without, preserving'].slope:.2f} without and {found['with, preserving'].slope:.2f} with. "
        "Runs that were not done count as done at the cap, so that their slope is a lower bound.",
    )


CLAIMS = (
    Claim(
        name="channel-norm-linear",
        text="In deep single-channel linear networks gradient descent needs exponentially many steps without channel "
        "normalisation; with it, gradients arrive.",
        source="arXiv:1907.09539",
        published="depth 30 at the start: layer gradients 9e-3 to 5e-2 with, 4e-11 to 1.3e-9 without",
        expected=Verdict.met,
        measure=measure,
    ),
)
