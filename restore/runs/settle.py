"""What a batch finds in its folder before the first fit: results of its own, and files that are in its way."""

from __future__ import annotations

import json
import os
from pathlib import Path

from restore.errors import OutputError
from restore.restoration import sidecar_path
from restore.runs.batch import Batch, Entry
from restore.runs.file_work import FIGURES, failed_record, named, writing_mark
from restore.runs.files import beside, request_of
from restore.runs.outputs import REMEDY, misfit, provenance
from restore.runs.store import Record, Store

__all__ = ["settle"]


def settle(store: Store, batch: Batch, *, overwrite: bool = False, refuse: bool = False) -> None:
    """Bring the records of a batch in line with its folder.

    A result that was deleted is withdrawn, so that it is made again; one that says of itself that it is what this batch
    would make counts as made; a picture that cannot be used counts as failed.

    Args:
        overwrite: whether what is in the way may be written over.
        refuse: whether every result that is there already is in the way.

    Raises OutputError for files that are in the way.
    """
    kept = store.records()
    in_the_way: list[str] = []
    for entry in batch.entries:
        record = kept.get(entry.trial.id)
        if entry.error is not None:
            if record is None:
                store.keep(failed_record(entry.trial, entry.error))
            continue
        target = store.folder.parent / entry.output
        there = os.path.lexists(target)
        if record is not None and record["status"] == "done":
            if not there:
                store.keep({"id": entry.trial.id, "status": "withdrawn"})
            elif refuse:
                in_the_way.append(f"{str(target)!r} exists already")
        elif not overwrite and not writing_mark(store, entry.trial).exists():
            reason = _reason(entry, target, there)
            if reason is not None:
                in_the_way.append(reason)
            elif there and refuse:
                in_the_way.append(f"{str(target)!r} exists already")
            elif there:
                store.keep(_found(entry, target))
    if in_the_way:
        more = f" (and {len(in_the_way) - 1} more like it)" if len(in_the_way) > 1 else ""
        raise OutputError(f"{in_the_way[0]}{more}: {REMEDY}")


def _reason(entry: Entry, target: Path, there: bool) -> str | None:
    """Return what is in the way of a result, in words; None if nothing is, or what is there is that very result."""
    reason = misfit(target, provenance(entry.trial))
    if there or reason is None:
        return None if reason is None else f"{str(target)!r} exists already and {reason}"
    lonely = [path for path in beside(target, request_of(entry.trial)) if os.path.lexists(path)]
    return f"{str(lonely[0])!r} exists already, where the report of {entry.output!r} would go" if lonely else None


def _found(entry: Entry, target: Path) -> Record:
    """Return the record of a result that was made before, from the report beside it."""
    told = json.loads(sidecar_path(target).read_text(encoding="utf-8"))
    return {**named(entry.trial), "status": "done", "error": None, **{name: told.get(name) for name in FIGURES}}
