"""What a fit has learned, for another to begin with."""

from __future__ import annotations

from typing import Any

from restore.fitting.trace import Step
from restore.fitting.training import Training

__all__ = ["Learned"]


class Learned:
    """Takes what a fit has learned at its end; an observer."""

    def __init__(self) -> None:
        self._training: Training | None = None

    def attach(self, training: Training) -> None:
        """Remember whose."""
        self._training = training

    def __call__(self, step: Step) -> None:
        """Do nothing."""

    def taken(self) -> dict[str, Any]:
        """Return it and let go of the network."""
        training, self._training = self._training, None
        return {} if training is None else {**training.learned(), "statistics": training.statistics()}
