"""One run of `denoise` or `inpaint` on many files: plan, progress, summary, exit status."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import torch
import typer

from restore.cli.allocator import keep_freed_memory
from restore.cli.batch_output import BatchProgress, check_target_free, failures, summary, write_failures
from restore.cli.batch_preview import largest, look_ahead, preview
from restore.cli.job import Job
from restore.cli.options import Already
from restore.cli.paging import check_folder_page, write_folder_page
from restore.cli.statuses import FAILED, INTERRUPTED
from restore.errors import OutputError, UsageError
from restore.fitting.memory import available
from restore.report.batch import batch_page
from restore.restoration import to_json
from restore.runs.batch import Batch, plan_batch
from restore.runs.engine import DIED, Inline, run_trials
from restore.runs.executors import Workers, cluster
from restore.runs.file_work import STORE, failed_record, restore_file, restore_files
from restore.runs.inputs import READABLE, find_inputs
from restore.runs.settle import settle
from restore.runs.shard import part_of
from restore.runs.store import Record, Store
from restore.runs.trial import Trial
from restore.strict import strict

__all__ = ["run_batch"]

MOST_STACKED = 64
STACKED_ON_CPU = 8
SMALL_PIXELS = 96 * 96
"""Pixels of a picture up to which `--stack auto` stacks on a CPU."""


def run_batch(job: Job) -> None:
    """Restore what is left of a batch into its folder.

    Raises RestoreError before the first fit wherever it can be known by then, typer.Exit(1) if a picture failed.
    """
    keep_freed_memory()
    root = _root(job)
    options = job.options
    batch = plan_batch(
        find_inputs(job.images, leave_out=root), job.request, root, masks=job.mask, references=options.reference
    )
    trials = part_of(batch.trials, options.shard)
    if options.dry_run:
        store = Store(root / STORE)
        store.takes(batch.plan, replace=options.existing is Already.overwrite)
        preview(batch, trials, store.records(), job)
        return
    biggest = largest(batch, trials)
    if biggest is not None:
        look_ahead(biggest)
    check_folder_page(options.report, root)
    if not (root / STORE).is_dir():
        check_target_free(root)
    store = _open(root, batch, options.existing)
    settle(store, batch, overwrite=options.existing is Already.overwrite, refuse=options.existing is Already.error)
    kept = store.records()
    left = [trial for trial in trials if trial.id not in kept or (options.retry_failed and _failed(kept[trial.id]))]
    executor, slots, threads = _executor(job, batch, left)
    stack = _stack_size(options.stack, batch, left)
    progress = BatchProgress(batch, trials, kept, shown=not options.quiet)
    shapes = {entry.trial.id: entry.shape or entry.trial.id for entry in batch.entries}
    work = functools.partial(
        restore_file if stack == 1 else restore_files,
        overwrite=options.existing is Already.overwrite,
        threads=threads,
    )
    if stack == 1:
        look = progress.watch if isinstance(executor, Inline) else None
        # Processes on one machine share its memory; each GPU is one process's own.
        share = 1 / slots if isinstance(slots, int) and options.devices is None else 1.0
        work = functools.partial(work, every=options.checkpoint_every, look=look, share=share)
    began = time.perf_counter()
    try:
        run_trials(
            store,
            trials,
            executor=executor,
            slots=slots,
            fail_fast=options.fail_fast,
            again=options.retry_failed,
            ended=progress.ended,
            waiting=progress.waiting,
            work=work,
            lost=lambda trial: failed_record(trial, DIED),
            stack=stack,
            alike=lambda trial: shapes[trial.id],
        )
    except KeyboardInterrupt:
        executor.shutdown(wait=False)
        write_failures(root, failures(batch, store.records()))
        typer.echo("restore: interrupted; the same command goes on from here.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except BaseException:
        executor.shutdown(wait=False)
        raise
    finally:
        progress.close()
    executor.shutdown()
    _conclude(job, batch, trials, store.records(), time.perf_counter() - began)


def _root(job: Job) -> Path:
    """Return the folder of the results.

    Raises UsageError without one, or where it is a file; what one file alone may have is refused.
    """
    wanted = job.options.output
    if wanted in (None, "-"):
        named = ", ".join(repr(image) for image in job.images[:3])
        raise UsageError(f"the results of several pictures ({named}) go to a folder: name it with -o FOLDER.")
    if job.options.checkpoint is not None:
        raise UsageError("--checkpoint is for one picture: a batch keeps its own, in the folder of the results.")
    root = Path(str(wanted))
    if root.suffix.lower() in READABLE and not root.is_dir():
        raise UsageError(
            f"the output {wanted!r} is named as a picture, but the results of several pictures go to a "
            "folder: name one, or give a single picture."
        )
    if root.exists() and not root.is_dir():
        raise OutputError(f"the output {str(root)!r} is a file: several pictures are written to a folder.")
    return root


def _open(root: Path, batch: Batch, existing: Already | None) -> Store:
    if not root.is_dir() and not root.parent.is_dir():
        raise OutputError(
            f"cannot make the folder {str(root)!r}: there is no folder {str(root.parent)!r}; make it first."
        )
    try:
        root.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {str(root)!r}: {error.strerror or error}.") from error
    return Store.open(root.resolve() / STORE, batch.plan, replace=existing is Already.overwrite)


def _executor(job: Job, batch: Batch, left: Sequence[Trial]) -> tuple[Executor, int | Callable[[], int], int | None]:
    """Return where the work is done, how much of it at a time, and the threads of each piece."""
    options = job.options
    if options.scheduler is not None:
        executor, slots = cluster(options.scheduler)
        return executor, lambda: 2 * slots(), options.threads
    cores = os.cpu_count() or 1
    devices = _devices(options.devices)
    count = _count(job, batch, left, devices, cores)
    if count <= 1 and not devices:
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        return Inline(), 1, None
    threads = options.threads or max(1, cores // count)
    return Workers.sharing(count, threads, devices), count, threads


def _count(job: Job, batch: Batch, left: Sequence[Trial], devices: Sequence[str], cores: int) -> int:
    """Return the number of processes: as asked for, else one a GPU, else as many as cores and memory allow."""
    wanted = job.options.workers
    if wanted not in (None, "auto"):
        if not str(wanted).isdecimal() or int(str(wanted)) < 1:
            raise UsageError(f"--workers takes a number of processes from 1, or auto, not {wanted!r}.")
        return int(str(wanted))
    if devices:
        return len(devices)
    biggest = largest(batch, left)
    if biggest is None:
        return 1
    plan, told = look_ahead(biggest)
    if not plan.device.startswith("cpu"):
        return 1
    room = available("cpu")
    fits = cores if room is None else int(0.8 * room / 2**20 / told.memory_mb)
    return max(1, min(cores, len(left), fits))


def _stack_size(wanted: str | None, batch: Batch, left: Sequence[Trial]) -> int:
    """Return how many pictures share a pass: as asked for; `auto` takes as many as the memory of the device allows.

    On a CPU only small pictures gain by it (restore bench throughput).
    """
    if wanted is None:
        return 1
    if wanted != "auto":
        if not wanted.isdecimal() or int(wanted) < 1:
            raise UsageError(f"--stack takes a number of pictures from 1, or auto, not {wanted!r}.")
        return int(wanted)
    biggest = largest(batch, left)
    if biggest is None:
        return 1
    plan, told = look_ahead(biggest)
    if plan.device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info()
        return max(1, min(MOST_STACKED, int(0.8 * free / 2**20 / told.memory_mb)))
    pixels = max(entry.pixels for entry in batch.entries if entry.trial.id == biggest.id)
    return STACKED_ON_CPU if pixels <= SMALL_PIXELS else 1


def _devices(wanted: str | None) -> list[str]:
    """Return the GPUs by number.

    Raises UsageError for numbers of GPUs that are not there.
    """
    if wanted is None:
        return []
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    numbers = [str(number) for number in range(there)] if wanted == "all" else wanted.split(",")
    if not numbers or not all(number.isdecimal() and int(number) < there for number in numbers):
        raise UsageError(
            f"--devices takes all, or numbers of GPUs such as 0,1; {there} CUDA GPU(s) are here, not {wanted!r}."
        )
    return numbers


def _conclude(job: Job, batch: Batch, trials: Sequence[Trial], records: Mapping[str, Record], seconds: float) -> None:
    options = job.options
    root = Path(str(options.output))
    failed = failures(batch, records)
    write_failures(root, failed)
    write_folder_page(options.report, root, lambda folder: batch_page(folder, batch.plan.name, list(records.values())))
    if options.as_json:
        typer.echo(to_json(strict(_report(job, batch, records, seconds))), nl=False)
    if not options.quiet:
        typer.echo(summary(root, batch, trials, records, seconds), err=True)
    if failed:
        raise typer.Exit(FAILED)


def _report(job: Job, batch: Batch, records: Mapping[str, Record], seconds: float) -> dict[str, Any]:
    files = [records[entry.trial.id] for entry in batch.entries if entry.trial.id in records]
    done = sum(record["status"] == "done" for record in files)
    return {
        "command": job.request.command,
        "output": str(job.options.output),
        "files": files,
        "done": done,
        "failed": sum(record["status"] == "failed" for record in files),
        "left": len(batch.entries) - len(files),
        "seconds": round(seconds, 3),
    }


def _failed(record: Record) -> bool:
    return bool(record["status"] == "failed")
