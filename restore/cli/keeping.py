"""The checkpoints of one file's pages: where they may lie, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from restore.errors import UsageError
from restore.fitting import Checkpoint
from restore.images import check_target
from restore.runs.files import page_checkpoints

__all__ = ["checked_checkpoints", "seconds_before", "tell_kept"]

Checkpoints = Sequence[Checkpoint | None]


def checked_checkpoints(
    path: Path | None, every: float, pages: int, *, given: Iterable[str | Path | None], written: Iterable[Path]
) -> Checkpoints:
    """Return the checkpoint of each page, having made sure that it can be written and is no other file of the run.

    Args:
        path: of the first page's; None for none.
        every: seconds between two writes.
        given: files that the run reads.
        written: files that it will write.

    Raises OutputError or UsageError where that is not so.
    """
    checkpoints = page_checkpoints(path, every, pages)
    sources = list(given)
    results = {other.resolve() for other in written}
    for checkpoint in checkpoints:
        if checkpoint is None:
            continue
        for source in sources:
            check_target(checkpoint.path, existing="overwrite", source=source)
        if checkpoint.path.resolve() in results:
            raise UsageError(
                f"--checkpoint {str(checkpoint.path)!r} is where a result is written: name another file with it."
            )
    return checkpoints


def tell_kept(checkpoints: Checkpoints, overwrites: bool) -> None:
    """Say where the fit that did not end is kept, if it is.

    Args:
        overwrites: whether the result is there by now, and must be written over by what goes on.
    """
    there = [checkpoint.path for checkpoint in checkpoints if checkpoint is not None and checkpoint.path.exists()]
    if there:
        words = " with --existing overwrite" if overwrites else ""
        typer.echo(f"the fit is kept in {there[-1]}: the same command{words} goes on.", err=True)
    elif any(checkpoint is not None for checkpoint in checkpoints):
        typer.echo("nothing of the fit is kept yet: the same command begins anew.", err=True)


def seconds_before(checkpoints: Checkpoints) -> float:
    """Return the seconds that the fits took before they went on."""
    return sum(checkpoint.earlier for checkpoint in checkpoints if checkpoint is not None)
