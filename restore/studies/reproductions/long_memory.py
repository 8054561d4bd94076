"""Copying and adding: orthogonal and unitary recurrences keep over hundreds of steps what gated ones do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from restore.cells import CELLS
from restore.errors import unknown_name
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict
from restore.studies.sequence_tasks import Task, make_task
from restore.studies.sequence_training import WINDOW, Learned, Recipe, learn

__all__ = ["CLAIMS"]

RECIPES: Mapping[str, Mapping[str, Recipe]] = {
    "copying": {
        "scornn": Recipe("scornn", 190, {"negatives": 95}, batch=20),
        "scurnn": Recipe("scurnn", 130, batch=20),
        "enrnn": Recipe("enrnn", 192, {"short": 20, "negatives": 52}, batch=20),
        "gru": Recipe("gru", 100, batch=20),
        "lstm": Recipe("lstm", 68, batch=20),
    },
    "adding": {
        "scornn": Recipe("scornn", 170, {"negatives": 85}),
        "scurnn": Recipe("scurnn", 116),
        "enrnn": Recipe("enrnn", 160, {"short": 64, "negatives": 29}),
        "gru": Recipe("gru", 60),
        "lstm": Recipe("lstm", 60),
    },
}
"""Sizes of the papers for scornn, scurnn and enrnn."""

DEFAULT_SIZE = 128
QUICK_SIZE = 64
CONTROL = "lstm"

ORTHOGONAL = ("scornn", "scurnn", "enrnn")
"""Cells that the claim is about; what is measured beside them is shown, and decides nothing."""

FULL, QUICK = 200, 20
"""T of the sequences."""


def threshold(task: Task) -> float:
    """Return the loss at which a task counts as solved: a tenth of the baseline's cross-entropy, or 0.02."""
    return task.baseline / 10 if task.name == "copying" else 0.02


def recipe_of(name: str, cell: str, conditions: Conditions) -> Recipe:
    """Return how `cell` is trained on the task `name`.

    Raises UsageError for a cell that does not exist.
    """
    if cell not in CELLS:
        raise unknown_name("cell", cell, CELLS)
    recipe = RECIPES[name].get(cell, Recipe(cell, DEFAULT_SIZE))
    if conditions.quick:
        return Recipe(cell, QUICK_SIZE, rate=3e-3, seed=conditions.seed)
    return replace(recipe, seed=conditions.seed)


def measure(name: str, conditions: Conditions) -> Outcome:
    """Train the cells on the task, one after the other, and LSTM beside them."""
    task = make_task(name, QUICK if conditions.quick else FULL)
    goal = threshold(task)
    cells = conditions.cells or (ORTHOGONAL if conditions.quick else (*ORTHOGONAL, "gru"))
    learned: dict[str, Learned] = {}
    for cell in dict.fromkeys((*cells, CONTROL)):
        recipe = recipe_of(name, cell, conditions)
        size = "quick" if conditions.quick else "full"
        state = None if conditions.folder is None else conditions.folder / f"{name}-{cell}-{size}-{conditions.seed}.pt"
        cap = conditions.cap
        if (
            cell == CONTROL and CONTROL not in cells
        ):  # for comparison: as long as the slowest, and some time in any case
            slowest = max(other.seconds for other in learned.values())
            cap = min(cap, max(slowest, 10 if conditions.quick else 120))
        learned[cell] = learn(task, recipe, threshold=goal, cap=cap, state=state, say=conditions.say)
        conditions.say(f"{name}, {cell}: {_words(learned[cell])}")
    judged = [cell for cell in cells if cell in ORTHOGONAL] or list(cells)
    met = all(learned[cell].solved for cell in judged)
    goals = f"mean loss of {WINDOW} steps below {goal:.4g} for {', '.join(judged)}, each within its cap"
    if name == "copying" and not conditions.quick and CONTROL not in judged:
        met = met and not learned[CONTROL].solved
        goals += f"; not for {CONTROL}"
    measured: dict[str, Any] = {"length": QUICK if conditions.quick else FULL, "baseline": task.baseline}
    for cell, result in learned.items():
        measured[cell] = {
            "solved": result.solved,
            "steps": len(result.losses),
            "loss": result.loss,
            "seconds": round(result.seconds, 1),
            "parameters": result.parameters,
        }
    last = max(len(result.losses) for result in learned.values())
    limits = [
        Curve("baseline", (1, last), (task.baseline, task.baseline), dashed=True),
        Curve("threshold", (1, last), (goal, goal), dashed=True),
    ]
    return Outcome(
        measured=measured,
        threshold=goals,
        verdict=Verdict.met if met else Verdict.not_reproduced,
        curves=[*(_curve(cell, result) for cell, result in learned.items()), *limits],
        axes=("step", "cross-entropy" if name == "copying" else "squared error"),
        scales=("linear", "log"),
    )


def _words(learned: Learned) -> str:
    end = "solved" if learned.solved else "not solved"
    return f"{end} after {len(learned.losses)} steps and {learned.seconds:.0f} s, loss {learned.loss:.4g}"


def _curve(name: str, learned: Learned) -> Curve:
    """Return the losses averaged over windows, so that the figure stays readable."""
    chunks = [learned.losses[at : at + WINDOW] for at in range(0, len(learned.losses), WINDOW)]
    means = [sum(chunk) / len(chunk) for chunk in chunks]
    return Curve(name, [WINDOW * at + len(chunk) for at, chunk in enumerate(chunks)], means)


CLAIMS = (
    Claim(
        name="copying",
        text="Orthogonal and unitary recurrences solve the copying problem, where an LSTM stays at the baseline.",
        source="arXiv:1707.09520, arXiv:1811.04142, arXiv:1911.07964",
        published="scoRNN: near 0 at T = 1000 and 2000, where LSTM stays at 10 ln 8 / (T + 20)",
        expected=Verdict.met,
        measure=lambda conditions: measure("copying", conditions),
        takes_cells=True,
    ),
    Claim(
        name="adding",
        text="Orthogonal and unitary recurrences solve the adding problem over hundreds of steps.",
        source="arXiv:1707.09520, arXiv:1811.04142, arXiv:1911.07964",
        published=None,
        expected=Verdict.met,
        measure=lambda conditions: measure("adding", conditions),
        takes_cells=True,
    ),
)
