"""What two processes are worth against one, on a batch of small pictures: whole commands, timed in turn."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from restore.images import Picture, write

__all__ = ["median_ratios", "workers_gain"]


Round = tuple[float, float, float]
"""Seconds of a batch in one process of one thread, in one of all threads, and in several processes."""


def workers_gain(workers: int, *, pictures: int, size: int, iterations: int, rounds: int) -> list[Round]:
    """Return the seconds of a whole batch, start and end included, round by round.

    Args:
        workers: number of processes.
        pictures: in the batch.
        size: height and width of the pictures.
        iterations: of each fit.
        rounds: of both, in turn.
    """
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        draw = np.random.default_rng(0)
        for number in range(pictures):
            pixels = draw.integers(0, 256, (size, size, 3)).astype(np.uint8)
            write(Picture.from_array(pixels), folder / "in" / f"{number}.png")
        for number in range(rounds):
            output = folder / f"out-{number}"
            output.mkdir()
            alone = _seconds(folder / "in", output / "alone", iterations, "--workers", "1", "--threads", "1")
            all_threads = _seconds(folder / "in", output / "threads", iterations, "--workers", "1")
            several = _seconds(folder / "in", output / "several", iterations, "--workers", str(workers))
            found.append((alone, all_threads, several))
    return found


def median_ratios(rounds: Sequence[Round]) -> tuple[float, float]:
    """Return how many times as fast several processes are as one of one thread, and as one of all threads."""
    alone = statistics.median(one / several for one, _, several in rounds)
    return alone, statistics.median(threads / several for _, threads, several in rounds)


def _seconds(pictures: Path, output: Path, iterations: int, *more: str) -> float:
    words = ("--iterations", str(iterations), "--stop", "none", "-q", *more)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "restore", "denoise", str(pictures), "-o", str(output), *words], check=True)
    return time.perf_counter() - began
