"""Training a cell on a task until it is solved, the time is up, or for good; it can be stopped and taken up again."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from restore.cells import SequenceModel, make_cell, project_
from restore.cells.parameter_groups import parameter_groups
from restore.errors import InputError
from restore.images import atomic_write_bytes
from restore.studies.sequence_tasks import Task

__all__ = ["Learned", "Recipe", "learn"]

WINDOW = 50
"""Losses that are averaged before they are compared with the threshold: a single batch may be lucky."""

SAVE_EVERY = 60.0
"""Seconds between two states on disk."""

LARGEST_GRADIENT = 1.0
"""Norm above which a gradient is scaled down."""


@dataclass(frozen=True)
class Recipe:
    """How a cell is trained.

    Attributes:
        cell: its name. size: n. options: of its constructor, by name.
        optimizer: `adam` or `rmsprop`.
        rate: of all parameters but the skew ones, which learn at a tenth of it.
        batch: sequences in a step.
        seed: of the weights and of the sequences.
    """

    cell: str
    size: int
    options: Mapping[str, Any] = field(default_factory=dict)
    optimizer: str = "adam"
    rate: float = 1e-3
    batch: int = 50
    seed: int = 0


@dataclass
class Learned:
    """What became of a training.

    Attributes:
        losses: of every step, on sequences never seen before.
        seconds: that the steps took, those before an interruption included.
        solved: whether the mean of the last losses fell below the threshold.
        parameters: number of the model's parameters.
    """

    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    solved: bool = False
    parameters: int = 0

    @property
    def loss(self) -> float:
        """The mean of the last losses."""
        last = self.losses[-WINDOW:]
        return sum(last) / max(1, len(last))


def learn(
    task: Task,
    recipe: Recipe,
    *,
    threshold: float,
    cap: float,
    most: int = 100_000,
    state: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Learned:
    """Train the recipe's cell on fresh sequences of the `task` and return what became of it.

    Args:
        threshold: mean loss at which the task is solved and the training ends.
        cap: seconds after which it ends.
        most: steps after which it ends.
        state: a file to keep the training in, and to go on from where it is there.
        say: told of progress once a minute.

    Raises InputError where the file at `state` is something else.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    cell = make_cell(recipe.cell, recipe.size, generator=generator, **recipe.options)
    model = SequenceModel(cell, task.inputs, task.outputs, generator=generator)
    groups = parameter_groups(model, recipe.rate)
    optimizer: torch.optim.Optimizer
    if recipe.optimizer == "rmsprop":
        optimizer = torch.optim.RMSprop(groups, lr=recipe.rate, alpha=0.9)
    else:
        optimizer = torch.optim.Adam(groups, lr=recipe.rate)
    learned = Learned(parameters=sum(parameter.numel() for parameter in model.parameters()))
    if state is not None and state.exists():
        _load(state, model, optimizer, generator, learned)
    said = saved = began = time.perf_counter()
    before = learned.seconds
    while not learned.solved and len(learned.losses) < most and learned.seconds < cap:
        inputs, targets = task.batch(recipe.batch, generator)
        loss = task.loss(model(inputs), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        project_(model)
        learned.losses.append(loss.item())
        now = time.perf_counter()
        learned.seconds = before + now - began
        learned.solved = len(learned.losses) >= WINDOW and learned.loss < threshold
        if now - said > SAVE_EVERY:
            said = now
            say(f"{task.name}, {recipe.cell}: step {len(learned.losses)}, loss {learned.loss:.4g} of {threshold:.4g}")
        if state is not None and now - saved > SAVE_EVERY:
            saved = now
            _save(state, model, optimizer, generator, learned)
    if state is not None:
        _save(state, model, optimizer, generator, learned)
    return learned


def _save(
    path: Path, model: SequenceModel, optimizer: torch.optim.Optimizer, generator: torch.Generator, learned: Learned
) -> None:
    buffer = io.BytesIO()
    kept = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": generator.get_state(),
        "losses": torch.tensor(learned.losses, dtype=torch.float64),
        "seconds": learned.seconds,
        "solved": learned.solved,
    }
    torch.save(kept, buffer)
    atomic_write_bytes(path, buffer.getvalue(), existing="overwrite")


def _load(
    path: Path, model: SequenceModel, optimizer: torch.optim.Optimizer, generator: torch.Generator, learned: Learned
) -> None:
    try:
        kept = torch.load(path, weights_only=True)
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        generator.set_state(kept["generator"])
        learned.losses = kept["losses"].tolist()
        learned.seconds = kept["seconds"]
        learned.solved = kept["solved"]
    except (KeyError, TypeError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{str(path)!r} is not a state of this training: remove it, or choose another folder."
        ) from error
