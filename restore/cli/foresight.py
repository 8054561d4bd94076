"""What a fit will do and take, told before its first step, and `--dry-run` of one picture, which tells nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import typer

from restore.cli.durations import duration
from restore.fitting import Checkpoint
from restore.fitting.forecast import Forecast, forecast
from restore.fitting.tiles import make_layout
from restore.fitting.warm_start import begun_on
from restore.images import Picture
from restore.problems.problem import Problem
from restore.restoration import to_json
from restore.runs.files import FileRequest, restore_page
from restore.session import Watch
from restore.settings import Plan

__all__ = ["announce_fit", "foresee", "look_ahead"]


class _Begun(Exception):
    """Ends a fit before its first step."""


def look_ahead(page: Picture, request: FileRequest, watch: Watch | None = None) -> tuple[Problem, Plan, Forecast]:
    """Return what the fit of a page is given, would do, and costs; `watch` is what would look on.

    Raises RestoreError for settings that contradict each other, and all else that keeps the fit from beginning.
    """
    watch = watch or Watch()
    found: list[tuple[Problem, Plan, Forecast]] = []

    def begun(problem: Problem, plan: Plan) -> None:
        if isinstance(watch.checkpoint, Checkpoint):
            watch.checkpoint.found(problem, plan)  # it may be of another fit
        found.append((problem, plan, forecast(problem, plan)))
        raise _Begun

    with contextlib.suppress(_Begun):
        restore_page(page, request, dataclasses.replace(watch, announce=begun))
    return found[0]


def foresee(
    pages: Sequence[Picture],
    request: FileRequest,
    watches: Sequence[Watch],
    target: Path | None,
    *,
    as_json: bool = False,
    verbose: bool = False,
) -> None:
    """Print what would be done with the pages of a file, and what that takes; nothing is fitted or written.

    Raises RestoreError as `look_ahead`.
    """
    costs: list[Forecast] = []
    warnings: list[str] = []
    for page, watch in zip(pages, watches, strict=True):
        problem, plan, cost = look_ahead(page, request, dataclasses.replace(watch, warn=warnings.append))
        costs.append(cost)
        if not as_json:
            typer.echo(announce_fit(problem, plan, cost, verbose))
    warnings = list(dict.fromkeys(warnings))
    seconds, memory = sum(cost.seconds for cost in costs), max(cost.memory_mb for cost in costs)
    told = {"output": None if target is None else str(target), "pages": len(pages), "seconds": seconds}
    if as_json:
        typer.echo(to_json({**told, "memory_mb": memory, "warnings": warnings}), nl=False)
        return
    for warning in warnings:
        typer.echo(f"restore: warning: {warning}", err=True)
    typer.echo(f"would write {told['output'] or 'standard output'}, in about {duration(seconds)}")


def announce_fit(problem: Problem, plan: Plan, cost: Forecast, verbose: bool = False) -> str:
    """Return in words what a fit is about to do, and what it will take."""
    height, width = problem.size
    number = "" if plan.networks == 1 else f"{plan.networks} of "
    steps = f"up to {plan.iterations} steps"
    if plan.warm_start:
        part = begun_on(problem.size, plan)
        steps = f"up to {plan.warm_start} steps on the middle {part.width}x{part.height}, then {plan.iterations},"
    if plan.tile_side:
        layout = make_layout(problem.size, plan.tile_side, plan.tile_overlap)
        rows, columns = layout.tile_size
        each = f" for the first and {plan.tile_iterations} for others," if plan.tile_iterations else " for each,"
        steps = f"{len(layout.tiles)} tiles of {columns}x{rows}, {steps.rstrip(',')}{each}"
    lines = [
        f"{width}x{height}, {problem.channels} channel(s), sigma {problem.sigma:.1f}: {number}{plan.prior} "
        f"({cost.parameters:,} parameters), {plan.objective}, on {plan.device} in {plan.precision}, "
        f"about {cost.memory_mb / 1024:.1f} GiB, {steps} in about {duration(cost.seconds)}"
    ]
    if verbose:
        lines += [f"  {name}: {value}" for name, value in vars(plan).items()]
    return "\n".join(lines)
