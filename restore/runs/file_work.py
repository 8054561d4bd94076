"""Pictures of a batch, from their files to their files: what an executor runs."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from restore.errors import FitError, InputError, OutputError
from restore.fitting import Fitted, Observer, fit_stack
from restore.fitting.stack import stack_key
from restore.images import Picture, read_pages
from restore.restoration import Restoration
from restore.runs.claims import Holder
from restore.runs.execute import open_store
from restore.runs.files import (
    joined_report,
    open_page,
    page_checkpoints,
    read_references,
    request_of,
    restore_page,
    save_file,
)
from restore.runs.outputs import misfit, provenance
from restore.runs.store import Record, Store
from restore.runs.trial import Trial, content_hash
from restore.session import Announce, Session, Watch

__all__ = ["FIGURES", "STORE", "Looking", "failed_record", "named", "restore_file", "restore_files", "writing_mark"]

STORE = ".restore"
"""Folder of the store of a batch, inside that of its results."""

FIGURES = (
    *("size", "problem", "psnr_input", "psnr", "psnr_hole", "ssim", "lpips", "psnr_estimate", "psnr_estimate_error"),
    *("sigma", "iterations", "iteration_best", "stop_reason", "parameters", "device", "precision", "threads"),
    *("seconds", "peak_memory_mb", "warnings"),
)
"""What a record keeps of a file's report; all of it is beside the result."""

Looking = Callable[[Picture], tuple[Sequence[Observer], Announce | None]]
"""Gives what looks on while a page is fitted."""


def restore_file(
    folder: str,
    trial: Trial,
    again: bool = False,
    *,
    overwrite: bool = False,
    threads: int | None = None,
    every: float = 60.0,
    look: Looking | None = None,
    share: float = 1.0,
) -> Record | None:
    """Restore the picture of a trial into the folder that holds the store at `folder`; return the record.

    None says that there was nothing to do here: it has ended, or another process does it. What goes wrong with the
    picture itself becomes a record of the status `failed`.

    Args:
        again: whether one that failed may be tried once more.
        overwrite: whether a file may be written over that this batch did not make.
        threads: of the CPU, for this fit; None leaves them as they are.
        every: seconds between two checkpoints of the fit.
        look: gives what looks on; for work in this process.
        share: of the free memory, where several processes work side by side.

    Raises OutputError where the results cannot be written, KeyboardInterrupt for Ctrl-C.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    store = open_store(folder)
    claim = store.claim(trial.id, again=again)
    if claim is None:
        return None
    with claim:
        return _recorded(store, trial, lambda: _restore(store, trial, overwrite, every, look, share))


def restore_files(
    folder: str,
    trials: Sequence[Trial],
    again: bool = False,
    *,
    overwrite: bool = False,
    threads: int | None = None,
) -> list[Record | None]:
    """Restore pictures of one page and one size in one pass, and otherwise as `restore_file`.

    Those whose settings turn out to differ are fitted one by one. A stack keeps no checkpoints.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    store = open_store(folder)
    records: dict[str, Record] = {}
    with contextlib.ExitStack() as held:
        mine: list[Trial] = []
        for trial in trials:
            claim = store.claim(trial.id, again=again)
            if claim is not None:
                held.enter_context(claim)
                mine.append(trial)
        sessions: dict[str, Session] = {}
        for trial in mine:
            try:
                sessions[trial.id] = _open(trial)
            except Exception as error:
                records[trial.id] = _kept(store, failed_record(trial, _reason(error)))
        results = _fit_together(sessions)
        for trial in mine:
            if trial.id in sessions:
                outcome = functools.partial(_outcome, store, trial, sessions[trial.id], results[trial.id], overwrite)
                records[trial.id] = _recorded(store, trial, outcome)
    return [records.get(trial.id) for trial in trials]


def failed_record(trial: Trial, error: str) -> Record:
    """Return the record of a picture that could not be restored."""
    return {**named(trial), "status": "failed", "error": error, **dict.fromkeys(FIGURES), "warnings": []}


def writing_mark(store: Store, trial: Trial) -> Path:
    """Return the file that is there while the results of a trial are written: what has their names is then its own."""
    return store.folder / "manifest" / "writing" / trial.id


def named(trial: Trial) -> Record:
    """Return what names the record of a picture: its trial, its files, who restored it and when."""
    assert trial.product is not None
    holder = Holder.this()
    files = {"id": trial.id, "image": trial.picture, "output": trial.product.output}
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    return {**files, "ended": ended, "host": holder.host, "process": holder.process}


