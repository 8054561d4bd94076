"""Does a recurrent refinement help? PSNR with and without at equal time, on other pictures than those that chose it.

Time is made equal by counting: the steps of each fit are those of the bare prior, divided by the ratio of their times
that `refinement_costs` measures in one interleaved run. So nothing that else runs on the machine takes sides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from restore.fitting import build_prior, make_plan
from restore.images import atomic_write_bytes
from restore.problems.problem import denoising
from restore.runs.trial import Damage
from restore.settings import FitSettings
from restore.studies.gain_trials import Gain, Variant, measure_variants, middle
from restore.studies.refinement_cost import refinement_costs

__all__ = ["FULL", "QUICK", "Budget", "measure_gain"]

CELLS = ("scornn", "scurnn", "enrnn", "ncgru", "sbornn", "gru")

DESIGNS: Mapping[str, Mapping[str, int]] = {
    "hourglass": {"features": 8, "estimate": 4},
    "decoder": {"features": 8, "generator": 6},
}
"""Designs that are screened on each prior, and their T."""

GROWTH: Mapping[str, tuple[str, Sequence[int]]] = {
    "hourglass": ("tail", range(0, 16)),
    "decoder": ("channels", range(8, 257, 4)),
}
"""The option by which the bare prior gets as many parameters as the refined one has."""


@dataclass(frozen=True)
class Budget:
    """Sizes and steps of the bare prior.

    Attributes:
        screen, final: height and width of the middle part of the pictures that is used.
        screen_steps: steps of the bare prior, by prior, where cells are screened.
        final_steps: the same, by problem, where the winners are measured.
        rounds: of the measurement of the times.
        seeds: of the final fits.
        cells: that are screened.
    """

    screen: int
    final: int
    screen_steps: Mapping[str, int]
    final_steps: Mapping[str, Mapping[str, int]]
    rounds: int
    seeds: tuple[int, ...]
    cells: tuple[str, ...] = CELLS


FULL = Budget(
    screen=128,
    final=256,
    screen_steps={"hourglass": 500, "decoder": 600},  # some 15 seconds each
    final_steps={"noise25": {"hourglass": 500, "decoder": 500}, "missing50": {"hourglass": 640, "decoder": 500}},
    rounds=12,
    seeds=(0, 1, 2),
)
"""The steps of the default preset where it denoises, and of `fast` where it fills."""

QUICK = Budget(
    screen=64,
    final=64,
    screen_steps={"hourglass": 4, "decoder": 4},
    final_steps={"noise25": {"hourglass": 4, "decoder": 4}, "missing50": {"hourglass": 4, "decoder": 4}},
    rounds=1,
    seeds=(0,),
    cells=("scornn", "gru"),
)


def measure_gain(
    screen: str | Path,
    finals: Sequence[str | Path],
    folder: str | Path,
    budget: Budget,
    *,
    device: str = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[Gain], list[Gain]]:
    """Return the gains of the screening and those of the best refinement of each prior on the other pictures.

    Started again on the same folder it goes on where it was; several processes may share one folder.

    Args:
        screen: picture that chooses the refinements.
        finals: pictures that they are measured on.
        folder: of the results.
        budget: sizes and steps.
        device: as in `FitSettings`.
        say: told of progress.

    Raises InputError for a picture that is too small, OutputError where the folder cannot be used.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    ratios = _ratios(folder / "times-screen.json", budget, budget.screen, _candidates(budget, device), say)
    variants = [
        variant
        for prior, steps in budget.screen_steps.items()
        for variant in (
            _bare(prior, steps, device),
            *(_timed(name, each, steps, ratios) for name, each in _candidates(budget, device) if each.prior == prior),
        )
    ]
    screened = measure_variants(
        folder / "screen", "noise25", variants, [middle(screen, budget.screen, Damage("noise", 25))], (0,), say
    )
    best = [_best(screened, prior) for prior in budget.screen_steps]
    chosen = [(name, each) for name, each in _candidates(budget, device) if (each.prior, name) in best]
    say(f"chosen: {best}")

    problems = {"noise25": Damage("noise", 25), "missing50": Damage("missing", 0.5)}
    grown = [("none, as many parameters", _grown(each)) for _, each in chosen]
    ratios = _ratios(folder / "times-final.json", budget, budget.final, [*chosen, *grown], say)
    judged: list[Gain] = []
    for problem, damage in problems.items():
        variants = []
        for prior, steps in budget.final_steps[problem].items():
            own = [(name, each) for name, each in (*chosen, *grown) if each.prior == prior]
            variants += [_bare(prior, steps, device), *(_timed(name, each, steps, ratios) for name, each in own)]
        sources = [middle(path, budget.final, damage) for path in finals]
        judged += measure_variants(folder / problem, problem, variants, sources, budget.seeds, say)
    return screened, judged


def _best(gains: Sequence[Gain], prior: str) -> tuple[str, str]:
    best = max(
        (gain for gain in gains if gain.prior == prior and gain.variant != "none"), key=lambda gain: gain.written
    )
    return best.prior, best.variant


def _candidates(budget: Budget, device: str) -> list[Variant]:
    return [
        (
            f"{cell}, {design}, T = {steps}",
            FitSettings(prior=prior, optimizer="adam", device=device, cell=cell, refine=design, refine_steps=steps),
        )
        for prior in budget.screen_steps
        for design, steps in DESIGNS[prior].items()
        for cell in budget.cells
    ]


def _bare(prior: str, steps: int, device: str) -> Variant:
    return "none", FitSettings(prior=prior, optimizer="adam", device=device, iterations=steps)


def _timed(name: str, settings: FitSettings, steps: int, ratios: Mapping[str, float]) -> Variant:
    return name, replace(settings, iterations=max(1, round(steps / ratios[f"{settings.prior}: {name}"])))


def _ratios(
    path: Path, budget: Budget, size: int, variants: Sequence[Variant], say: Callable[[str], None]
) -> dict[str, float]:
    """Return the time of a step of each variant over that of its bare prior; kept, so that plans stay the same."""
    kept: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    for name, settings in variants:
        key = f"{settings.prior}: {name}"
        if key in kept:
            continue
        bare = _without(settings)
        ratio = refinement_costs(bare, [settings], size=(size, size), rounds=budget.rounds)[1].ratio
        say(f"{key}: a step takes {ratio:.2f} times as long")
        # What another process has written meanwhile holds for this one too: both must make the same plan.
        kept = {key: ratio, **kept, **(json.loads(path.read_text()) if path.exists() else {})}
        atomic_write_bytes(path, (json.dumps(kept, indent=2) + "\n").encode(), existing="overwrite")
    return kept


def _without(settings: FitSettings) -> FitSettings:
    return replace(settings, cell="none", refine=None, refine_steps=None, network={})


def _grown(settings: FitSettings) -> FitSettings:
    """Return the bare prior whose number of parameters is nearest to that of the refined one."""
    option, values = GROWTH[str(settings.prior)]
    wanted = _parameters(settings)
    choices = [replace(_without(settings), network={option: value}) for value in values]
    return min(choices, key=lambda choice: abs(_parameters(choice) - wanted))


def _parameters(settings: FitSettings) -> int:
    problem = denoising(torch.zeros(3, 64, 64), 25.0)
    return sum(parameter.numel() for parameter in build_prior(problem, make_plan(problem, settings)).parameters())
