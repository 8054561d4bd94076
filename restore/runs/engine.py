"""Works through a plan: hands trials to an executor, waits for those that other processes run, stops when told."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
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

Work = Callable[[str, Trial, bool], Record | None]
"""What an executor runs: `carry_out`, or another function that puts the result of a trial into a store."""


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

    Raises OutputError where the store cannot be written.
    """
    executor = executor or Inline()
    kept = store.records()
    left = deque(trial for trial in trials if _is_open(kept.get(trial.id), again))
    elsewhere: list[Trial] = []
    running: dict[Future[Record | None], Trial] = {}
    deaths: Counter[str] = Counter()
    told = failed = False
    while left or running or elsewhere:
        room = slots if isinstance(slots, int) else slots()
        while left and len(running) < room and not (failed and fail_fast):
            trial = left.popleft()
            running[executor.submit(work, str(store.folder), trial, again)] = trial
        if failed and fail_fast and not running:
            break
        done, _ = wait(running, return_when=FIRST_COMPLETED, timeout=None if isinstance(slots, int) else POLL)
        for future in done:
            trial = running.pop(future)
            try:
                record = future.result()
            except Lost:
                deaths[trial.id] += 1
                if deaths[trial.id] < TRIES:
                    left.append(trial)
                    continue
                record = (lost or _lost)(trial)
                store.keep(record)
            if record is None:
                elsewhere.append(trial)
            else:
                failed = failed or record["status"] == "failed"
                if ended is not None:
                    ended(record)
        if not left and not running and elsewhere:
            elsewhere = _still_open(store, elsewhere)
            if elsewhere:
                if waiting is not None and not told:
                    waiting(len(elsewhere))
                    told = True
                time.sleep(POLL)
                left, elsewhere = deque(elsewhere), []
    kept = store.records()
    return {trial.id: kept[trial.id] for trial in trials if trial.id in kept}


def _lost(trial: Trial) -> Record:
    return {**trial.columns(), "status": "failed", "error": DIED, **dict.fromkeys(FIGURES), "warnings": []}


def _is_open(record: Record | None, again: bool) -> bool:
    return record is None or (again and record["status"] == "failed")


def _still_open(store: Store, trials: Sequence[Trial]) -> list[Trial]:
    """Return those that have no record; one that failed elsewhere was run a moment ago and is not run again."""
    kept = store.records()
    return [trial for trial in trials if trial.id not in kept]
