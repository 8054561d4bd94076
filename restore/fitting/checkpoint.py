"""Checkpoints of a fit: everything that its future depends on, in a file, so that it goes on as if nothing had been."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from restore.errors import OutputError, RestoreError, UsageError
from restore.fitting.state_file import read_state, write_state
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["Checkpoint", "Remembers", "parts_of"]

SCHEMA_VERSION = 1


class Remembers(Protocol):
    """What has a state that a fit's future or its records depend on; observers may be such, or not."""

    def state(self) -> Any:
        """Return it: mappings, lists, tuples, tensors, numbers, text."""
        ...

    def restore(self, state: Any) -> None:
        """Take it back."""
        ...


class Checkpoint:
    """The file of a fit that can be interrupted at any moment.

    A fit that is handed one goes on from the file if it is there; it writes the file now and then, and leaves it where
    it is at its end: `remove` it when the result is safe. On a CPU the resumed fit is the uninterrupted one bit for
    bit, with the same PyTorch and number of threads.

    Args:
        path: of the file, whose folder must be there.
        every: seconds of the fit between two writes.
        strict: whether a file that is damaged or of another fit is an error; otherwise the fit starts anew.

    Attributes:
        path: of the file.
        resumed: step from which a fit went on; 0 for one that started anew.
    """

    def __init__(self, path: str | Path, every: float = 60.0, strict: bool = True) -> None:
        self.path = Path(path)
        self.every = every
        self.strict = strict
        self.resumed = 0
        self._due = every
        self._fingerprint: dict[str, Any] = {}
        self._told = False

    def begin(self, problem: Problem, plan: Plan, parts: Mapping[str, Remembers]) -> tuple[int, list[str]]:
        """Give the parts of a fit the states of the file, if it is there; return the last step and warnings.

        Raises InputError for a file that is damaged, UsageError for one of another fit.
        """
        self._fingerprint = _fingerprint(problem, plan)
        if not self.path.exists():
            return 0, []
        try:
            kept = read_state(self.path)
            warnings = self._compare(kept)
        except RestoreError as error:
            if self.strict:
                raise
            return 0, [f"started anew: {error}"]
        for name, part in parts.items():
            part.restore(kept["parts"][name])
        self.resumed = kept["iteration"]
        self._due = kept["seconds"] + self.every
        return self.resumed, warnings

    def take(self, iteration: int, seconds: float, parts: Mapping[str, Remembers]) -> list[str]:
        """Write the states of all parts if it is time to; return warnings. A disk that is full does not end the fit."""
        if seconds < self._due:
            return []
        self._due = seconds + self.every
        states = {name: part.state() for name, part in parts.items()}
        state = {"fingerprint": self._fingerprint, "iteration": iteration, "seconds": seconds, "parts": states}
        try:
            write_state(self.path, state)
        except OutputError as error:
            if self._told:
                return []
            self._told = True
            return [f"no checkpoint could be kept: {error}"]
        return []

    def remove(self) -> None:
        """Delete the file: the fit has ended, and its result is safe."""
        self.path.unlink(missing_ok=True)

    def _compare(self, kept: Any) -> list[str]:
        try:
            theirs: dict[str, Any] = dict(kept["fingerprint"])
        except (TypeError, KeyError, ValueError):
            theirs = {}
        changed = [name for name in {**theirs, **self._fingerprint} if theirs.get(name) != self._fingerprint.get(name)]
        soft = {"torch", "threads"}
        hard = [
            f"{name} was {theirs.get(name)} and is {self._fingerprint.get(name)}"
            for name in changed
            if name not in soft
        ]
        if hard:
            raise UsageError(
                f"the checkpoint {str(self.path)!r} is of another fit ({', '.join(hard)}): delete it, or name another "
                "file."
            )
        return [
            f"the fit was begun with {name} {theirs[name]} and went on with {self._fingerprint[name]}: its result need "
            "not be the same bit for bit."
            for name in changed
        ]


def parts_of(named: Mapping[str, Any], observers: Sequence[Any]) -> dict[str, Remembers]:
    """Return the parts of a fit by name, and those of its observers that have a state."""
    remembering = {
        f"{place} {type(observer).__name__}": observer
        for place, observer in enumerate(observers)
        if hasattr(observer, "state") and hasattr(observer, "restore")
    }
    return {**named, **remembering}


def _fingerprint(problem: Problem, plan: Plan) -> dict[str, Any]:
    """Return what must be the same for a fit to go on, and what should be."""
    values = {name: value for name, value in dataclasses.asdict(plan).items() if name != "time_budget"}
    told: dict[str, Any] = json.loads(json.dumps(values, default=str))
    picture = hashlib.sha256()
    for tensor in (problem.measurement, problem.known):
        picture.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return {
        **told,
        "schema": SCHEMA_VERSION,
        "problem": problem.kind,
        "sigma": problem.sigma,
        "size": list(problem.measurement.shape),
        "picture": picture.hexdigest()[:16],
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
