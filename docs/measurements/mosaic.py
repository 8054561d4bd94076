"""Write a big picture made of turned and mirrored copies of the sample pictures, and the same with noise of sigma 25.

    python docs/measurements/mosaic.py WIDTH HEIGHT SCALE NAME

writes NAME.png and NAME-noise25.png; each sample has 256 * SCALE pixels a side. What docs/big-pictures.md measures.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from restore.problems.degrade import add_gaussian_noise

SAMPLES = Path(__file__).parents[2] / "sample_images"
NAMES = ("astronaut", "chelsea", "coffee", "rocket", "retina", "brick", "camera", "cell")


def main(width: int, height: int, scale: int, name: str) -> None:
    """Write both pictures."""
    side = 256 * scale
    mosaic = np.zeros((height, width, 3), np.uint8)
    number = 0
    for top in range(0, height, side):
        for left in range(0, width, side):
            with Image.open(SAMPLES / f"{NAMES[number % len(NAMES)]}.png") as sample:
                piece = np.asarray(sample.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))
            piece = np.rot90(piece, number // len(NAMES) % 4)
            piece = piece[:, ::-1] if number // (4 * len(NAMES)) % 2 else piece
            part = mosaic[top : top + side, left : left + side]
            part[...] = piece[: part.shape[0], : part.shape[1]]
            number += 1 if left + side < width else 2  # or the columns would repeat
    Image.fromarray(mosaic).save(f"{name}.png")
    Image.fromarray(add_gaussian_noise(mosaic, 25)).save(f"{name}-noise25.png")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), sys.argv[4])
