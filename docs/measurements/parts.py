"""A large picture fitted whole from drawn weights, with a warm start on its middle, and on tiles.

    python docs/measurements/parts.py SIGMA HOW PICTURE [PICTURE ...]

HOW is `whole`, `warm`, or the largest side of the tiles in pixels; SIGMA is on the scale of 0 to 255. One process a
picture, or the memory is that of the largest so far; the seconds are the processor's, of all threads. What
docs/big-pictures.md and docs/speed.md measure.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

from restore.cli.allocator import keep_freed_memory
from restore.fitting import fit, make_plan
from restore.fitting.bounded import tile_plan
from restore.fitting.tiled import fit_tiles
from restore.fitting.warm_start import fit_warm, warm_plan
from restore.images import read
from restore.problems.degrade import add_gaussian_noise
from restore.problems.examination import examine
from restore.settings import FitSettings


def measure(path: str, sigma: float, how: str) -> str:
    """Return a row of the table."""
    true = np.atleast_3d(read(path).to_array())
    noisy, clean = (
        image.astype(np.float32).transpose(2, 0, 1) / 255 for image in (add_gaussian_noise(true, sigma), true)
    )
    problem, settings = examine(noisy).problem(noisy), FitSettings(device="cpu")
    plan, began = make_plan(problem, settings), time.process_time()
    if how == "whole":
        fitted = fit(problem, plan)
    elif how == "warm":
        fitted = fit_warm(problem, warm_plan(problem, plan, settings), settings)
    else:
        fitted = fit_tiles(problem, tile_plan(problem, plan, settings, int(how)), settings)
    seconds = time.process_time() - began
    image = problem.unclipped(fitted.image) if plan.unclips and fitted.tiles == 1 else fitted.image
    psnr = -10 * np.log10(float((image.clamp(0, 1)[0] - torch.from_numpy(clean)).square().mean()))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    steps = f"{fitted.steps_before} + {fitted.iterations}" if fitted.steps_before else f"{fitted.iterations}"
    size = f"{problem.size[1]}x{problem.size[0]}"
    return f"| {Path(path).stem} | {size} | {how} | {fitted.tiles} | {steps} | {psnr:.2f} | {seconds:.0f} | {memory} |"


if __name__ == "__main__":
    keep_freed_memory()
    print("| picture | size | fit | tiles | steps | PSNR | CPU seconds | MiB |\n|---|---|---|---|---|---|---|---|")
    for each in sys.argv[3:]:
        print(measure(each, float(sys.argv[1]), sys.argv[2]), flush=True)
