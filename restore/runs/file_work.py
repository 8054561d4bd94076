"""One picture of a batch, from its file to its file: what an executor runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from restore import api
from restore.errors import InputError, OutputError
from restore.fitting import Observer
from restore.images import Picture, read_pages
from restore.restoration import Restoration
from restore.runs.claims import Holder
from restore.runs.execute import open_store
from restore.runs.files import joined_report, page_checkpoints, read_references, request_of, restore_page, save_file
from restore.runs.outputs import misfit, provenance
from restore.runs.store import Record, Store
from restore.runs.trial import Trial, content_hash

__all__ = ["FIGURES", "STORE", "Watch", "failed_record", "named", "restore_file", "writing_mark"]

STORE = ".restore"
"""Folder of the store of a batch, inside that of its results."""

FIGURES = (
    *("size", "problem", "psnr_input", "psnr", "psnr_hole", "ssim", "lpips", "psnr_estimate", "psnr_estimate_error"),
    *("sigma", "iterations", "iteration_best", "stop_reason", "parameters", "device", "precision", "threads"),
    *("seconds", "peak_memory_mb", "warnings"),
)
"""What a record keeps of a file's report; all of it is beside the result."""

Watch = Callable[[Picture], tuple[Sequence[Observer], api.Announce | None]]
"""Gives what looks on while a page is fitted."""


def restore_file(
    folder: str,
    trial: Trial,
    again: bool = False,
    *,
    overwrite: bool = False,
    threads: int | None = None,
    every: float = 60.0,
    watch: Watch | None = None,
) -> Record | None:
    """Restore the picture of a trial into the folder that holds the store at `folder`; return the record.

    None says that there was nothing to do here: it has ended, or another process does it. What goes wrong with the
    picture itself becomes a record of the status `failed`.

    Args:
        again: whether one that failed may be tried once more.
        overwrite: whether a file may be written over that this batch did not make.
        threads: of the CPU, for this fit; None leaves them as they are.
        every: seconds between two checkpoints of the fit.
        watch: what looks on; for work in this process.

    Raises OutputError where the results cannot be written, KeyboardInterrupt for Ctrl-C.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    store = open_store(folder)
    claim = store.claim(trial.id, again=again)
    if claim is None:
        return None
    with claim:
        try:
            report = _restore(store, trial, overwrite, every, watch)
            record = {**named(trial), "status": "done", "error": None, **{name: report[name] for name in FIGURES}}
        except OutputError:
            raise
        except Exception as error:  # whatever befalls one picture must not end the others
            record = failed_record(trial, str(error).strip() or type(error).__name__)
        store.keep(record)
        writing_mark(store, trial).unlink(missing_ok=True)
    return record


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


def _restore(store: Store, trial: Trial, overwrite: bool, every: float, watch: Watch | None) -> dict[str, Any]:
    source, request = trial.source, request_of(trial)
    assert trial.product is not None
    for role, path in (("image", source.image), ("mask", source.mask), ("reference", source.reference)):
        if path is not None and content_hash(path) != source.content[role]:
            raise InputError(f"{path!r} has changed since the batch was planned: run the command again.")
    target = store.folder.parent / trial.product.output
    pages = read_pages(source.image)
    folder = store.folder / "checkpoints"
    folder.mkdir(exist_ok=True)
    checkpoints = page_checkpoints(folder / f"{trial.id}.safetensors", every, len(pages), strict=False)
    references = read_references(source.reference, len(pages))
    results: list[Restoration] = []
    for page, reference, checkpoint in zip(pages, references, checkpoints, strict=True):
        observers, announce = ((), None) if watch is None else watch(page)
        looking: dict[str, Any] = {"reference": reference, "observers": observers, "announce": announce}
        results.append(restore_page(page, request, checkpoint=checkpoint, **looking))
        if results[-1].interrupted:
            raise KeyboardInterrupt
    origin = provenance(trial)
    report = {**joined_report([result.report for result in results], target), **origin}
    report["seconds"] = sum(result.report["seconds"] for result in results)
    mark = writing_mark(store, trial)
    own = mark.exists() or misfit(target, origin) is None
    _begin(mark, target)
    save_file(results, report, target, request, existing="overwrite" if own or overwrite else "error")
    for checkpoint in checkpoints:
        if checkpoint is not None:
            checkpoint.remove()
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
