"""Make the sample pictures and their damaged versions from what scikit-image brings along.

    python sample_images/make.py [FOLDER]

Without FOLDER the files go beside this script. Nothing is downloaded; noise and masks draw from seed 0.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from restore.problems.degrade import add_gaussian_noise, apply_mask, random_mask, scratch_mask, text_mask

Pixels = NDArray[Any]


def crop(image: Pixels, top: int, left: int, side: int = 256) -> Pixels:
    """Return the square of `side` pixels whose corner is at (`top`, `left`)."""
    return image[top : top + side, left : left + side]


def reduced(image: Pixels, factor: int) -> Pixels:
    """Return `image` with each `factor` x `factor` block replaced by its mean."""
    return np.asarray(Image.fromarray(image).reduce(factor))


def pictures() -> dict[str, Pixels]:
    """Return the undamaged pictures, uint8, (256, 256) or (256, 256, 3)."""
    return {
        "astronaut": crop(data.astronaut(), 0, 96),
        "brick": crop(data.brick(), 0, 0),
        "camera": reduced(data.camera(), 2),
        "cell": crop(data.cell(), 200, 290),
        "chelsea": crop(data.chelsea(), 22, 100),
        "coffee": crop(data.coffee(), 60, 180),
        "retina": crop(reduced(data.retina(), 5), 14, 14),
        "rocket": crop(data.rocket(), 100, 192),
    }


def damaged(clean: dict[str, Pixels]) -> dict[str, Pixels]:
    """Return the damaged versions of the `clean` pictures and the masks, white where a pixel is missing."""
    files: dict[str, Pixels] = {}
    for name in ("astronaut", "camera", "cell", "retina"):
        files[f"{name}-noise25"] = add_gaussian_noise(clean[name], 25, seed=0)
    masks = {f"{name}-missing50": random_mask(clean[name].shape[:2], 0.5, seed=0) for name in ("brick", "chelsea")}
    masks["coffee-text"] = text_mask((256, 256), "every letter hides a part of the picture")
    masks["rocket-scratches"] = scratch_mask((256, 256), seed=0)
    for name, mask in masks.items():
        files[name] = apply_mask(clean[name.split("-")[0]], mask)
        files[f"{name}-mask"] = np.where(mask, 255, 0).astype(np.uint8)
    return files


def main(folder: Path) -> None:
    """Write all sample pictures as PNG into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    clean = pictures()
    clock = {"clock": crop(data.clock(), 22, 72)}
    for name, pixels in (clean | clock | damaged(clean)).items():
        Image.fromarray(pixels).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
