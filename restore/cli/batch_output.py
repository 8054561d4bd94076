"""What a batch says: bars or lines while it runs, a summary at its end, and `failures.csv`."""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from tqdm import tqdm

from restore.cli.durations import duration
from restore.cli.progress import Progress
from restore.errors import OutputError
from restore.images import Picture
from restore.images.atomic import atomic_write_bytes
from restore.runs.batch import Batch
from restore.runs.store import Record
from restore.runs.trial import Trial

__all__ = ["BatchProgress", "check_target_free", "failures", "summary", "write_failures"]

COLUMNS = ("image", "output", "error")
FILE = "failures.csv"
PAGE = "report.html"


class BatchProgress:
    """Says on stderr what ended, how many failed, and how long the rest may take if it goes on like this.

    On a terminal a bar for the batch, and above it one for the fit, where that runs in this process.
    """

    def __init__(self, batch: Batch, trials: Sequence[Trial], kept: Mapping[str, Record], *, shown: bool) -> None:
        self._total = len(trials)
        self._done = sum(trial.id in kept for trial in trials)
        self._failed = self._made = 0
        self._shown = shown
        self._began = time.perf_counter()
        self._fit: Progress | None = None
        self._bar: Any = None
        unusable = [entry for entry in batch.entries if entry.error is not None]
        if shown:
            if self._done:
                typer.echo(f"{self._done} of {self._total} pictures have ended before.", err=True)
            for entry in unusable:
                typer.echo(f"restore: {entry.name}: {entry.error}", err=True)
            if sys.stderr.isatty():
                self._bar = tqdm(
                    total=self._total, initial=self._done, desc="pictures", file=sys.stderr, dynamic_ncols=True
                )

    def watch(self, page: Picture) -> Any:
        """Return what looks on while a page is fitted in this process: the bar of the fit, on a terminal."""
        if self._bar is None:
            return (), None
        if self._fit is not None:
            self._fit.close()
        self._fit = Progress(Path(page.name).name, shown=True)
        return [self._fit], self._fit.start

    def ended(self, record: Record) -> None:
        """Take note of a picture that has ended."""
        self._made += 1
        self._done = min(self._done + 1, self._total)
        self._failed += record["status"] == "failed"
        if not self._shown:
            return
        if self._fit is not None:
            self._fit.close()
            self._fit = None
        each = (time.perf_counter() - self._began) / self._made
        if record["status"] == "failed":
            said = f"failed: {record['error']}"
        else:
            quality = "" if record["psnr"] is None else f"{record['psnr']:.2f} dB, "
            said = f"{quality}step {record['iteration_best']} of {record['iterations']}, {record['seconds']:.1f} s"
        left = each * (self._total - self._done)
        about = duration(left)
        failed = f", {self._failed} failed" if self._failed else ""
        line = f"[{self._done}/{self._total}{failed}] {record['image']}: {said}; about {about} left"
        if self._bar is None:
            typer.echo(line, err=True)
        else:
            self._bar.write(line, file=sys.stderr)
            self._bar.update(1)

    def waiting(self, number: int) -> None:
        """Say that others are still at work."""
        if self._shown:
            typer.echo(f"waiting for {number} picture(s) that another process restores", err=True)

    def close(self) -> None:
        """Leave the terminal in order."""
        for bar in (self._fit, self._bar):
            if bar is not None:
                bar.close()


def failures(batch: Batch, records: Mapping[str, Record]) -> list[Record]:
    """Return the records of the pictures that failed, in the order of the batch."""
    found = [records[entry.trial.id] for entry in batch.entries if entry.trial.id in records]
    return [record for record in found if record["status"] == "failed"]


def check_target_free(root: Path) -> None:
    """Raise OutputError where a folder that is no batch's yet holds files by the names of a batch's own."""
    for name in (FILE, PAGE):
        if (root / name).exists():
            raise OutputError(
                f"{str(root / name)!r} exists already, and a batch writes a file of that name: move it, or choose "
                "another folder with -o."
            )


def write_failures(root: Path, failed: Sequence[Record]) -> None:
    """Write `failures.csv` into the folder of the results, in the place of an earlier one; without any, remove that.

    Raises OutputError where it cannot be written.
    """
    path = root / FILE
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(failed)
    if failed:
        atomic_write_bytes(path, text.getvalue().encode(), existing="overwrite")
    elif path.is_file() and path.read_text(encoding="utf-8", errors="replace").startswith(",".join(COLUMNS)):
        path.unlink()


def summary(root: Path, batch: Batch, trials: Sequence[Trial], records: Mapping[str, Record], seconds: float) -> str:
    """Return how a batch ended: how many are done, what failed and why."""
    failed = failures(batch, records)
    done = sum(records.get(trial.id, {}).get("status") == "done" for trial in trials)
    left = sum(trial.id not in records for trial in trials)
    lines = [f"{done} restored to {root}, {len(failed)} failed, {left} left, in {seconds:.0f} s"]
    if failed:
        width = max(len(record["image"]) for record in failed)
        lines += [f"  {record['image']:<{width}}  {record['error']}" for record in failed]
        lines.append(f"wrote {root / FILE}")
    return "\n".join(lines)
