"""What an ablation compares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from restore.runs.trial import TrialPlan

__all__ = ["CONTROL", "VARIANT", "Ablation", "label_of"]

VARIANT = "variant"
"""The factor of named variants."""

CONTROL = "(control)"
"""Stands for every factor of a control, which has none."""


@dataclass(frozen=True)
class Ablation:
    """What an ablation compares, and the trials that it takes.

    Attributes:
        plan: the trials; the seeds of a variant on a picture follow each other.
        variants: labels of the variants, in order.
        factors: what is varied: the values of each key of the sweep, and of `variant`, by name.
        baseline: label of the variant that the others are compared with.
        baseline_factors: the value of each factor there; the first of each if it is a control.
        metric: a name in `METRICS`.
    """

    plan: TrialPlan
    variants: tuple[str, ...]
    factors: Mapping[str, tuple[Any, ...]]
    baseline: str
    baseline_factors: Mapping[str, Any]
    metric: str


def label_of(key: str, value: Any) -> str:
    """Return a factor and its value as text.

    >>> label_of("norm", "none"), label_of("network.channels", [8, 16]), label_of("refine_steps", None)
    ('norm=none', 'network.channels=[8, 16]', 'refine_steps=null')
    """
    return f"{key}={value if isinstance(value, str) else json.dumps(value)}"
