"""Gaussian noise that is not clipped to [0, 1], which files of 8 bits cannot hold and floats can; print a table.

    python docs/measurements/unclipped.py CROP SIGMA PICTURE [PICTURE ...]

CROP pixels a side from the middle of each true PICTURE; SIGMA on the scale of 0 to 255. PSNR in dB of the result,
clipped to [0, 1], of `restore.denoise`, which is not told sigma, and of the package `bm3d`, which is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import restore
from restore.images import read
from restore.peers import PEERS, Task


def psnr(image: NDArray[Any], true: NDArray[Any]) -> float:
    """Return the PSNR in dB of pictures in [0, 1]."""
    return float(-10 * np.log10(np.square(image.clip(0, 1).astype(np.float64) - true).mean()))


def main(crop: int, sigma: float, paths: list[str]) -> None:
    """Print a row for each picture as soon as it is measured."""
    torch.set_num_threads(1)
    print("| picture | noisy | restore | its estimate of sigma | steps | bm3d, told sigma |\n|---|---|---|---|---|---|")
    for path in paths:
        whole = read(path).to_array()
        top, left = (max(0, (length - crop) // 2) for length in whole.shape[:2])
        true = whole[top : top + crop, left : left + crop].astype(np.float64) / 255
        noisy = (true + sigma / 255 * np.random.default_rng(0).standard_normal(true.shape)).astype(np.float32)
        result = restore.denoise(noisy, device="cpu")
        # Floats outside [0, 1] are fitted on the scale of their range.
        told = result.report["sigma"] * float(np.ptp(noisy))
        peer = PEERS["bm3d"].run(Task(noisy.astype(np.float64), sigma=sigma / 255))
        figures = (psnr(noisy, true), psnr(result.image, true), told)
        row = " | ".join(f"{figure:.2f}" for figure in figures)
        print(f"| {Path(path).stem} | {row} | {result.report['iterations']} | {psnr(peer, true):.2f} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
