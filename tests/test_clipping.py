"""White and black are white and black again in what is written, where clipping cut their noise."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import restore
from restore.images import Picture, read, write
from restore.problems.degrade import add_gaussian_noise
from restore.problems.noise_level import NoiseLevel
from restore.restoration import Restoration

SIGMA = 50.0
SETTINGS: dict[str, Any] = {"sigma": SIGMA, "preset": "fast", "iterations": 40, "device": "cpu", "precision": "float32"}


@pytest.fixture(scope="module")
def true() -> NDArray[np.uint8]:
    """Black, white and grey, (64, 64)."""
    picture = np.full((64, 64), 128, np.uint8)
    picture[:, :24], picture[:, 40:] = 0, 255
    return picture


@pytest.fixture(scope="module")
def noisy(true: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return add_gaussian_noise(true, SIGMA, 0)


@pytest.fixture(scope="module")
def restored(true: NDArray[np.uint8], noisy: NDArray[np.uint8]) -> dict[str, Restoration]:
    return {
        choice: restore.denoise(noisy, reference=true, clipping=choice, uncertainty=True, **SETTINGS)
        for choice in ("undo", "keep")
    }


def test_white_is_white(restored: dict[str, Restoration]) -> None:
    undone, kept = restored["undo"].image, restored["keep"].image
    black, grey, white = slice(4, 20), slice(28, 36), slice(44, 60)  # of the columns, away from edges
    for columns, value in ((black, 0), (white, 255)):
        grey_by = abs(float(kept[:, columns].mean()) - value)
        assert grey_by > 15  # the mean of clipped noise is 0.4 sigma away
        assert abs(float(undone[:, columns].mean()) - value) < grey_by / 2
    assert abs(float(undone[:, grey].mean()) - 128) < 10
    assert restored["undo"].report["psnr"] > restored["keep"].report["psnr"] + 2


def test_the_fit_is_the_same(restored: dict[str, Restoration]) -> None:
    """Only what is written differs: by the inverse of the mean of clipped noise."""
    undone, kept = restored["undo"], restored["keep"]
    assert undone.trace.loss == kept.trace.loss
    level = NoiseLevel((SIGMA / 255) ** 2)
    expected = level.unclipped(kept.picture.pixels)
    np.testing.assert_allclose(undone.picture.pixels, expected, atol=1e-6)


def test_the_curve_is_of_what_is_written(restored: dict[str, Restoration]) -> None:
    report = restored["undo"].report
    curve = restored["undo"].reference_curve
    assert curve is not None
    assert min(abs(psnr - report["psnr"]) for psnr in curve.psnr) < 0.05
    assert report["psnr_peak"] > restored["keep"].report["psnr_peak"] + 2


def test_the_uncertainty_is_that_of_what_is_written(restored: dict[str, Restoration]) -> None:
    undone, kept = restored["undo"].uncertainty, restored["keep"].uncertainty
    assert undone is not None and kept is not None
    slope = NoiseLevel((SIGMA / 255) ** 2).unclipping_slope(restored["keep"].picture.pixels)
    np.testing.assert_allclose(undone, slope * kept, rtol=1e-4)
    assert float((undone / kept).max()) > 1.5


def test_the_report_names_the_ends(restored: dict[str, Restoration]) -> None:
    assert restored["undo"].report["clipping_undone"] == ["black", "white"]
    assert restored["keep"].report["clipping_undone"] == []


@pytest.mark.parametrize("kept", [0.0, 0.25, 1.0])
def test_what_is_kept_of_the_measurement_is_kept_as_it_is(
    noisy: NDArray[np.uint8], kept: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inverse is of means; single noisy values are none."""
    monkeypatch.setattr("restore.session.kept_share", lambda problem, plan, fitted: kept)
    result = restore.denoise(noisy, **{**SETTINGS, "iterations": 2})
    level = NoiseLevel((SIGMA / 255) ** 2)
    means, measured = result.fitted.image[0].numpy(), noisy[None].astype(np.float32) / 255
    expected = (1 - kept) * level.unclipped(means) + kept * measured
    np.testing.assert_allclose(result.picture.pixels, expected, atol=1e-5)


def test_tiles_that_are_not_restored_stay_as_they_are(
    noisy: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Undone tile by tile, where there is a restored one, and once."""
    plan_of = restore.session.bounded_plan
    monkeypatch.setattr(
        "restore.session.bounded_plan",
        lambda *given, **named: dataclasses.replace(plan_of(*given, **named), tile_side=64, tile_overlap=16),
    )
    wide = np.concatenate([noisy] * 2, axis=1)
    useful = iter([True, False, False, False])
    monkeypatch.setattr("restore.fitting.tiled.is_useful", lambda problem, fitted: next(useful))
    result = restore.denoise(wide, **{**SETTINGS, "iterations": 2})
    assert result.plan.tile_side == 64
    np.testing.assert_array_equal(result.image[:, 80:], wide[:, 80:])  # of tiles that were of no use
    first = result.image[:, :40].astype(float)
    assert first.min() >= 0 and np.abs(first - wide[:, :40]).mean() > 5


def test_the_command_line(run: Any, tmp_path: Path, noisy: NDArray[np.uint8]) -> None:
    source = tmp_path / "noisy.png"
    write(Picture.from_array(noisy), source)
    options = ("--sigma", "50", "--iterations", "5", "--preset", "fast", "--device", "cpu")
    means = []
    for choice in ("undo", "keep"):
        target = tmp_path / f"{choice}.png"
        assert run("denoise", source, "-o", target, "--clipping", choice, *options).returncode == 0
        means.append(read(target).to_array().astype(float)[:, 45:].mean())
    assert means[0] > means[1]
    wrong = run("denoise", source, "--clipping", "both", *options)
    assert wrong.returncode == 2
    assert "undo" in wrong.stderr and "Traceback" not in wrong.stderr
