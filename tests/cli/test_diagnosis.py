"""`--health`, `--baseline` and `--curves` as a user meets them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]


def _picture(folder: Path) -> Path:
    path = folder / "a.png"
    values = np.random.default_rng(0).integers(0, 255, (32, 32), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def test_a_run_tells_of_its_gradients_and_its_baseline(tmp_path: Path, run: Run) -> None:
    path = _picture(tmp_path)
    done = run("denoise", str(path), "--iterations", "20", "--health", "--baseline", "unnormalized", "--json", "-v")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert f"gradient health: {report['gradient_health']['verdict']}" in done.stderr
    assert "tail.2.0" in done.stderr and "update/weight" in done.stderr
    losses = np.load(tmp_path / "a.restored.png.npz")["loss"]
    assert f"loss by step: {losses[0]:.3g} at 10, {losses[1]:.3g} at 20" in done.stderr
    assert "bias" in done.stderr and "without normalisation" in done.stderr
    curves = np.load(tmp_path / "a.restored.png.npz", allow_pickle=False)
    assert curves["loss"].shape == (2,)
    assert len(curves["health_layers"]) == len(report["gradient_health"]["layers"])


def test_curves_are_not_written_over(tmp_path: Path, run: Run) -> None:
    path = _picture(tmp_path)
    there = tmp_path / "a.restored.png.npz"
    there.write_text("mine")
    done = run("denoise", str(path), "--iterations", "5", "--curves")
    assert done.returncode == 2 and "a.restored.png.npz" in done.stderr
    assert there.read_text() == "mine"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "a.restored.png.npz"]


def test_an_unknown_baseline_is_refused_before_the_fit(tmp_path: Path, run: Run) -> None:
    done = run("denoise", str(_picture(tmp_path)), "--baseline", "fairly")
    assert done.returncode == 2 and "did you mean 'fair'" in done.stderr and "Traceback" not in done.stderr
