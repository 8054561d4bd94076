"""Large pictures begin on their middle, unless something looks into the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Call = Callable[..., Any]

QUICK = ("--networks", 1, "--device", "cpu", "--precision", "float32", "--time-budget", "1s")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Noisy and clean, 420x320."""
    rows, columns = np.mgrid[0:320, 0:420]
    clean = 128 + 90 * np.sin(columns / 17) * np.cos(rows / 15)
    noisy = clean + np.random.default_rng(0).normal(0, 25, clean.shape)
    paths = [tmp_path_factory.mktemp("large") / name for name in ("noisy.png", "clean.png")]
    for path, values in zip(paths, (noisy, clean), strict=True):
        Image.fromarray(values.clip(0, 255).round().astype(np.uint8)).save(path)
    return paths[0], paths[1]


def test_what_was_done_is_told(command: Call, large: tuple[Path, Path], tmp_path: Path) -> None:
    told = command("denoise", large[0], "--reference", large[1], "-o", tmp_path / "o.png", "--json", *QUICK)
    report = told.report
    assert report["warm_start"]["size"] == [224, 176] and report["warm_start"]["iterations"] >= 1
    assert "steps on the middle 224x176, then " in told.stderr
    assert report["stop_reason"] == "time"
    assert f", after {report['warm_start']['iterations']} on the middle (time)" in told.stderr


def test_health_needs_a_whole_fit(command: Call, large: tuple[Path, Path], tmp_path: Path) -> None:
    report = command("denoise", large[0], "-o", tmp_path / "o.png", "--json", "--health", *QUICK).report
    assert report["warm_start"] is None and "on a whole picture" in report["null_reasons"]["warm_start"]


def test_tiles_of_strong_noise_begin_anew(command: Call, large: tuple[Path, Path], tmp_path: Path) -> None:
    strong = ("--sigma", 50, "--max-memory", "850MiB")
    told = command("denoise", large[0], "-o", tmp_path / "o.png", "--json", *strong, *QUICK)
    tiles = told.report["tiles"]
    assert tiles["count"] > 1 and f"{tiles['count']} tiles of" in told.stderr and " for each, in about" in told.stderr
    assert "on a whole tile" in told.report["null_reasons"]["warm_start"]
