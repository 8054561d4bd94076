"""Small pictures, and plans of tiny fits on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore.runs.trial import Damage, Source, Trial, TrialPlan, content_hash
from restore.settings import FitSettings

NOISE = Damage("noise", 20)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A grey picture of 40x32 pixels."""
    rows, columns = np.mgrid[0:32, 0:40]
    path = tmp_path / "waves.png"
    Image.fromarray((128 + 60 * np.sin(columns / 5) + 50 * np.cos(rows / 4)).round().astype(np.uint8)).save(path)
    return path


@pytest.fixture
def trial(picture: Path) -> Callable[..., Trial]:
    """Make a trial of two steps of the smallest hourglass."""

    def make(seed: int = 0, damage: Damage | None = NOISE, variant: str = "", **settings: object) -> Trial:
        values = {"iterations": 2, "device": "cpu", "network": {"channels": [4, 4], "tail": 0}, **settings}
        source = Source(str(picture), {"image": content_hash(picture)}, (0, 0, 24, 32), damage)
        return Trial(source, FitSettings(seed=seed, **values), variant, "waves")  # type: ignore[arg-type]

    return make


@pytest.fixture
def plan(trial: Callable[..., Trial]) -> TrialPlan:
    """Three seeds of one trial."""
    return TrialPlan("three", tuple(trial(seed) for seed in range(3)))
