"""The comparison at equal time: steps are divided by times, winners are the screening's, and it can be resumed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restore.errors import InputError
from restore.studies.gain_trials import table
from restore.studies.refinement_gain import QUICK, measure_gain

BUDGET = replace(QUICK, screen=32, final=32, cells=("rnn", "sbornn"))
# A deep decoder only makes pictures of 64x64 and more.
HOURGLASS = replace(
    BUDGET,
    screen_steps={"hourglass": 12},
    final_steps={"noise25": {"hourglass": 12}, "missing50": {"hourglass": 12}},
)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Three pictures of 40x36."""
    paths = []
    for seed in range(3):
        smooth = np.random.default_rng(seed).random((5, 4, 3))
        picture = Image.fromarray((255 * smooth).astype(np.uint8)).resize((36, 40), Image.Resampling.BICUBIC)
        paths.append(tmp_path / f"{seed}.png")
        picture.save(paths[-1])
    return paths


def test_time_is_made_equal_by_steps_and_the_best_goes_on(pictures: list[Path], tmp_path: Path) -> None:
    said: list[str] = []
    screened, judged = measure_gain(
        pictures[0], pictures[1:], tmp_path / "run", HOURGLASS, device="cpu", say=said.append
    )
    assert [gain.variant for gain in screened] == [
        "none",
        *(f"{cell}, {design}" for design in ("features, T = 8", "estimate, T = 4") for cell in ("rnn", "sbornn")),
    ]
    ratios = json.loads((tmp_path / "run" / "times-screen.json").read_text())
    for gain in screened[1:]:
        assert gain.iterations == max(1, round(12 / ratios[f"hourglass: {gain.variant}"]))
    winner = max(screened[1:], key=lambda gain: gain.written).variant
    names = ["none", winner, "none, as many parameters"]
    assert [(gain.problem, gain.variant) for gain in judged] == [
        (problem, name) for problem in ("noise25", "missing50") for name in names
    ]
    none, refined, grown = judged[:3]
    assert none.gain == none.least == none.most == 0
    assert refined.gain == pytest.approx(refined.written - none.written)
    assert none.parameters < grown.parameters
    assert abs(grown.parameters - refined.parameters) < 9 * 32 * 32  # within a block of the tail
    fits = sum("dB" in line for line in said)
    said.clear()
    again = measure_gain(pictures[0], pictures[1:], tmp_path / "run", HOURGLASS, device="cpu", say=said.append)
    assert again == (screened, judged)
    assert fits == 5 + 2 * 2 * 3 and not any("dB" in line for line in said)
    assert table(judged).count("\n") == 1 + len(judged)


def test_small_pictures_are_refused(pictures: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="36x40: the study needs 64x64"):
        measure_gain(pictures[0], pictures[1:], tmp_path / "run", replace(HOURGLASS, screen=64), device="cpu")


def test_the_command_says_what_it_lacks(tmp_path: Path, run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    words = ("bench", "gain", "--screen", "none.png", "--final", "none.png", "--quick")
    done = run(*words, "-o", tmp_path / "run")
    assert done.returncode == 2 and "none.png" in done.stderr and "Traceback" not in done.stderr
