"""What is said while a fit runs, where stderr is no terminal."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from restore.cli.progress import Progress
from restore.fitting import make_plan
from restore.problems.problem import denoising
from restore.settings import FitSettings, Plan

SIGMA = 50.0
VARIANCE = (SIGMA / 255) ** 2


@pytest.fixture
def plan() -> Plan:
    settings = FitSettings(device="cpu", precision="float32", network={"channels": (6, 6), "tail": 1})
    return dataclasses.replace(make_plan(denoising(torch.zeros(3, 64, 64), SIGMA), settings), held_out=0.05)


def _step(held_out: float, size: int, **values: Any) -> Any:
    given = {
        "iteration": 10,
        "seconds": 20.0,
        "loss": 0.1,
        "held_out": held_out,
        "image": torch.zeros(1, 3, size, size),
    }
    return SimpleNamespace(**{**given, **values})


@pytest.mark.parametrize(
    ("error", "size", "shown"),
    [(0.0017, 1024, "~27.7 dB"), (0.0017, 64, None), (1e-5, 64, None), (-1e-4, 1024, None), (0.02, 64, "~17.0 dB")],
)
def test_decibels_are_shown_where_held_out_pixels_tell_them(
    plan: Plan, capsys: pytest.CaptureFixture[str], error: float, size: int, shown: str | None
) -> None:
    progress = Progress("a", True)
    progress.start(denoising(torch.zeros(3, 64, 64), SIGMA), plan)
    progress(_step(VARIANCE + error, size))
    said = capsys.readouterr().err
    assert "held-out 0.0" in said and (("dB" not in said) if shown is None else (shown in said))


def test_parts_are_named_one_in_the_other(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("a", True)
    progress.start(denoising(torch.zeros(3, 64, 64), SIGMA), plan)
    progress.begin_tile(2, 4, plan)
    for part, named in (("middle", "a: tile 2/4 middle step 10/"), ("", "a: tile 2/4 step 10/")):
        progress.begin_fit(part, plan)
        progress(_step(VARIANCE, 64))
        assert named in capsys.readouterr().err
    progress.interrupted("a last look")
    assert capsys.readouterr().err == "a: interrupted: a last look.\n"
