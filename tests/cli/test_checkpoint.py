"""`--checkpoint`: a fit killed at any moment goes on, and its picture is that of a fit that nothing disturbed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from restore.fitting import Training

Array = np.ndarray[Any, Any]
Call = Callable[..., Any]

STEPS = 150
WORDS = ("--iterations", STEPS, "--device", "cpu", "--threads", 1, "--checkpoint-every", 0.1)


def kill_when(file: Callable[[], list[Path]], *words: object) -> None:
    """Run the command as a process until there is such a file, and kill it."""
    arguments = [sys.executable, "-m", "restore", *map(str, words)]
    process = subprocess.Popen(arguments, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not file():
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps that this process does."""
    done: list[int] = []
    step = Training.step

    def noting(self: Training, iteration: int) -> Any:
        done.append(iteration)
        return step(self, iteration)

    monkeypatch.setattr(Training, "step", noting)
    return done


def test_kill_9_and_the_same_command(command: Call, save: Call, noisy: Array, tmp_path: Path, steps: list[int]) -> None:
    image, kept = save("a.png", noisy), tmp_path / "fit.safetensors"
    words = ("denoise", image, *WORDS, "--checkpoint", kept)
    kill_when(lambda: [kept] if kept.exists() else [], *words)
    assert not (tmp_path / "a.restored.png").exists()
    outcome = command(*words)
    assert outcome.status == 0 and f"going on from {kept}" in outcome.stderr
    assert steps[0] > 1 and steps[-1] == STEPS
    assert not kept.exists()
    command("denoise", image, *WORDS, "-o", tmp_path / "whole.png")
    assert (tmp_path / "a.restored.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


def test_a_batch_keeps_its_own(command: Call, noisy: Array, tmp_path: Path, steps: list[int]) -> None:
    scans, clean = tmp_path / "scans", tmp_path / "clean"
    scans.mkdir()
    Image.fromarray(noisy).save(scans / "a.png")
    words = ("denoise", scans, "-o", clean, *WORDS, "--workers", 1)
    kill_when(lambda: list(clean.glob(".restore/checkpoints/*.safetensors")), *words)
    assert command(*words).status == 0
    assert steps[0] > 1 and steps[-1] == STEPS
    assert list((clean / ".restore/checkpoints").iterdir()) == []
    command("denoise", scans / "a.png", *WORDS, "-o", tmp_path / "whole.png")
    assert (clean / "a.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


def test_files_that_are_no_checkpoint_of_this_fit(command: Call, save: Call, noisy: Array, tmp_path: Path) -> None:
    image, mine = save("a.png", noisy), tmp_path / "mine.txt"
    mine.write_text("mine")
    complaint = command("denoise", image, "--iterations", 2, "--device", "cpu", "-q", "--checkpoint", mine).complaint
    assert "is no checkpoint that can be read" in complaint and "delete it" in complaint
    assert mine.read_text() == "mine"
    nowhere = command("denoise", image, "--iterations", 2, "--checkpoint", tmp_path / "no/fit").complaint
    assert "there is no folder" in nowhere
    many = command("denoise", tmp_path, "-o", tmp_path / "clean", "--checkpoint", mine).complaint
    assert "--checkpoint is for one picture" in many
