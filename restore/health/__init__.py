"""Whether gradients arrive: measures of a network's health, and the verdicts on them."""

from __future__ import annotations

from restore.health.recorder import EVERY, HealthRecord, HealthRecorder
from restore.health.summary import gradient_health
from restore.health.verdicts import (
    EXPLODING_ABOVE,
    VANISHING_BELOW,
    Verdict,
    end_to_end_ratio,
    verdict_of_path,
    verdict_of_ratio,
)

__all__ = [
    "EVERY",
    "EXPLODING_ABOVE",
    "VANISHING_BELOW",
    "HealthRecord",
    "HealthRecorder",
    "Verdict",
    "end_to_end_ratio",
    "gradient_health",
    "verdict_of_path",
    "verdict_of_ratio",
]
