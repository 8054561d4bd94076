"""The published settings of the deep image prior and the deep decoder.

Deep image prior: Ulyanov, Vedaldi, Lempitsky, arXiv:1711.10925, with the settings of the authors' own notebooks, one
entry a picture. Deep decoder: Heckel, Hand, arXiv:1810.03982. All use mean squared error and Adam.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from restore.problems.holes import hole_radius
from restore.problems.problem import Problem

__all__ = ["DECODER", "DIP_SETTINGS", "choose"]

STROKES, WIDE = 1.5, 12.0
"""Radii in pixels above which a hole is taken for strokes, and for a region."""

STRONG_SIGMA, STRONG_CODE_NOISE = 40.0, 1 / 20
"""Noise from which on f16 perturbs its code more: published for sigma 25 with 1/30 and for sigma 50 with 1/20."""

DIP_SETTINGS: dict[str, Mapping[str, Any]] = {
    "f16": {  # denoising
        "network": {},
        "code_channels": 32,
        "code_noise": 1 / 30,
        "learning_rate": 0.01,
        "iterations": 3000,
        "average": 0.99,
    },
    "jpeg": {  # removing compression artefacts
        "network": {"down": (8, 16, 32, 64, 128), "up": (8, 16, 32, 64, 128), "skip": (0, 0, 0, 4, 4)},
        "code_channels": 3,
        "code_noise": 1 / 30,
        "learning_rate": 0.01,
        "iterations": 2400,
        "average": 0.99,
    },
    "vase": {  # one large hole
        "network": {"skip": (0,) * 5, "upsample": "nearest"},
        "code": "meshgrid",
        "code_channels": 2,
        "code_noise": 0.03,
        "learning_rate": 0.01,
        "iterations": 5001,
    },
    "kate": {  # text over a picture
        "network": {"skip": (128,) * 5, "upsample": "nearest"},
        "code_channels": 32,
        "code_noise": 0.03,
        "learning_rate": 0.01,
        "iterations": 6001,
    },
    "library": {  # a region, with the deepest network
        "network": {
            "down": (16, 32, 64, 128, 128, 128),
            "up": (16, 32, 64, 128, 128, 128),
            "skip": (0,) * 6,
            "kernel_down": 5,
            "upsample": "nearest",
            "pointwise_up": False,
        },
        "code_channels": 1,
        "code_noise": 0.0,
        "learning_rate": 0.01,
        "iterations": 3001,
    },
    "pixels": {  # half of the pixels missing
        "network": {},
        "code_channels": 32,
        "code_noise": 0.03,
        "learning_rate": 0.001,
        "iterations": 11000,
    },
    "kate98": {  # 98 % of the pixels missing
        "network": {
            "down": (16, 32, 64, 128, 128),
            "up": (16, 32, 64, 128, 128),
            "skip": (0,) * 5,
            "pool": "average",
        },
        "code_channels": 32,
        "code_noise": 0.0,
        "learning_rate": 0.01,
        "iterations": 1000,
    },
}

DECODER: Mapping[str, Any] = {
    "network": {"channels": 128, "layers": 5},
    "code_channels": 128,
    "code_noise": 0.0,
    "learning_rate": 0.01,
    "iterations": 1900,
}


def choose(problem: Problem) -> str:
    """Return the name of the published setting that suits the `problem`."""
    if problem.kind == "denoise":
        return "f16"
    if float(problem.known.float().mean()) < 0.1:
        return "kate98"
    radius = hole_radius(~problem.known[0, 0].cpu().numpy())
    if radius > WIDE:
        return "vase"
    return "kate" if radius > STROKES else "pixels"
