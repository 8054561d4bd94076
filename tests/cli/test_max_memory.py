"""`--max-memory`: a picture that is too large for it is restored on tiles, from file to file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Array = np.ndarray[Any, Any]
Call = Callable[..., Any]

STEPS = 4
MADE = ("--networks", 1, "--device", "cpu", "--precision", "float32")
FEW = ("--iterations", STEPS, *MADE)


def _psnr(one: Array, other: Array) -> float:
    return float(-10 * np.log10(np.square((one.astype(float) - other) / 255).mean()))


@pytest.fixture(scope="module")
def large(clean_large: Array) -> Array:
    noise = np.random.default_rng(0).normal(0, 25, clean_large.shape)
    return (clean_large + noise).clip(0, 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def clean_large() -> Array:
    """Uint8 (131, 203, 3), of smooth shades and edges."""
    rows, columns = np.mgrid[0:131, 0:203]
    shades = np.stack([128 + 90 * np.sin(columns / 17), 128 + 80 * np.cos(rows / 15), 40 + columns], axis=-1)
    shades[30:80, 60:120] = (210, 190, 40)
    return shades.clip(0, 255).round().astype(np.uint8)


def _limit(command: Call, image: Path) -> str:
    """Return an amount that suffices for the smallest tiles, as the complaint about one that does not tells."""
    words = command("denoise", image, "--max-memory", "100MiB", *MADE).complaint
    return f"{int(words.split('take about ')[1].split(' MiB')[0]) + 1}MiB"


def test_denoise(
    command: Call, process: Call, save: Call, load: Call, large: Array, clean_large: Array, tmp_path: Path
) -> None:
    alpha = np.full(large.shape[:2], 77, np.uint8)
    image, truth = tmp_path / "a.png", tmp_path / "t.png"
    Image.fromarray(np.dstack([large, alpha])).save(image, dpi=(300, 300))
    Image.fromarray(np.dstack([clean_large, alpha])).save(truth)
    words = ("denoise", image, "--max-memory", _limit(command, image), "--iterations", 20, *MADE)
    told = process(*words, "--reference", truth, "--json")
    report = told.report
    assert report["tiles"]["count"] == report["tiles"]["restored"] == 4
    assert max(report["tiles"]["size"]) <= 128 and report["iterations"] == 5 * 20
    assert "4 tiles of" in told.stderr
    assert report["psnr_peak"] is None and "tile" in report["null_reasons"]["psnr_peak"]
    assert report["max_memory_mb"] > 100
    restored = load(tmp_path / "a.restored.png")
    assert restored.shape == (131, 203, 4) and (restored[..., 3] == 77).all()
    with Image.open(tmp_path / "a.restored.png") as kept:
        assert round(kept.info["dpi"][0]) == 300
    psnr = _psnr(restored[..., :3], clean_large)
    assert psnr == pytest.approx(report["psnr"], abs=0.05) and psnr > _psnr(large, clean_large) + 1


def test_inpaint_keeps_what_is_known(command: Call, save: Call, load: Call, clean_large: Array, tmp_path: Path) -> None:
    hole = np.zeros(clean_large.shape[:2], bool)
    hole[100:, 150:] = np.random.default_rng(1).random((31, 53)) < 0.3
    image, mask = save("a.png", np.where(hole, 0, clean_large[..., 0]).astype(np.uint8)), save("m.png", hole)
    told = command("inpaint", image, "--mask", mask, "--max-memory", "2GiB", *FEW, "--json", "-o", tmp_path / "w.png")
    assert told.report["tiles"] is None  # it fits
    limit = command("inpaint", image, "--mask", mask, "--max-memory", "100MiB", *FEW).complaint
    enough = f"{int(limit.split('take about ')[1].split(' MiB')[0]) + 1}MiB"
    words = ("inpaint", image, "--mask", mask, "--existing", "overwrite", "--max-memory", enough)
    report = command(*words, *FEW, "--json").report
    assert report["tiles"]["count"] == 4 and report["iterations"] == STEPS  # three tiles are known
    restored = load(tmp_path / "a.restored.png")
    assert (restored[~hole] == clean_large[..., 0][~hole]).all()
    assert restored[hole].any()


def test_diagnostics_do_not_go_with_tiles(command: Call, save: Call, large: Array) -> None:
    image = save("a.png", large)
    limit = _limit(command, image)
    for words in (("--health",), ("--baseline", "unnormalized")):
        assert "tiles" in command("denoise", image, *words, "--max-memory", limit, *FEW).complaint


@pytest.mark.parametrize("text", ["much", "0GiB", "-1GiB", "4", "4XiB"])
def test_what_is_no_amount(command: Call, save: Call, noisy: Array, text: str) -> None:
    complaint = command("denoise", save("a.png", noisy), f"--max-memory={text}").complaint
    assert text in complaint and "4GiB" in complaint


def test_killed_and_resumed(
    command: Call, save: Call, large: Array, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from restore.fitting import Training

    image, kept = save("a.png", large), tmp_path / "kept"
    words = ("denoise", image, "--max-memory", _limit(command, image), *FEW, "--checkpoint", kept)
    calls: list[int] = []
    step = Training.step

    def interrupted(self: Training, iteration: int) -> Any:
        calls.append(iteration)
        if len(calls) == 2 * STEPS + 3:
            raise KeyboardInterrupt
        return step(self, iteration)

    monkeypatch.setattr(Training, "step", interrupted)
    assert command(*words, "-o", tmp_path / "half.png").status == 130
    assert kept.exists() and (tmp_path / "half.png").exists()
    del calls[:]
    calls += 1000 * [0]
    told = command(*words, "-o", tmp_path / "b.png")
    assert told.status == 0 and f"going on from step {2 * STEPS} of {kept}" in told.stderr
    assert len(calls) == 1000 + 3 * STEPS and not kept.exists()
    assert command(*words[:-2], "-o", tmp_path / "c.png").status == 0
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "c.png").read_bytes()


def test_a_batch_does_it_too(command: Call, large: Array, tmp_path: Path, sidecar: Call) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    Image.fromarray(large).save(scans / "a.png")
    limit = _limit(command, scans / "a.png")
    assert command("denoise", scans, "-o", tmp_path / "clean", "--max-memory", limit, *FEW).status == 0
    assert sidecar(tmp_path / "clean" / "a.png")["tiles"]["count"] == 4
