"""The progress of a fit on stderr: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import math
import sys
from typing import Any

from tqdm import tqdm

from restore.fitting import Step
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["Progress"]

SECONDS_BETWEEN_LINES = 10.0

TOLD = 4.0
"""Standard errors above which a held-out error is shown as a PSNR: it is then known to about a decibel."""


class Progress:
    """An observer that shows the step, the loss, the held-out error as a PSNR, and the time that is left.

    Args:
        name: of the picture.
        shown: False for silence.
    """

    def __init__(self, name: str, shown: bool) -> None:
        self._name = name
        self._shown = shown
        self._bar: Any = None
        self._next_line = SECONDS_BETWEEN_LINES
        self._variance = 0.0
        self._steps = 0
        self._before = self._held_out = 0.0
        self._budget = math.inf
        self._state = self._within = self._part = ""

    def start(self, problem: Problem, plan: Plan, done: int = 0) -> None:
        """Begin to show the progress of a fit, `done` steps of which were done before."""
        self._variance = (problem.sigma / 255) ** 2
        self._take(plan)
        if self._shown and sys.stderr.isatty():
            self._bar = tqdm(
                total=plan.iterations,
                initial=done,
                desc=self._name,
                unit="step",
                file=sys.stderr,
                dynamic_ncols=True,
            )

    def begin_tile(self, number: int, count: int, plan: Plan) -> None:
        """Begin to show the progress of one of the tiles of a big picture."""
        self._within = f" tile {number}/{count}"
        self.begin_fit("", plan)

    def begin_fit(self, what: str, plan: Plan, seconds: float = 0.0) -> None:
        """Begin to show a part of the fit.

        Args:
            what: it is, in a word; empty for the whole picture or tile.
            plan: of the part.
            seconds: that other parts took, where the time of its steps includes them.
        """
        self._part = self._within + (f" {what}" if what else "")
        self._before = seconds
        self._take(plan)
        self._next_line = seconds + SECONDS_BETWEEN_LINES
        if self._bar is not None:
            self._bar.reset(total=plan.iterations)
            self._bar.set_description_str(self._name + self._part)

    def interrupted(self, rest: str) -> None:
        """Say that Ctrl-C was heard, and what is still done."""
        if self._shown:
            print(f"{self._name}: interrupted: {rest}.", file=sys.stderr, flush=True)

    def __call__(self, step: Step) -> None:
        """Show the step."""
        if not self._shown:
            return
        if step.held_out is not None:
            self._state = f" held-out {step.held_out:.5f}"
            # By the chance of so few pixels alone it would be this; less than four of it are told to no decibel.
            chance = self._variance * math.sqrt(2 / max(1.0, self._held_out * step.image.numel()))
            if step.held_out > self._variance + TOLD * chance:
                self._state += f" (~{-10 * math.log10(step.held_out - self._variance):.1f} dB)"
        if self._bar is not None:
            self._bar.update(step.iteration - self._bar.n)
            self._bar.set_postfix_str(f"loss {step.loss:.5f}{self._state}", refresh=False)
        elif step.seconds >= self._next_line:
            self._next_line = step.seconds + SECONDS_BETWEEN_LINES
            left = (step.seconds - self._before) / step.iteration * (self._steps - step.iteration)
            left = max(0.0, min(left, self._budget - step.seconds))
            print(
                f"{self._name}:{self._part} step {step.iteration}/{self._steps}, loss {step.loss:.5f}{self._state}, "
                f"at most {left:.0f} s left{' of it' if self._part else ''}",
                file=sys.stderr,
                flush=True,
            )

    def _take(self, plan: Plan) -> None:
        self._steps, self._held_out = plan.iterations, plan.held_out
        self._budget = math.inf if plan.time_budget is None else plan.time_budget

    def close(self) -> None:
        """Leave the terminal in order."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
