"""The GRU as a continuous-time system: limit cycles, multistability, and no continuous attractor."""

from __future__ import annotations

import math
from typing import Any

import torch

from restore.cells.ctgru import CTGRU
from restore.cells.dynamics import set_parameters_
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict
from restore.studies.dynamics import Analysis, analyse

__all__ = ["CLAIMS", "analysed", "census"]

BISTABLE: dict[str, Any] = {
    "U_r": [[-3.536, -5.208], [-1.853, -0.967]],
    "b_r": [2.95, 0.223],
    "U_h": [[-0.021, 3.492], [-8.059, 3.613]],
    "b_h": [0.915, 0.907],
}


def _turning(angle: float) -> dict[str, Any]:
    """Return U_h = 3 R(angle)."""
    cosine, sine = 3 * math.cos(angle), 3 * math.sin(angle)
    return {"U_h": [[cosine, -sine], [sine, cosine]]}


CASES: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "four stable points": (_turning(0.1), {"stable": 4, "saddles": 4, "unstable": 1, "cycles": 0}),
    "a stable cycle": (_turning(0.5), {"stable": 0, "saddles": 0, "unstable": 1, "cycles": 1}),
    "a stable focus": (_turning(0.9), {"stable": 1, "saddles": 0, "unstable": 0, "cycles": 0}),
    "a cycle beside a stable point": (BISTABLE, {"stable": 1, "saddles": 1, "unstable": 1, "cycles": 1}),
}
"""Parameters of two-dimensional cells, and what they were worked out to have."""


def analysed(parameters: dict[str, Any]) -> Analysis:
    """Return the analysis of a cell with these parameters, all others 0."""
    cell = CTGRU(2, dtype=torch.float64)
    zero = {name: torch.zeros_like(parameter) for name, parameter in cell.named_parameters()}
    set_parameters_(cell, {**{name: value.tolist() for name, value in zero.items()}, **parameters})
    return analyse(cell, exponent_steps=50)


def census(found: Analysis) -> tuple[dict[str, int], float]:
    """Return the numbers of stable points, saddles, unstable points and stable cycles, and the least |eigenvalue|."""
    kinds = [point.kind for point in found.fixed_points]
    counts = {
        "stable": sum(kind.startswith("stable") for kind in kinds),
        "saddles": kinds.count("saddle"),
        "unstable": sum(kind.startswith("unstable") for kind in kinds),
        "cycles": len(found.cycles),
    }
    return counts, min(float(point.eigenvalues.abs().min()) for point in found.fixed_points)


def measure(conditions: Conditions) -> Outcome:
    """Take the census of every parameter set."""
    analyses = {name: analysed(parameters) for name, (parameters, _) in CASES.items()}
    found = {name: census(analysis) for name, analysis in analyses.items()}
    right = all(counts == CASES[name][1] for name, (counts, _) in found.items())
    isolated = min(least for _, least in found.values())
    return Outcome(
        measured={**{name: counts for name, (counts, _) in found.items()}, "least_eigenvalue": isolated},
        threshold="the numbers of fixed points and cycles are those worked out; no eigenvalue of a fixed point is 0, "
        "so that none belongs to a continuous attractor",
        verdict=Verdict.met if right and isolated > 1e-3 else Verdict.not_reproduced,
        curves=[
            Curve(name, cycle.orbit[:, 0].tolist(), cycle.orbit[:, 1].tolist())
            for name, analysis in analyses.items()
            for cycle in analysis.cycles
        ],
        axes=("h_1", "h_2"),
    )


CLAIMS = (
    Claim(
        name="gru-dynamics",
        text="A two-dimensional GRU in continuous time has stable limit cycles and several attractors at once, but no "
        "continuous attractor.",
        source="doi:10.3389/fncom.2021.678158",
        published=None,
        expected=Verdict.met,
        measure=measure,
    ),
)
