"""What stopping costs: fits that go on to 1.5 times the step at which they would have ended.

    python docs/measurements/stopping.py CROP SIGMAS PRIOR OBJECTIVE PICTURE [PICTURE ...]

CROP pixels a side from the middle of each true PICTURE; SIGMAS with commas, on the scale of 0 to 255; `auto` for the
objective is the default's. Prints a Markdown table: the PSNR in dB of the image that the rule held-out chooses, as it
would be written, the highest of the same averaged image, looked at every ten steps, and the last. What
docs/real-noise.md measures.
"""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from restore.fitting import fit, make_plan
from restore.fitting.stopping import HeldOut
from restore.fitting.trace import Step
from restore.images import read
from restore.problems.degrade import add_gaussian_noise
from restore.problems.examination import examine
from restore.problems.problem import Problem
from restore.settings import FitSettings, Plan

BEYOND = 1.5


@dataclass
class Beyond:
    """Lets the rule of a plan speak and the fit go on; an observer."""

    problem: Problem
    plan: Plan
    true: Tensor
    psnr: dict[int, float] = field(default_factory=dict)
    stopped: int | None = None

    def __post_init__(self) -> None:
        self.rule = HeldOut(self.plan.warmup, self.plan.patience)

    def __call__(self, step: Step) -> None:
        """Look at a step; end the fit where enough has been seen."""
        if step.check:
            image = self.problem.unclipped(step.image) if self.plan.unclips else step.image
            error = (image.clamp(0, 1) - self.true).square().mean().item()
            self.psnr[step.iteration] = -10 * np.log10(error)
        if self.stopped is None and (self.rule(step).stop or step.iteration >= self.plan.iterations):
            self.stopped = step.iteration
            self.written = self.psnr[self.rule.iteration]
        if self.stopped is not None and step.iteration >= BEYOND * self.stopped:
            raise KeyboardInterrupt


def measure(path: str, crop: int, sigma: float, prior: str, objective: str) -> tuple[str, float]:
    """Return a row of the table, and what stopping cost."""
    whole = read(path).to_array()
    top, left = (max(0, (length - crop) // 2) for length in whole.shape[:2])
    true = np.atleast_3d(whole[top : top + crop, left : left + crop])
    noisy, clean = (
        image.astype(np.float32).transpose(2, 0, 1) / 255 for image in (add_gaussian_noise(true, sigma), true)
    )
    problem = examine(noisy).problem(noisy)
    plan = make_plan(problem, FitSettings(prior=prior, objective=objective, device="cpu"))
    if plan.stop != "heldout":
        raise SystemExit(f"{path}, sigma {sigma:g}: nothing is held out, so no rule speaks; take more pixels.")
    beyond = Beyond(problem, plan, torch.from_numpy(clean)[None])
    endless = dataclasses.replace(plan, iterations=10 * (1 + int(BEYOND * plan.iterations) // 10), patience=10**9)
    fit(problem, endless, [beyond])
    peak, best = max((psnr, step) for step, psnr in beyond.psnr.items())
    last = list(beyond.psnr.values())[-1]
    lost = peak - beyond.written
    name = Path(path).stem
    return (
        f"| {name} | {sigma:g} | {plan.objective} | {beyond.written:.2f} | {beyond.rule.iteration} | {beyond.stopped} "
        f"| {peak:.2f} | {best} | {last:.2f} | {lost:.2f} |"
    ), lost


def main(crop: int, sigmas: list[float], prior: str, objective: str, paths: list[str]) -> None:
    """Print the table, and its mean and 95th percentile."""
    torch.set_num_threads(1)
    print("| picture | sigma | objective | written | its step | stopped | peak | its step | last | lost |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    lost = []
    for path in paths:
        for sigma in sigmas:
            row, cost = measure(path, crop, sigma, prior, objective)
            print(row, flush=True)
            lost.append(cost)
    print(f"\nlost: mean {np.mean(lost):.3f} dB, 95th percentile {np.percentile(lost, 95):.3f}, most {max(lost):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]), [float(each) for each in sys.argv[2].split(",")], sys.argv[3], sys.argv[4], sys.argv[5:])
