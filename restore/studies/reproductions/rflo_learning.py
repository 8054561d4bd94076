"""RFLO: a recurrent network learns a time series by a local rule with random feedback."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from restore.cells.rflo import RFLO
from restore.cells.rflo_learning import RFLONetwork
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict

__all__ = ["CLAIMS", "sine_target", "train"]

SIZE, LENGTH = 50, 100
RATE = 0.03
"""Of all weights, as published; W_in learns nothing here, since there is no input."""

TRIALS = 10_000
EVERY = 50


def sine_target(length: int = LENGTH) -> Tensor:
    """Return y*_t = sin(2 pi t / T) + sin(4 pi t / T) / 2 + sin(8 pi t / T) / 4, t = 1..T, float64 (T, 1)."""
    phase = 2 * math.pi * torch.arange(1, length + 1, dtype=torch.float64)[:, None] / length
    return phase.sin() + (2 * phase).sin() / 2 + (4 * phase).sin() / 4


def train(trials: int, seed: int) -> tuple[list[float], list[float]]:
    """Return the mean squared error and the alignment of W_out with B^T, every 50 trials and after the last."""
    generator = torch.Generator().manual_seed(seed)
    cell = RFLO(SIZE, learning_rule="rflo", generator=generator, dtype=torch.float64)
    network = RFLONetwork(cell, 1, 1, generator=generator)
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE)
    target = sine_target()
    silence = torch.zeros_like(target)
    errors, alignments = [], []
    for trial in range(1, trials + 1):
        outputs, _ = network(silence)
        error = (target - outputs).square()
        if trial % EVERY == 1 or trial == trials:
            errors.append(error.mean().item())
            alignments.append(network.readout.alignment())
        network.zero_grad(set_to_none=True)
        (error.sum() / 2 / LENGTH).backward()
        optimizer.step()
    return errors, alignments


def measure(conditions: Conditions) -> Outcome:
    """Train on the sine target and compare the last loss with the first, and the alignments."""
    trials = TRIALS // 4 if conditions.quick else TRIALS
    errors, alignments = train(trials, conditions.seed)
    fall = errors[0] / errors[-1]
    met = fall > 10 and alignments[-1] > 0.5
    seen = [1 + EVERY * at for at in range(len(errors))]
    return Outcome(
        measured={
            "trials": trials,
            "first_error": errors[0],
            "last_error": errors[-1],
            "fall": fall,
            "first_alignment": alignments[0],
            "last_alignment": alignments[-1],
        },
        threshold="the squared error falls more than tenfold; the cosine of W_out and B^T ends above 0.5",
        verdict=Verdict.met if met else Verdict.not_reproduced,
        curves=[Curve("squared error", seen, errors), Curve("alignment", seen, alignments)],
        axes=("trial", ""),
        scales=("linear", "log"),
    )


CLAIMS = (
    Claim(
        name="rflo-learning",
        text="A recurrent network learns a time series by a local rule with fixed random feedback, and its readout "
        "aligns with the feedback.",
        source="doi:10.7554/eLife.43299",
        published=None,
        expected=Verdict.met,
        measure=measure,
    ),
)
