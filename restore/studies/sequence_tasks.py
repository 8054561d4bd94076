"""The two tasks that tell a long memory from a short one: copying and adding (doi:10.1162/neco.1997.9.8.1735)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from restore.errors import unknown_name

__all__ = ["SYMBOLS", "TO_COPY", "Task", "adding", "copying", "make_task"]

SYMBOLS = 8
"""Symbols that a sequence to copy is made of; two more are the blank and the marker."""

TO_COPY = 10
"""Symbols to copy."""


@dataclass(frozen=True)
class Task:
    """A task on sequences.

    Attributes:
        name: `copying` or `adding`.
        inputs, outputs: widths of a model for it.
        baseline: the loss of the best answer that remembers nothing.
        batch: draws (inputs (B, T', inputs), targets) for a number B and a generator.
        loss: of a model's outputs (B, T', outputs) and the targets.
    """

    name: str
    inputs: int
    outputs: int
    baseline: float
    batch: Callable[[int, torch.Generator], tuple[Tensor, Tensor]]
    loss: Callable[[Tensor, Tensor], Tensor]


def copying(length: int) -> Task:
    """Return the copying problem with a delay of T = `length`: 10 symbols, T blanks that end with a marker, silence.

    The model is to answer with T + 10 blanks and then the symbols. Loss: cross-entropy, averaged over the T + 20 steps.
    Guessing the symbols costs 10 ln 8 / (T + 20).
    """

    def batch(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        symbols = torch.randint(1, SYMBOLS + 1, (count, TO_COPY), generator=generator)
        shown = torch.zeros(count, length + 2 * TO_COPY, dtype=torch.long)
        shown[:, :TO_COPY] = symbols
        shown[:, TO_COPY + length - 1] = SYMBOLS + 1
        wanted = torch.zeros_like(shown)
        wanted[:, -TO_COPY:] = symbols
        return F.one_hot(shown, SYMBOLS + 2).float(), wanted

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.flatten(end_dim=1), targets.flatten())

    baseline = TO_COPY * math.log(SYMBOLS) / (length + 2 * TO_COPY)
    return Task("copying", SYMBOLS + 2, SYMBOLS + 1, baseline, batch, loss)


def adding(length: int) -> Task:
    """Return the adding problem over T = `length`: numbers from U(0, 1), two of them marked, one in each half.

    The model is to answer with their sum at the end. Loss: squared error. The mean, 1, costs 1/6.
    """

    def batch(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        numbers = torch.rand(count, length, generator=generator)
        half = length // 2
        first = torch.randint(half, (count, 1), generator=generator)
        second = torch.randint(half, length, (count, 1), generator=generator)
        marks = torch.zeros(count, length).scatter_(1, first, 1.0).scatter_(1, second, 1.0)
        return torch.stack([numbers, marks], dim=-1), (numbers * marks).sum(1)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(outputs[:, -1, 0], targets)

    return Task("adding", 2, 1, 1 / 6, batch, loss)


def make_task(name: str, length: int) -> Task:
    """Return the task `name` over T = `length`.

    Raises UsageError for a task that does not exist.
    """
    tasks = {"copying": copying, "adding": adding}
    if name not in tasks:
        raise unknown_name("task", name, tasks)
    return tasks[name](length)
