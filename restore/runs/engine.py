"""Works through a plan: hands trials to an executor, waits for those that other processes run, stops when told."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any

from restore.runs.execute import FIGURES, carry_out
from restore.runs.executors import Lost
from restore.runs.store import Record, Store
from restore.runs.trial import Trial

__all__ = ["DIED", "Inline", "run_trials"]

POLL = 0.5
"""Seconds between two looks at trials that other processes run."""

TRIES = 3
"""Deaths of its process after which a trial is given up."""

DIED = f"its process died {TRIES} times, perhaps for want of memory"

Work = Callable[..., Any]
"""What an executor runs, with a folder, a trial and whether to try again what failed: `carry_out`, or another function
that puts the result of a trial into a store and returns its record, or None."""


class Inline(Executor):
    """An executor that does the work at once, in this thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call the function and return what came of it; what is no `Exception` is not caught."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def run_trials(
    store: Store,
    trials: Sequence[Trial],
    *,
    executor: Executor | None = None,
    slots: int | Callable[[], int] = 1,
    fail_fast: bool = False,
    again: bool = False,
    ended: Callable[[Record], None] | None = None,
    waiting: Callable[[int], None] | None = None,
    work: Work = carry_out,
    lost: Callable[[Trial], Record] | None = None,
    stack: int = 1,
    alike: Callable[[Trial], Hashable] = lambda trial: None,
) -> dict[str, Record]:
    """Run those of `trials` that have not ended yet and return the records of all of them, by id.

    Trials that other processes run are waited for; one whose process dies is taken over. Workers write their own
    results, so what has ended is safe whatever becomes of this process. A trial whose process dies is given to another
    one; after `TRIES` deaths it counts as failed.

    Args:
        executor: where the work is done; None does it here, one after the other.
        slots: number of trials handed to the executor at a time, or what tells it, where it changes.
        fail_fast: whether the first trial that fails ends it all; what is running is finished first.
        again: whether trials that failed before are run once more.
        ended: called with each record that this call made.
        waiting: called once, with the number of trials that others run, when nothing else is left.
        work: what is done with a trial.
        lost: gives the record of a trial whose processes died.
        stack: number of trials that `work` is given at a time; above 1 it takes a sequence of them, and returns one.
        alike: what the trials of one stack have in common.

    Raises OutputError where the store cannot be written.
    """
    executor = executor or Inline()
    kept = store.records()
    left = deque(trial for trial in trials if _is_open(kept.get(trial.id), again))
    elsewhere: list[Trial] = []
    running: dict[Future[Any], list[Trial]] = {}
    deaths: Counter[str] = Counter()
    told = failed = False
    while left or running or elsewhere:
        room = slots if isinstance(slots, int) else slots()
        while left and len(running) < room and not (failed and fail_fast):
            some = _take(left, stack, alike)
            given = some if stack > 1 else some[0]
            running[executor.submit(work, str(store.folder), given, again)] = some
        if failed and fail_fast and not running:
            break
        done, _ = wait(running, return_when=FIRST_COMPLETED, timeout=None if isinstance(slots, int) else POLL)
        for future in done:
            some = running.pop(future)
            try:
                made = future.result() if stack > 1 else [future.result()]
            except Lost:
                deaths.update(trial.id for trial in some)
                left += [trial for trial in some if deaths[trial.id] < TRIES]
                some = [trial for trial in some if deaths[trial.id] >= TRIES]
                made = [(lost or _lost)(trial) for trial in some]
                for record in made:
                    store.keep(record)
            for trial, record in zip(some, made, strict=True):
                if record is None:
                    elsewhere.append(trial)
                    continue
                failed = failed or record["status"] == "failed"
                if ended is not None:
                    ended(record)
        if not left and not running and elsewhere:
            elsewhere = _still_open(store, elsewhere, kept)
            if elsewhere:
                if waiting is not None and not told:
                    waiting(len(elsewhere))
                    told = True
                time.sleep(POLL)
                left, elsewhere = deque(elsewhere), []
    kept = store.records()
    return {trial.id: kept[trial.id] for trial in trials if trial.id in kept}


def _take(left: deque[Trial], stack: int, alike: Callable[[Trial], Hashable]) -> list[Trial]:
    """Take the next trial off, and up to `stack` with those like it."""
    some = [left.popleft()]
    if stack > 1:
        key = alike(some[0])
        some += [trial for trial in left if alike(trial) == key][: stack - 1]
        taken = {trial.id for trial in some}
        for trial in [trial for trial in left if trial.id in taken]:
            left.remove(trial)
    return some


def _lost(trial: Trial) -> Record:
    return {**trial.columns(), "status": "failed", "error": DIED, **dict.fromkeys(FIGURES), "warnings": []}


def _is_open(record: Record | None, again: bool) -> bool:
    return record is None or (again and record["status"] == "failed")


def _still_open(store: Store, trials: Sequence[Trial], before: Mapping[str, Record]) -> list[Trial]:
    """Return those that have no record since `before`; one that failed elsewhere since then is not run again."""
    kept = store.records()
    return [trial for trial in trials if kept.get(trial.id) in (None, before.get(trial.id))]
