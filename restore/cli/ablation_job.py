"""One run of `ablate`: from the words of the command line to a folder of results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import typer

from restore.cli.ablation_output import write_results
from restore.cli.allocator import keep_freed_memory
from restore.cli.durations import duration
from restore.cli.paging import check_folder_page, write_folder_page
from restore.cli.statuses import FAILED, INTERRUPTED
from restore.report.ablation import as_json, summary_text
from restore.report.page import ablation_page
from restore.report.tables import aligned
from restore.runs.ablation import Ablation
from restore.runs.engine import run_trials
from restore.runs.estimate import Cost, estimate, look_ahead
from restore.runs.results import write_environment
from restore.runs.shard import part_of
from restore.runs.store import Record, Store
from restore.runs.trial import Trial
from restore.studies.ablation import find

__all__ = ["OF_ABLATIONS", "AblationJob", "Results", "run"]


@dataclass(frozen=True)
class Results:
    """What becomes of what has ended.

    Attributes:
        write: writes the tables and figures; returns notes on what was left out.
        page: makes the page of the folder.
        text, json: what is printed.
    """

    write: Callable[[Store, Ablation], list[str]]
    page: Callable[[Path], str]
    text: Callable[[Store, Ablation], str]
    json: Callable[[Store, Ablation], Any]


OF_ABLATIONS = Results(
    write_results,
    ablation_page,
    lambda store, ablation: summary_text(find(ablation, store.records())),
    lambda store, ablation: as_json(find(ablation, store.records())),
)


@dataclass(frozen=True)
class AblationJob:
    """What the command line asked for."""

    output: Path
    dry_run: bool = False
    fail_fast: bool = False
    retry_failed: bool = False
    shard: str | None = None
    threads: int | None = None
    report: str | None = None
    as_json: bool = False
    quiet: bool = False


def run(job: AblationJob, read: Callable[[], Ablation], results: Results = OF_ABLATIONS) -> None:
    """Run what is left of the ablation that `read` gives, and write its tables.

    Raises RestoreError before the first fit wherever it can be known by then, typer.Exit(1) if a trial failed.
    """
    keep_freed_memory()
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    ablation = read()
    trials = part_of(ablation.plan.trials, job.shard)
    if job.dry_run:
        _dry_run(job, trials)
        return
    for trial in {(trial.variant, trial.damage): trial for trial in reversed(trials)}.values():
        if trial.peer is None:
            look_ahead(trial)
    check_folder_page(job.report, job.output)
    store = Store.open(job.output, ablation.plan)
    kept = store.records()
    if any(trial.id not in kept for trial in trials):
        write_environment(store.folder)
    progress = _Progress(trials, kept, job)
    try:
        records = run_trials(
            store,
            trials,
            fail_fast=job.fail_fast,
            again=job.retry_failed,
            ended=progress.ended,
            waiting=progress.waiting,
        )
    except KeyboardInterrupt:
        _write_tables(store, ablation, results)
        typer.echo("restore: interrupted; the same command goes on from here.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    notes = _write_tables(store, ablation, results)
    write_folder_page(job.report, store.folder, results.page)
    if job.as_json:
        typer.echo(json.dumps(results.json(store, ablation), indent=2, allow_nan=False))
    elif not job.quiet:
        typer.echo(results.text(store, ablation))
    if not job.quiet:
        for note in notes:
            typer.echo(f"restore: {note}", err=True)
        typer.echo(f"wrote {store.folder}", err=True)
    if any(record["status"] == "failed" for record in records.values()):
        raise typer.Exit(FAILED)


def _write_tables(store: Store, ablation: Ablation, results: Results) -> list[str]:
    """Write the tables and return notes; a plan that has grown meanwhile is for the command that let it."""
    if store.holds(ablation.plan):
        return results.write(store, ablation)
    return ["the plan has grown since this began: its tables are left to the command that did it."]


def _dry_run(job: AblationJob, trials: Sequence[Trial]) -> None:
    records = Store(job.output).records()
    costs = estimate(trials, records)
    left = [(trial, cost) for trial, cost in zip(trials, costs, strict=True) if trial.id not in records]
    seconds = sum(cost.seconds for _, cost in left)
    if job.as_json:
        rows = [
            {**trial.columns(), **vars(cost), "status": _status(records, trial)}
            for trial, cost in zip(trials, costs, strict=True)
        ]
        typer.echo(json.dumps({"trials": rows, "left": len(left), "seconds": seconds}, indent=2))
        return
    header = ("id", "variant", "picture", "damage", "seed", "steps", "about", "status")
    typer.echo(aligned(header, [_row(trial, cost, records) for trial, cost in zip(trials, costs, strict=True)]))
    memory = max(cost.memory_mb for cost in costs) / 1024
    typer.echo(
        f"\n{len(trials)} trials, {len(left)} left to run: at most about {duration(seconds)} on "
        f"{torch.get_num_threads()} thread(s), {memory:.1f} GiB."
    )


def _row(trial: Trial, cost: Cost, records: Mapping[str, Record]) -> list[str]:
    named = [trial.id, trial.variant, trial.picture, trial.damage, str(trial.settings.seed)]
    return [*named, str(cost.iterations), duration(cost.seconds), _status(records, trial)]


def _status(records: Mapping[str, Record], trial: Trial) -> str:
    return str(records[trial.id]["status"]) if trial.id in records else "to run"


class _Progress:
    """Says on stderr what ended, and how long the rest may take if it goes on like this."""

    def __init__(self, trials: Sequence[Trial], kept: Mapping[str, Record], job: AblationJob) -> None:
        self._titles = {trial.id: trial.title for trial in trials}
        self._total = len(trials)
        self._done = sum(trial.id in kept for trial in trials)
        self._made = 0
        self._quiet = job.quiet
        self._began = time.perf_counter()
        if self._done and not self._quiet:
            typer.echo(f"{self._done} of {self._total} trials have ended before.", err=True)

    def ended(self, record: Record) -> None:
        self._made += 1
        self._done = min(self._done + 1, self._total)
        if self._quiet and record["status"] == "done":
            return
        each = (time.perf_counter() - self._began) / self._made
        if record["status"] == "failed":
            said = f"failed: {record['error']}"
        else:
            quality = "" if record["psnr"] is None else f"{record['psnr']:.2f} dB, "
            steps = "" if record["iterations"] is None else f"{record['iterations']} steps, "
            said = f"{quality}{steps}{record['seconds']:.1f} s"
        left = duration(each * (self._total - self._done))
        typer.echo(f"[{self._done}/{self._total}] {self._titles[record['id']]}: {said}; about {left} left", err=True)

    def waiting(self, number: int) -> None:
        if not self._quiet:
            typer.echo(f"waiting for {number} trial(s) that another process runs", err=True)
