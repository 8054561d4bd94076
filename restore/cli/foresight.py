"""What a fit will do and take, told before its first step, and `--dry-run` of one picture, which tells nothing else."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from restore.cli.durations import duration
from restore.fitting import Checkpoint
from restore.fitting.forecast import Forecast
from restore.fitting.tiles import make_layout
from restore.fitting.warm_start import begun_on
from restore.images import Picture
from restore.problems.problem import Problem
from restore.restoration import to_json
from restore.runs.ahead import ahead_of
from restore.runs.files import FileRequest, restore_page
from restore.session import Watch
from restore.settings import Plan

__all__ = ["announce_fit", "foresee", "look_ahead"]


def look_ahead(page: Picture, request: FileRequest, watch: Watch | None = None) -> tuple[Problem, Plan, Forecast]:
    """Return what the fit of a page is given, would do, and costs; `watch` is what would look on.

    Raises RestoreError for settings that contradict each other, and all else that keeps the fit from beginning.
    """
    watch = watch or Watch()
    problem, plan, cost = ahead_of(
        lambda announce: restore_page(page, request, dataclasses.replace(watch, announce=announce))
    )
    if isinstance(watch.checkpoint, Checkpoint):
        watch.checkpoint.found(problem, plan)  # it may be of another fit
    return problem, plan, cost


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
    warnings: list[str] = []

    def warn(line: str) -> None:
        if line not in warnings and not as_json:
            typer.echo(f"restore: warning: {line}", err=True)
        warnings.append(line)

    told: list[dict[str, Any]] = []
    for page, watch in zip(pages, watches, strict=True):
        problem, plan, cost = look_ahead(page, request, dataclasses.replace(watch, warn=warn))
        fit = {name: getattr(plan, name) for name in ("prior", "objective", "networks", "iterations", "tile_side")}
        seconds = min(cost.seconds, math.inf if plan.time_budget is None else plan.time_budget)
        told.append({"sigma": problem.sigma, **fit, "seconds": seconds, "memory_mb": cost.memory_mb})
        if not as_json:
            typer.echo(announce_fit(problem, plan, cost, verbose))
    total = sum(each["seconds"] for each in told)
    if as_json:
        memory = max(each["memory_mb"] for each in told)
        output = None if target is None else str(target)
        report = {"output": output, "seconds": total, "memory_mb": memory, "pages": told}
        typer.echo(to_json({**report, "warnings": list(dict.fromkeys(warnings))}), nl=False)
    else:
        typer.echo(f"would write {'to standard output' if target is None else target}, in about {duration(total)}")


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
    if plan.time_budget is not None and plan.time_budget < cost.seconds:
        lines[0] += f", but {duration(plan.time_budget)} is all the time it is given"
    if verbose:
        lines += [f"  {name}: {value}" for name, value in vars(plan).items()]
    return "\n".join(lines)
