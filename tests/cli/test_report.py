"""The report of a run: which figures it has, that they are right, and that it says why one is missing."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

Array = np.ndarray[Any, Any]
Command = Callable[..., Any]

KEYS = """
    command input output size problem prior parameters norm objective preset seed device precision sigma iterations
    stop_reason seconds seconds_per_iteration peak_memory_mb psnr_input psnr psnr_peak psnr_final iteration_best
    psnr_hole ssim lpips psnr_estimate psnr_estimate_error init threads warnings versions schema_version
"""
NEED_A_REFERENCE = {"psnr_input", "psnr", "psnr_peak", "psnr_final", "psnr_hole", "ssim", "lpips"}
QUICK = ("--device", "cpu", "--json")


def check_nulls(report: dict[str, Any]) -> None:
    """Every figure is there, and a reason for exactly those that are null."""
    assert report.keys() >= set(KEYS.split())
    missing = {name for name, value in report.items() if value is None}
    assert missing == report["null_reasons"].keys()
    assert all(isinstance(reason, str) and reason for reason in report["null_reasons"].values())


def test_a_denoising_with_a_reference(
    command: Command, save: Callable[..., Path], load: Callable[..., Array], clean: Array, noisy: Array
) -> None:
    image, reference = save("img.png", noisy), save("true.png", clean)
    report = command("denoise", image, "--reference", reference, "--iterations", 40, "--seed", 5, *QUICK).report
    check_nulls(report)

    written = load(Path(report["output"]))
    assert report["psnr"] == pytest.approx(peak_signal_noise_ratio(clean, written), abs=1e-4)
    assert report["psnr_input"] == pytest.approx(peak_signal_noise_ratio(clean, noisy), abs=1e-4)
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    similarity = structural_similarity(clean, written, channel_axis=-1, **window)
    assert report["ssim"] == pytest.approx(similarity, abs=1e-4)
    assert report["psnr_peak"] >= report["psnr_final"]
    assert report["psnr_peak"] >= report["psnr"] - 0.1

    assert (report["command"], report["problem"], report["prior"]) == ("denoise", "denoise", "hourglass")
    assert (report["input"], report["size"], report["seed"]) == (str(image), [48, 40], 5)
    assert (report["norm"], report["init"], report["preset"]) == ("channel", "default", "balanced")
    assert (report["objective"], report["device"], report["iterations"]) == ("recorrupted", "cpu", 40)
    assert report["stop_reason"] == "iterations"
    assert report["sigma"] == pytest.approx(20, abs=3)
    assert 1 <= report["iteration_best"] <= 40
    assert report["parameters"] > 10_000
    assert 0 < report["seconds_per_iteration"] * 40 <= report["seconds"]
    assert report["peak_memory_mb"] > 50
    assert report["threads"] >= 1
    assert report["versions"].keys() >= {"restore", "python", "torch"}
    assert report["schema_version"] == 1
    assert all(isinstance(warning, str) for warning in report["warnings"])


def test_an_inpainting_with_a_reference(
    command: Command, save: Callable[..., Path], load: Callable[..., Array], clean: Array, hole: Array
) -> None:
    image, mask = save("img.png", np.where(hole[..., None], 0, clean).astype(np.uint8)), save("mask.png", hole)
    words = ("inpaint", image, "--mask", mask, "--reference", save("true.png", clean), "--iterations", 5)
    report = command(*words, *QUICK).report
    check_nulls(report)

    written = load(Path(report["output"]))
    error = np.mean((written[hole] / 255 - clean[hole] / 255) ** 2)
    assert report["psnr_hole"] == pytest.approx(-10 * math.log10(error), abs=1e-4)
    assert report["psnr"] == pytest.approx(peak_signal_noise_ratio(clean, written), abs=1e-4)
    share = hole.mean()  # the known pixels are exact, so the whole picture's error is the hole's part
    assert report["psnr"] == pytest.approx(report["psnr_hole"] - 10 * math.log10(share), abs=1e-3)
    assert (report["command"], report["problem"], report["sigma"]) == ("inpaint", "inpaint", 0)


def test_what_needs_a_reference_is_null_without_one(
    command: Command, save: Callable[..., Path], noisy: Array, hole: Array
) -> None:
    image, mask = save("img.png", noisy), save("mask.png", hole)
    reports = (
        command("denoise", image, "--iterations", 2, *QUICK).report,
        command("inpaint", image, "--mask", mask, "--iterations", 2, "--existing", "overwrite", *QUICK).report,
    )
    for report in reports:
        check_nulls(report)
        assert report["null_reasons"].keys() >= NEED_A_REFERENCE
        assert "--reference" in report["null_reasons"]["psnr"]


def test_what_is_infinite_is_null(command: Command, save: Callable[..., Path], noisy: Array) -> None:
    image = save("img.png", noisy)
    report = command("denoise", image, "--reference", image, "--iterations", 2, *QUICK).report
    check_nulls(report)
    assert report["psnr_input"] is None
    assert "equal" in report["null_reasons"]["psnr_input"]


def test_what_a_tiny_picture_has_no_figure_for(command: Command, save: Callable[..., Path], clean: Array) -> None:
    image = save("img.png", clean[:5, :7])
    report = command("denoise", image, "--reference", image, "--iterations", 2, *QUICK).report
    check_nulls(report)
    assert report["null_reasons"].keys() >= {"ssim", "lpips", "psnr_estimate", "psnr_estimate_error"}


def test_no_weights_are_fetched_unasked(
    command: Command, save: Callable[..., Path], clean: Array, noisy: Array, no_weights: Path
) -> None:
    words = ("denoise", save("img.png", noisy), "--reference", save("true.png", clean), "--iterations", 2)
    report = command(*words, *QUICK).report
    assert report["lpips"] is None
    assert "doctor --fetch-lpips" in report["null_reasons"]["lpips"] or "torchvision" in report["null_reasons"]["lpips"]
    assert list(no_weights.rglob("*")) == []


def test_the_estimate_is_near_the_truth(command: Command, save: Callable[..., Path]) -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:128, 0:128]
    truth = np.stack([128 + 70 * np.sin(columns / 9), 128 + 70 * np.cos(rows / 7), 64 + columns], axis=-1)
    noisy = (truth + rng.normal(0, 25, truth.shape)).clip(0, 255).round().astype(np.uint8)
    image, reference = save("img.png", noisy), save("true.png", truth.round().astype(np.uint8))
    words = ("denoise", image, "--reference", reference, "--sigma", 25, "--iterations", 20)
    report = command(*words, *QUICK).report
    assert report["sigma"] == 25
    assert 0 < report["psnr_estimate_error"] <= 1
    assert report["psnr_estimate"] == pytest.approx(report["psnr"], abs=4 * report["psnr_estimate_error"])
