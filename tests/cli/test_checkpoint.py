"""`--checkpoint`: a fit killed at any moment goes on, and its picture is that of a fit that nothing disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from restore.fitting import Training
from restore.fitting.state_file import read_state, write_state

Array = np.ndarray[Any, Any]
Call = Callable[..., Any]

STEPS = 150
LONE = ("--networks", 1, "--device", "cpu", "--threads", 1)
WORDS = ("--iterations", STEPS, "--stop", "none", "--checkpoint-every", 0.1, *LONE)


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
    assert outcome.status == 0 and f"going on from step {steps[0] - 1} of {kept}" in outcome.stderr
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


@pytest.fixture
def press_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Press Ctrl-C in the middle of the given call of the training step, counted over all pages."""

    def at(count: int) -> None:
        calls = iter(range(1, 1_000_001))
        step = Training.step

        def pressing(self: Training, iteration: int) -> Any:
            if next(calls) == count:
                signal.raise_signal(signal.SIGINT)
            return step(self, iteration)

        monkeypatch.setattr(Training, "step", pressing)

    return at


SHORT = ("--iterations", 12, "--device", "cpu", "--threads", 1)


def test_ctrl_c_writes_the_best_image_and_keeps_the_fit(
    command: Call,
    save: Call,
    noisy: Array,
    tmp_path: Path,
    press_ctrl_c: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image, kept, output = save("a.png", noisy), tmp_path / "fit.safetensors", tmp_path / "a.restored.png"
    words = ("denoise", image, *SHORT, "--checkpoint", kept, "--json")
    press_ctrl_c(7)
    stopped = command(*words)
    assert stopped.status == 130 and output.exists()
    assert f"the fit is kept in {kept}: the same command with --existing overwrite goes on." in stopped.stderr
    state = read_state(kept)
    assert state["iteration"] == 7
    state["parts"]["training"]["seconds"] = state["seconds"] = 1000.0
    write_state(kept, state)
    ended = command(*words, "--existing", "overwrite")
    assert "going on from step 7 of" in ended.stderr and not kept.exists()
    assert ended.report["iterations"] == 12 and ended.report["seconds"] > 1000
    command("denoise", image, *SHORT, "-o", tmp_path / "whole.png")
    assert output.read_bytes() == (tmp_path / "whole.png").read_bytes()


def test_every_page_has_its_own(
    command: Call, noisy: Array, tmp_path: Path, press_ctrl_c: Callable[[int], None], steps: list[int]
) -> None:
    image, kept = tmp_path / "a.tif", tmp_path / "fit.safetensors"
    tifffile.imwrite(image, np.stack([noisy, noisy[::-1], noisy[:, ::-1]]), photometric="rgb")
    words = ("denoise", image, *SHORT, "--checkpoint", kept, "--checkpoint-every", 0)
    press_ctrl_c(18)
    stopped = command(*words)
    assert stopped.status == 130 and "nothing was written" in stopped.stderr
    assert f"the fit is kept in {kept}.page2: the same command goes on." in stopped.stderr
    steps.clear()
    assert command(*words).status == 0
    assert steps == [*range(7, 13), *range(1, 13)]  # the second page goes on, and the first had ended
    assert [file.name for file in tmp_path.iterdir() if "safetensors" in file.name] == []
    command("denoise", image, *SHORT, "-o", tmp_path / "whole.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "a.restored.tif"), tifffile.imread(tmp_path / "whole.tif"))


def test_a_checkpoint_is_no_other_file_of_the_run(
    command: Call, save: Call, noisy: Array, tmp_path: Path, steps: list[int]
) -> None:
    image, mask = save("a.png", noisy), save("mask.png", np.full(noisy.shape[:2], 0, np.uint8))
    data = image.read_bytes()
    for name in ("a.restored.png", "a.restored.png.json"):
        complaint = command("denoise", image, *SHORT, "--checkpoint", tmp_path / name).complaint
        assert "is where a result is written: name another file" in complaint
    for name in (image, mask):
        complaint = command("inpaint", image, "--mask", mask, *SHORT, "--checkpoint", name).complaint
        assert "it is an input of this run; choose another name" in complaint
    assert image.read_bytes() == data and steps == []


def test_what_was_not_looked_at_from_the_beginning(
    command: Call, save: Call, noisy: Array, tmp_path: Path, press_ctrl_c: Callable[[int], None]
) -> None:
    image, kept = save("a.png", noisy), tmp_path / "fit.safetensors"
    words = ("denoise", image, *SHORT, "--checkpoint", kept, "-q", "--existing", "overwrite")
    press_ctrl_c(7)
    assert command(*words).status == 130
    assert "begun without HealthRecorder" in command(*words, "--health").complaint
    assert command(*words).status == 0
