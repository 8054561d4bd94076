"""Checkpoints of a fit: everything that its future depends on, in a file, so that it goes on as if nothing had been."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import torch

from restore.errors import InputError, OutputError, RestoreError, UsageError
from restore.fitting.state_file import read_state, read_value, write_state
from restore.fitting.trace import Step
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["Checkpoint", "Remembers", "parts_of"]

SCHEMA_VERSION = 5

SOFT = ("restore", "torch", "processor", "threads")
"""What may differ when a fit goes on, at the price of the last bits."""


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
    bit, with the same PyTorch, kind of processor and number of threads.

    While the fit runs inside it as a context, Ctrl-C waits for the end of the step, since in the middle of one there is
    nothing to keep; the file is then written, and the fit ends. A second Ctrl-C does not wait.

    Args:
        path: of the file, whose folder must be there.
        every: seconds of the fit between two writes.
        strict: whether a file that is damaged or of another fit is an error; otherwise the fit starts anew.

    Attributes:
        path: of the file.
        resumed: step from which a fit went on; 0 for one that started anew.
        earlier: seconds that the fit took before it went on.
    """

    def __init__(self, path: str | Path, every: float = 60.0, strict: bool = True) -> None:
        self.path = Path(path)
        self.every = every
        self.strict = strict
        self.resumed = 0
        self.earlier = 0.0
        self._due = every
        self._fingerprint: dict[str, Any] = {}
        self._told = False
        self._pressed = False
        self._handler: Any = None

    def found(self, problem: Problem, plan: Plan) -> int:
        """Return the step from which this fit would go on; 0 for one that would start anew.

        Raises InputError for a file that is damaged, UsageError for one of another fit.
        """
        kept, _ = self._read(_fingerprint(problem, plan))
        return 0 if kept is None else int(kept["iteration"])

    def begin(self, problem: Problem, plan: Plan, parts: Mapping[str, Remembers]) -> tuple[int, list[str]]:
        """Give the parts of a fit the states of the file, if it is there; return the last step and warnings.

        Raises InputError for a file that is damaged, UsageError for one of another fit, or of one that was not looked
        at by all that look at this one.
        """
        self._fingerprint = _fingerprint(problem, plan)
        self.resumed, self.earlier, self._due = 0, 0.0, self.every
        kept, warnings = self._read(self._fingerprint)
        if kept is None:
            return 0, warnings
        if missing := [name for name in parts if name not in kept["parts"]]:
            raise UsageError(
                f"the fit in the checkpoint {str(self.path)!r} was begun without {', '.join(missing)}, whose record "
                "would have a gap: go on without it, or delete the checkpoint."
            )
        try:
            for name, part in parts.items():
                part.restore(kept["parts"][name])
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            why = " ".join(str(error).split())
            raise InputError(
                f"the checkpoint {str(self.path)!r} is of another version of restore ({why}): delete it to start anew."
            ) from error
        self.resumed, self.earlier = kept["iteration"], kept["seconds"]
        self._due = self.earlier + self.every
        return self.resumed, warnings

    def take(self, step: Step, parts: Mapping[str, Remembers], warnings: list[str]) -> None:
        """Write the states of all parts if it is time to; a disk that is full adds to the `warnings`, and ends nothing.

        Raises KeyboardInterrupt after Ctrl-C, when the file is written.
        """
        if self._pressed or step.seconds >= self._due:
            self.keep(step.iteration, step.seconds, parts, warnings)
        if self._pressed:
            raise KeyboardInterrupt

    def keep(self, iteration: int, seconds: float, parts: Mapping[str, Remembers], warnings: list[str]) -> None:
        """Write the states of all parts; a disk that is full adds to the `warnings`, and ends nothing."""
        self._due = seconds + self.every
        states = {name: part.state() for name, part in parts.items()}
        told = {"iteration": iteration, "seconds": seconds, "parts": states}
        try:
            write_state(self.path, {"fingerprint": self._fingerprint, **told})
        except (OutputError, MemoryError) as error:
            if not self._told:
                warnings.append(f"no checkpoint could be kept: {str(error) or 'not enough memory.'}")
            self._told = True

    def kept_plan(self) -> Mapping[str, Any] | None:
        """Return what the file says of the fit that it keeps, or None where there is none that can be read."""
        try:
            return dict(read_value(self.path, "fingerprint"))
        except (InputError, TypeError, ValueError):
            return None

    def remove(self) -> None:
        """Delete the file: the fit has ended, and its result is safe."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Checkpoint:
        """Make Ctrl-C wait; only where it would be a KeyboardInterrupt, which is so in the main thread alone."""
        self._pressed, self._handler = False, None
        mine = threading.current_thread() is threading.main_thread()
        if mine and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._handler = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give Ctrl-C back; one that came with the end of the fit is not lost."""
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        if self._pressed and kind is None:
            raise KeyboardInterrupt

    def _press(self, number: int, frame: Any) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True

    def _read(self, fingerprint: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
        """Return what the file holds for a fit of this `fingerprint`, or None, and warnings."""
        if not self.path.exists():
            return None, []
        try:
            kept = read_state(self.path)
            return kept, self._compare(kept, fingerprint)
        except RestoreError as error:
            if self.strict:
                raise
            return None, [f"started anew: {error}"]

    def _compare(self, kept: Any, ours: Mapping[str, Any]) -> list[str]:
        try:
            theirs: dict[str, Any] = dict(kept["fingerprint"])
        except (TypeError, KeyError, ValueError):
            theirs = {}
        changed = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
        hard = [f"{name} was {theirs.get(name)} and is {ours.get(name)}" for name in changed if name not in SOFT]
        if hard:
            raise UsageError(
                f"the checkpoint {str(self.path)!r} is of another fit ({', '.join(hard)}): delete it, or name another "
                "file."
            )
        return [
            f"the fit was begun with {name} {theirs.get(name)} and went on with {ours.get(name)}: its result need not "
            "be the same bit for bit."
            for name in changed
        ]


def parts_of(named: Mapping[str, Any], observers: Sequence[Any]) -> dict[str, Remembers]:
    """Return the parts of a fit by name, and those of its observers that have a state, by what they are.

    The place of an observer is no part of its name: what has no state may come and go between two runs.
    """
    parts = dict(named)
    for observer in observers:
        if hasattr(observer, "state") and hasattr(observer, "restore"):
            kind = type(observer).__name__
            same = sum(type(part).__name__ == kind for part in parts.values())
            parts[f"{kind} {same + 1}" if same else kind] = observer
    return parts


def _fingerprint(problem: Problem, plan: Plan) -> dict[str, Any]:
    """Return what must be the same for a fit to go on, and what should be."""
    values = {name: value for name, value in dataclasses.asdict(plan).items() if name != "time_budget"}
    told: dict[str, Any] = json.loads(json.dumps(values, default=str))
    picture = hashlib.sha256()
    for tensor in (problem.measurement, problem.known):
        picture.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    if problem.covariance is not None:
        # Its last digits depend on where the memory lies, as those of an estimated sigma do.
        picture.update(problem.covariance.lags.astype("f4").tobytes())
        if problem.covariance.dependence is not None:
            picture.update(json.dumps(problem.covariance.dependence.terms).encode())
    if problem.level is not None:
        picture.update(json.dumps(dataclasses.astuple(problem.level)).encode())
    return {
        **told,
        "schema": SCHEMA_VERSION,
        "problem": problem.kind,
        "sigma": float(f"{problem.sigma:.4g}"),
        "size": list(problem.measurement.shape),
        "picture": picture.hexdigest()[:16],
        "restore": _version(),
        "torch": torch.__version__,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def _version() -> str | None:
    try:
        return version("restore")
    except PackageNotFoundError:  # imported from its source
        return None
