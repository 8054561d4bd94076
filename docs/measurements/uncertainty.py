"""Say how well `--save-uncertainty` tells the error, by tenths of the values, from certain to uncertain.

    python docs/measurements/uncertainty.py TRUE RESTORED UNCERTAINTY.tif

Each line: mean predicted deviation, root mean square of the true error, the part of errors within two deviations.
"""

from __future__ import annotations

import sys

import numpy as np
import tifffile
from PIL import Image


def main(true: str, restored: str, uncertainty: str) -> None:
    """Print the table."""
    with Image.open(true) as first, Image.open(restored) as second:
        error = np.asarray(second).astype(float) - np.asarray(first).astype(float)
    deviation = tifffile.imread(uncertainty).astype(float).reshape(error.shape)
    order = np.argsort(deviation.ravel())
    print("| tenth | predicted | error | within two deviations |\n|---|---|---|---|")
    for number, part in enumerate(np.array_split(order, 10), 1):
        predicted, actual = deviation.ravel()[part], error.ravel()[part]
        inside = (abs(actual) <= 2 * predicted + 0.5).mean()
        print(f"| {number} | {predicted.mean():.2f} | {np.sqrt(np.square(actual).mean()):.2f} | {inside:.1%} |")
    inside = (abs(error) <= 2 * deviation + 0.5).mean()
    total = np.sqrt(np.square(deviation).mean()), np.sqrt(np.square(error).mean())
    print(f"| all | {total[0]:.2f} (rms) | {total[1]:.2f} | {inside:.1%} |")


if __name__ == "__main__":
    main(*sys.argv[1:4])