def _recorded(store: Store, trial: Trial, restore: Callable[[], dict[str, Any]]) -> Record:
    """Return the record of what `restore` does, a failure too, and keep it."""
    try:
        report = restore()
        record = {**named(trial), "status": "done", "error": None, **{name: report[name] for name in FIGURES}}
    except OutputError:
        raise
    except Exception as error:  # whatever befalls one picture must not end the others
        record = failed_record(trial, _reason(error))
    _kept(store, record)
    writing_mark(store, trial).unlink(missing_ok=True)
    return record


def _kept(store: Store, record: Record) -> Record:
    store.keep(record)
    return record


def _reason(error: Exception) -> str:
    return str(error).strip() or type(error).__name__


def _restore(
    store: Store, trial: Trial, overwrite: bool, every: float, look: Looking | None, share: float
) -> dict[str, Any]:
    pages, references = _read(trial)
    folder = store.folder / "checkpoints"
    folder.mkdir(exist_ok=True)
    checkpoints = page_checkpoints(folder / f"{trial.id}.safetensors", every, len(pages), strict=False)
    results: list[Restoration] = []
    for page, reference, checkpoint in zip(pages, references, checkpoints, strict=True):
        observers, announce = ((), None) if look is None else look(page)
        watch = Watch(reference, observers, announce, checkpoint=checkpoint, memory_share=share)
        results.append(restore_page(page, request_of(trial), watch))
        if results[-1].interrupted:
            raise KeyboardInterrupt
    report = _save(store, trial, results, overwrite)
    for checkpoint in checkpoints:
        if checkpoint is not None:
            checkpoint.remove()
    return report


def _read(trial: Trial) -> tuple[list[Picture], Sequence[Picture | None]]:
    """Return the pages of a trial and their references, which must be what they were when the batch was planned."""
    source = trial.source
    for role, path in (("image", source.image), ("mask", source.mask), ("reference", source.reference)):
        if path is not None and content_hash(path) != source.content[role]:
            raise InputError(f"{path!r} has changed since the batch was planned: run the command again.")
    pages = read_pages(source.image)
    return pages, read_references(source.reference, len(pages))


def _open(trial: Trial) -> Session:
    pages, references = _read(trial)
    return open_page(pages[0], request_of(trial), Watch(references[0]))


def _fit_together(sessions: Mapping[str, Session]) -> dict[str, Fitted | Exception]:
    """Return what came of each fit, by trial: those that can be in one pass, the others alone."""
    groups: dict[object, list[str]] = {}
    for name, session in sessions.items():
        key = stack_key(session.problem, session.plan)
        groups.setdefault(name if key is None else key, []).append(name)
    found: dict[str, Fitted | Exception] = {}
    for names in groups.values():
        try:
            found |= _stack({name: sessions[name] for name in names})
        except (RuntimeError, FitError, MemoryError):  # of one, or of all together: alone it may fit
            for name in names:
                try:
                    found |= _stack({name: sessions[name]})
                except Exception as error:
                    found[name] = error
    return found


def _stack(sessions: Mapping[str, Session]) -> dict[str, Fitted]:
    every = list(sessions.values())
    if len(every) == 1:
        fitted = [every[0].fit()]
    else:
        problems, plans = [each.problem for each in every], [each.plan for each in every]
        fitted = fit_stack(problems, plans, lambda place: every[place].observers())
    if any(each.stop_reason == "interrupted" for each in fitted):
        raise KeyboardInterrupt
    return dict(zip(sessions, fitted, strict=True))


def _outcome(
    store: Store, trial: Trial, session: Session, found: Fitted | Exception, overwrite: bool
) -> dict[str, Any]:
    if isinstance(found, Exception):
        raise found
    return _save(store, trial, [session.conclude(found)], overwrite)


def _save(store: Store, trial: Trial, results: Sequence[Restoration], overwrite: bool) -> dict[str, Any]:
    """Write the results of a trial, and return their report."""
    assert trial.product is not None
    target = store.folder.parent / trial.product.output
    origin = provenance(trial)
    report = {**joined_report([result.report for result in results], target), **origin}
    report["seconds"] = sum(result.report["seconds"] for result in results)
    mark = writing_mark(store, trial)
    own = mark.exists() or misfit(target, origin) is None
    _begin(mark, target)
    save_file(results, report, target, request_of(trial), existing="overwrite" if own or overwrite else "error")
    return report


def _begin(mark: Path, target: Path) -> None:
    """Say that the results are about to be written, and make room for them; the folder of the batch must be there.

    Raises OutputError where that cannot be done.
    """
    try:
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {str(target)!r}: {error.strerror or error}.") from error
