"""How a run ends: by the clock, by Ctrl-C, or because it cannot go on; the best image so far is kept."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from restore.fitting.training import Training

Array = np.ndarray[Any, Any]
Command = Callable[..., Any]
Contents = Callable[[], dict[str, bytes]]

ENDLESS = ("--iterations", 1_000_000, "--stop", "none", "--device", "cpu")


@pytest.fixture
def interrupt_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Press Ctrl-C in the given call of the training step, counted over all pages."""

    def press(count: int) -> None:
        calls = iter(range(1, 1_000_001))
        step = Training.step

        def interrupted(self: Training, iteration: int) -> Any:
            if next(calls) == count:
                raise KeyboardInterrupt
            return step(self, iteration)

        monkeypatch.setattr(Training, "step", interrupted)

    return press


def test_ctrl_c_on_a_terminal_keeps_the_best_image(
    save: Callable[..., Path],
    load: Callable[..., Array],
    sidecar: Callable[[Path], dict[str, Any]],
    tmp_path: Path,
    noisy: Array,
) -> None:
    image = save("a.png", noisy)
    terminal, stderr = pty.openpty()
    termios.tcsetwinsize(stderr, (24, 120))
    words = [str(word) for word in ("denoise", image, *ENDLESS)]
    with subprocess.Popen(
        [sys.executable, "-m", "restore", *words],
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as running:
        os.close(stderr)
        shown = b""
        try:
            while not re.search(rb" [1-9]\d*/1000000 ", shown):  # the bar: a step was done
                shown += _read(terminal) or pytest.fail(f"no bar: {shown!r}")
            running.send_signal(signal.SIGINT)
            while chunk := _read(terminal):
                shown += chunk
            assert running.wait(timeout=60) == 130
            assert running.stdout is not None
            assert running.stdout.read() == b""
        finally:
            running.kill()
            os.close(terminal)
    assert b"Traceback" not in shown
    assert b"interrupted" in shown
    output = tmp_path / "a.restored.png"
    assert load(output).shape == noisy.shape
    report = sidecar(output)
    assert report["stop_reason"] == "interrupted"
    assert 1 <= report["iterations"] < 1_000_000


def _read(terminal: int) -> bytes:
    """Return what a process wrote to the terminal; nothing once it is closed, or after a minute of silence."""
    try:
        return os.read(terminal, 4096) if select.select([terminal], [], [], 60)[0] else b""
    except OSError:  # Linux says so when the other end is closed
        return b""


def test_ctrl_c_after_some_steps(
    command: Command,
    save: Callable[..., Path],
    load: Callable[..., Array],
    sidecar: Callable[[Path], dict[str, Any]],
    tmp_path: Path,
    noisy: Array,
    interrupt_at: Callable[[int], None],
) -> None:
    image = save("a.png", noisy)
    interrupt_at(5)
    ended = command("denoise", image, "--json", *ENDLESS)
    assert ended.status == 130
    report = sidecar(tmp_path / "a.restored.png")
    assert report["stop_reason"] == "interrupted"
    assert report["iterations"] in (4, 5)  # the fifth was begun
    assert b'"interrupted"' in ended.stdout
    assert load(tmp_path / "a.restored.png").shape == noisy.shape


def test_ctrl_c_in_a_comparison_keeps_the_restoration(
    command: Command,
    save: Callable[..., Path],
    sidecar: Callable[[Path], dict[str, Any]],
    tmp_path: Path,
    noisy: Array,
    interrupt_at: Callable[[int], None],
) -> None:
    image = save("a.png", noisy)
    interrupt_at(25)  # the fit takes 20 steps
    ended = command("denoise", image, "--device", "cpu", "--iterations", 20, "--baseline", "unnormalized")
    assert ended.status == 130
    report = sidecar(tmp_path / "a.restored.png")
    assert (report["iterations"], report["stop_reason"], report["baseline"]) == (20, "iterations", None)
    assert "the comparison with the baseline was interrupted" in ended.stderr


def test_ctrl_c_before_the_first_step(
    command: Command, save: Callable[..., Path], contents: Contents, noisy: Array, interrupt_at: Callable[[int], None]
) -> None:
    image = save("a.png", noisy)
    before = contents()
    interrupt_at(1)
    ended = command("denoise", image, *ENDLESS)
    assert ended.status == 130
    assert "Traceback" not in ended.stderr
    assert "nothing was written" in ended.stderr
    assert contents() == before


def test_ctrl_c_on_the_second_page(
    command: Command,
    save_tiff: Callable[..., Path],
    contents: Contents,
    noisy: Array,
    interrupt_at: Callable[[int], None],
) -> None:
    image = save_tiff("a.tif", noisy, noisy, noisy)
    before = contents()
    interrupt_at(5)
    ended = command("denoise", image, "--iterations", 3, "--device", "cpu")
    assert ended.status == 130
    assert "nothing was written" in ended.stderr
    assert contents() == before


def test_the_time_budget_is_a_cap(command: Command, save: Callable[..., Path], noisy: Array, hole: Array) -> None:
    image, mask = save("a.png", noisy), save("m.png", hole)
    report = command("denoise", image, "--time-budget", "1s", "--json", *ENDLESS).report
    assert report["stop_reason"] == "time"
    assert 1 <= report["seconds"] < 60
    words = ("inpaint", image, "--mask", mask, "--time-budget", "0.2s", "--existing", "overwrite", "--json")
    report = command(*words, *ENDLESS).report
    assert report["stop_reason"] == "time"
    assert 1 <= report["iterations"] < 1000


def test_a_budget_that_is_not_spent_changes_nothing(
    command: Command, save: Callable[..., Path], tmp_path: Path, noisy: Array
) -> None:
    image = save("a.png", noisy)
    words = ("denoise", image, "--iterations", 3, "--device", "cpu")
    assert command(*words, "-o", tmp_path / "b.png").status == 0
    assert command(*words, "-o", tmp_path / "c.png", "--time-budget", "1h").status == 0
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "c.png").read_bytes()


def test_a_fit_that_diverges_says_so_and_keeps_an_image(
    command: Command, save: Callable[..., Path], load: Callable[..., Array], noisy: Array
) -> None:
    words = ("--norm", "none", "--objective", "fit", "--learning-rate", "1e6", "--optimizer", "sgd")
    image = save("a.png", noisy)
    ended = command("denoise", image, *words, "--iterations", 60, "--device", "cpu", "--json")
    report = ended.report
    assert any("last good state" in warning for warning in report["warnings"])
    assert "warning: " in ended.stderr
    assert load(Path(report["output"])).shape == noisy.shape


def test_no_memory_is_one_sentence(
    command: Command, save: Callable[..., Path], contents: Contents, noisy: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Training, iteration: int) -> None:
        raise MemoryError

    image = save("a.png", noisy)
    before = contents()
    monkeypatch.setattr(Training, "step", full)
    ended = command("denoise", image, "-q", "--iterations", 2, "--device", "cpu")
    assert ended.status == 1
    (line,) = ended.stderr.splitlines()
    assert "memory" in line
    assert "48x40" in line
    assert contents() == before
