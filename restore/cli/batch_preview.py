"""`--dry-run` of a batch: what would be done, in what time, memory and space, without a fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import typer

from restore.cli import foresight
from restore.cli.durations import duration
from restore.cli.job import Job
from restore.cli.statuses import FAILED
from restore.errors import RestoreError
from restore.fitting.forecast import Forecast
from restore.images import read_pages
from restore.report.tables import aligned
from restore.restoration import to_json
from restore.runs.batch import Batch
from restore.runs.files import request_of
from restore.runs.store import Record
from restore.runs.trial import Trial
from restore.settings import Plan

__all__ = ["largest", "look_ahead", "preview"]

TO_DO = "to do"


def largest(batch: Batch, trials: Sequence[Trial]) -> Trial | None:
    """Return the trial of the largest picture among `trials`; None without any."""
    wanted = {trial.id for trial in trials}
    entries = [entry for entry in batch.entries if entry.trial.id in wanted]
    return max(entries, key=lambda entry: entry.pixels).trial if entries else None


def look_ahead(trial: Trial) -> tuple[Plan, Forecast]:
    """Return what the fit of a picture's first page would do, and what all its pages cost, as if they were alike.

    Raises RestoreError for settings that contradict each other, and all else that keeps the fit from beginning.
    """
    try:
        pages = read_pages(trial.source.image)
        _, plan, cost = foresight.look_ahead(pages[0], request_of(trial))
    except RestoreError as error:
        raise type(error)(f"{trial.picture!r} cannot be restored: {error}") from error
    return plan, dataclasses.replace(cost, seconds=len(pages) * cost.seconds)


def preview(batch: Batch, trials: Sequence[Trial], records: Mapping[str, Record], job: Job) -> None:
    """Print a row for each picture, and what all that are left take together; typer.Exit(1) if some fail."""
    if job.options.threads is not None:
        torch.set_num_threads(job.options.threads)
    mine = {trial.id for trial in trials}
    rows, reports = [], []
    seconds = memory = space = 0.0
    left = 0
    for entry in batch.entries:
        if entry.error is None and entry.trial.id not in mine:
            continue
        status = entry.error or str(records.get(entry.trial.id, {}).get("status", TO_DO))
        if status == "failed" and job.options.retry_failed:
            status = TO_DO
        row: dict[str, Any] = {
            "image": entry.name,
            "output": entry.output,
            "status": status,
            "seconds": None,
            "memory_mb": None,
        }
        if entry.error is None:
            plan, cost = look_ahead(entry.trial)
            row |= {"seconds": cost.seconds, "memory_mb": cost.memory_mb, "iterations": plan.iterations}
            if status == TO_DO:
                left += 1
                seconds, memory = seconds + cost.seconds, max(memory, cost.memory_mb)
                space += Path(entry.trial.source.image).stat().st_size
        reports.append(row)
        about = "" if row["seconds"] is None else duration(row["seconds"])
        rows.append([entry.name, entry.output, about, status])
    total = {"left": left, "seconds": seconds, "memory_mb": memory, "disk_mb": space / 2**20}
    if job.options.as_json:
        typer.echo(to_json({"files": reports, **total}), nl=False)
    else:
        typer.echo(aligned(("image", "output", "about", "status"), rows))
        typer.echo(
            f"\n{len(rows)} picture(s), {left} to do: at most about {duration(seconds)} in one process of "
            f"{torch.get_num_threads()} thread(s), {memory / 1024:.1f} GiB of memory each, about "
            f"{space / 2**20:.1f} MiB of results."
        )
    if any(row["status"] not in (TO_DO, "done") for row in reports):
        raise typer.Exit(FAILED)
