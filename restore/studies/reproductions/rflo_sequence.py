"""RFLO: a circuit around the network strings short learned patterns into longer sequences."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from restore.cells.rflo import RFLO
from restore.cells.rflo_learning import RFLONetwork
from restore.cells.rflo_sequence import SequenceCircuit
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict

__all__ = ["CLAIMS"]

LENGTH = 30
ORDERS = {(1, 2, 0): [0, 1, 2] * 3, (2, 0, 1): [0, 2, 1] * 3, (1, 0, 0): [2] + [0, 1] * 4}
"""What follows each pattern, and the nine patterns that are then to be played."""


def _patterns() -> Tensor:
    time = 2 * math.pi * torch.arange(LENGTH) / LENGTH
    waves = (torch.sin(time), torch.sin(2 * time), 0.5 * torch.cos(time) - 0.5 * torch.cos(3 * time))
    return torch.stack(waves).unsqueeze(-1)


def measure(conditions: Conditions) -> Outcome:
    """Learn three patterns by the local rule, then three orders by the delta rule, and play them."""
    generator = torch.Generator().manual_seed(conditions.seed + 2)
    cell = RFLO(100, tau=3.0, learning_rule="rflo", generator=generator)
    circuit = SequenceCircuit(RFLONetwork(cell, 3, 1, generator=generator), _patterns())
    errors = circuit.practise(600, 2e-3, generator)

    def error(outputs: Tensor, played: list[int]) -> float:
        return (outputs - circuit.patterns[played]).square().mean().item()

    alone = sum(error(circuit.play(first)[0], [first]) for first in range(3)) / 3
    right, worst = 0, 0.0
    for successors, wanted in ORDERS.items():
        circuit.learn_order(successors)
        outputs, played = circuit.play(wanted[0], len(wanted))
        right += played == wanted
        worst = max(worst, error(outputs, played))
    met = right == len(ORDERS) and worst <= 2 * alone
    return Outcome(
        measured={"orders_played_right": right, "error_alone": alone, "worst_error_in_sequence": worst},
        threshold="all three orders; the error in a sequence at most twice that of a pattern alone",
        verdict=Verdict.met if met else Verdict.not_reproduced,
        curves=[Curve("squared error in practice", range(1, len(errors) + 1), errors)],
        axes=("round", "squared error"),
        scales=("linear", "log"),
    )


CLAIMS = (
    Claim(
        name="rflo-sequence",
        text="An augmented circuit lets a network that learned short patterns concatenate them into longer sequences.",
        source="doi:10.7554/eLife.43299",
        published=None,
        expected=Verdict.met,
        measure=measure,
    ),
)
