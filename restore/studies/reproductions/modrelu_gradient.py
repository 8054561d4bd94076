"""scuRNN: the modReLU of a unitary network has a gradient without bound where its bias is positive."""

from __future__ import annotations

import torch

from restore.cells.modrelu import modrelu_gain
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict

__all__ = ["CLAIMS"]

BIASES = (0.01, 0.0, -0.01)


def measure(conditions: Conditions) -> Outcome:
    """Measure how much complex modReLU stretches a small change of z, towards z = 0."""
    modulus = torch.logspace(0, -5, 51, dtype=torch.float64)
    gains = {bias: modrelu_gain(modulus, bias).tolist() for bias in BIASES}
    published = modrelu_gain(modulus, 0.01, epsilon=1e-5).tolist()
    met = gains[0.01][-1] > 1000 and max(gains[0.0] + gains[-0.01]) <= 1 + 1e-12
    curves = [Curve(f"b = {bias:g}", modulus.tolist(), found) for bias, found in gains.items()]
    return Outcome(
        measured={
            "gain_at_1e-3": modrelu_gain(torch.tensor([1e-3]), 0.01).item(),
            "gain_at_1e-5": gains[0.01][-1],
            "largest_gain_of_a_bias_of_at_most_0": max(gains[0.0] + gains[-0.01]),
            "largest_gain_with_the_released_smoothing": max(published),
        },
        threshold="above 1000 at |z| = 1e-5 for b = 0.01 (the formula 1 + b/|z| gives 1001); at most 1 for b <= 0",
        verdict=Verdict.met if met else Verdict.not_reproduced,
        curves=[*curves, Curve("b = 0.01, smoothed", modulus.tolist(), published, dashed=True)],
        axes=("|z|", "largest singular value of the Jacobian"),
        scales=("log", "log"),
    )


CLAIMS = (
    Claim(
        name="modrelu-gradient",
        text="The gradient of complex modReLU has no bound at z = 0 for a positive bias, and one of 1 for others.",
        source="arXiv:1811.04142",
        published=None,
        expected=Verdict.met,
        measure=measure,
    ),
)
