"""Measure `restore denoise` and scikit-image's non-local means on noise that is not white Gaussian; print a table.

    python docs/measurements/real_noise.py camera retina coffee

The arguments are names of sample pictures, of which the middle 160x160 pixels are taken. Non-local means is given sigma
by skimage.restoration.estimate_sigma, with h = 0.8 sigma, fast_mode, patches of 5 and a distance of 6.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.restoration import denoise_nl_means, estimate_sigma

import restore
from restore.problems.noise_models import add_noise

SAMPLES = Path(__file__).parents[2] / "sample_images"
CASES = (
    ("poisson", 40),
    ("speckle", 60),
    ("salt-and-pepper", 10),
    ("correlated", 25),
    ("demosaicked", 25),
    ("sensor", 40),
    ("jpeg", 25),
    ("jpeg", 10),
)
SIDE = 160


def psnr(image: NDArray[Any], truth: NDArray[Any]) -> float:
    """Return the PSNR in dB of 8-bit pictures."""
    return float(-10 * np.log10(np.square((image.astype(float) - truth) / 255).mean()))


def non_local_means(noisy: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the picture that non-local means makes of the `noisy` one."""
    axis = -1 if noisy.ndim == 3 else None
    sigma = estimate_sigma(noisy / 255, channel_axis=axis, average_sigmas=True)
    values = {"h": 0.8 * sigma, "sigma": sigma, "fast_mode": True, "patch_size": 5, "patch_distance": 6}
    return 255 * denoise_nl_means(noisy / 255, channel_axis=axis, **values).clip(0, 1)


def main(names: list[str]) -> None:
    """Print a row for each case and picture as soon as it is measured."""
    torch.set_num_threads(1)
    print("| noise | picture | noisy | non-local means | restore | objective | steps |\n|---|---|---|---|---|---|---|")
    for kind, amount in CASES:
        for name in names:
            whole = np.asarray(Image.open(SAMPLES / f"{name}.png"))
            corner = (whole.shape[0] - SIDE) // 2
            clean = np.ascontiguousarray(whole[corner : corner + SIDE, corner : corner + SIDE])
            noisy = add_noise(clean, kind, amount)
            report = restore.denoise(noisy, reference=clean, device="cpu").report
            objective = "inpainting" if report["problem"] == "inpaint" else report["objective"]
            figures = (psnr(noisy, clean), psnr(non_local_means(noisy), clean), report["psnr"])
            row = " | ".join(f"{figure:.2f}" for figure in figures)
            print(f"| {kind} {amount} | {name} | {row} | {objective} | {report['iterations']} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["camera", "retina", "coffee"])
