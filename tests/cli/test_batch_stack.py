"""`--stack`: pictures of one size in one pass, with the results of lone fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from restore.errors import FitError
from restore.runs import file_work

Array = np.ndarray[Any, Any]
Call = Callable[..., Any]

# Told sigma, all have one objective; estimated, it lies near the limit between two. Ten steps have one check: of two,
# rounding would say which image is written.
QUICK = ("--iterations", 10, "--device", "cpu", "--workers", 1, "--precision", "float32", "--sigma", 20)


@pytest.fixture
def scans(tmp_path: Path, noisy: Array) -> Path:
    """Four pictures of one size, one of another, and one that is none."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(np.roll(noisy, 5 * number, axis=1)).save(folder / f"p{number}.png")
    Image.fromarray(noisy[:20, :24]).save(folder / "small.png")
    (folder / "bad.png").write_text("no picture")
    return folder


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of pictures of each pass."""
    sizes: list[int] = []
    together = file_work.fit_stack

    def noting(problems: Any, *more: Any) -> Any:
        sizes.append(len(problems))
        return together(problems, *more)

    monkeypatch.setattr(file_work, "fit_stack", noting)
    return sizes


def test_results_are_those_of_lone_fits(command: Call, scans: Path, tmp_path: Path, passes: list[int]) -> None:
    outcome = command("denoise", scans, "-o", tmp_path / "many", *QUICK, "--stack", 3)
    assert outcome.status == 1 and "5 restored to" in outcome.stderr and "bad.png" in outcome.stderr
    assert passes == [3]  # the fourth one and the small one are alone
    command("denoise", scans, "-o", tmp_path / "lone", *QUICK)
    for name in ("p0.png", "p1.png", "p2.png", "p3.png", "small.png"):
        many, lone = (np.asarray(Image.open(tmp_path / folder / name), float) for folder in ("many", "lone"))
        assert np.sqrt(np.square(many - lone).mean()) < 5  # in float32 rounding grows; the noise is of 20 levels
        many, lone = (json.loads((tmp_path / folder / f"{name}.json").read_text()) for folder in ("many", "lone"))
        assert {key: many[key] for key in ("iterations", "sigma", "parameters", "trial")} == {
            key: lone[key] for key in ("iterations", "sigma", "parameters", "trial")
        }


def test_auto_stacks_small_pictures(command: Call, scans: Path, tmp_path: Path, passes: list[int]) -> None:
    command("denoise", scans, "-o", tmp_path / "many", *QUICK, "--stack", "auto")
    assert passes == [4]
    again = command("denoise", scans, "-o", tmp_path / "many", *QUICK, "--stack", "auto")
    assert "5 of 5 pictures have ended before" in again.stderr


def test_a_stack_that_fails_is_fitted_one_by_one(
    command: Call, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*words: Any) -> None:
        raise FitError("made up: out of memory")

    monkeypatch.setattr(file_work, "fit_stack", fails)
    outcome = command("denoise", scans, "-o", tmp_path / "many", *QUICK, "--stack", 4)
    assert outcome.status == 1 and "5 restored to" in outcome.stderr


def test_words_that_are_no_number(command: Call, scans: Path, tmp_path: Path) -> None:
    assert (
        "--stack takes a number" in command("denoise", scans, "-o", tmp_path / "many", *QUICK, "--stack", "x").complaint
    )
