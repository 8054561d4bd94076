"""`restore bench`: what things cost on this machine, as ratios of one run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restore.cli import bench_quality
from restore.cli.bench_speed import speed
from restore.cli.paging import ReportOption, WithReport, prepare_page, write_page
from restore.errors import UsageError
from restore.settings import CELL_NAMES, CHOICES, FitSettings

if TYPE_CHECKING:
    from restore.studies.refinement_cost import Cost

__all__ = ["bench"]

COLUMNS = ("cell", "ms a step", "ratio", "parameters added")

bench = typer.Typer(
    name="bench", no_args_is_help=True, help="What things cost on this machine, as ratios of one interleaved run."
)


@bench.callback()
def about() -> None:
    """What things cost on this machine, as ratios of one interleaved run."""


@bench.command(cls=WithReport)
def refinement(
    cells: Annotated[list[str] | None, typer.Argument(help="Cells; all of them unless named.")] = None,
    refine: Annotated[str, typer.Option("--refine", help=f"{', '.join(CHOICES['refine'][:2])}.")] = "features",
    refine_steps: Annotated[int, typer.Option("--refine-steps", help="T.")] = 8,
    refine_channels: Annotated[int, typer.Option("--refine-channels", help="Units of the cell.")] = 32,
    prior: Annotated[str, typer.Option("--prior", help="Untrained network.")] = "hourglass",
    size: Annotated[int, typer.Option("--size", min=16, help="Height and width of the picture.")] = 256,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Steps of each, in turn.")] = 20,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
    report: ReportOption = None,
) -> None:
    """Time of a step with each recurrent refinement over the time without, by medians of interleaved steps."""
    from restore.cli.allocator import keep_freed_memory
    from restore.studies.refinement_cost import refinement_costs

    keep_freed_memory()
    target = prepare_page(report, "bench-refinement")
    bare = FitSettings(prior=prior, optimizer="adam", device=device)  # a recurrence learns by Adam
    refined = replace(bare, cell="rnn", refine=refine, refine_steps=refine_steps, refine_channels=refine_channels)
    variants = [replace(refined, cell=cell) for cell in cells or CELL_NAMES]
    costs = refinement_costs(bare, variants, size=(size, size), rounds=rounds)
    title, lead = "Cost of refinement", f"{prior}, {refine}, T = {refine_steps}, {size}x{size}, {rounds} rounds"
    write_page(target, lambda: _page(title, lead, COLUMNS, [_row(cost) for cost in costs]))
    if as_json:
        typer.echo(json.dumps([asdict(cost) for cost in costs], indent=2, allow_nan=False))
        return
    typer.echo(f"| {COLUMNS[0]:14} | {' | '.join(COLUMNS[1:])} |")
    typer.echo(f"|{'-' * 16}|----------:|------:|-----------------:|")
    for cost in costs:
        name, *numbers = _row(cost)
        aligned = (number.rjust(len(column)) for number, column in zip(numbers, COLUMNS[1:], strict=True))
        typer.echo(f"| {name:14} | {' | '.join(aligned)} |")


@bench.command(cls=WithReport)
def gain(
    screen: Annotated[Path, typer.Option("--screen", help="Picture that chooses the refinements.")],
    final: Annotated[list[Path], typer.Option("--final", help="Picture that judges them; repeatable.")],
    output: Annotated[Path, typer.Option("-o", "--out", help="Folder of the results; started again, it goes on.")],
    quick: Annotated[bool, typer.Option("--quick", help="A few steps of everything, to see that it runs.")] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    report: ReportOption = None,
) -> None:
    """Does a recurrent refinement help? PSNR with and without at equal time, on pictures that did not choose it.

    The middle of each picture is used. Several processes may work on one folder.
    """
    import torch

    from restore.cli.allocator import keep_freed_memory
    from restore.images import atomic_write_bytes
    from restore.studies.gain_trials import HEADER, rows, table
    from restore.studies.refinement_gain import FULL, QUICK, measure_gain

    keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    budget = QUICK if quick else FULL
    target = prepare_page(report, f"{output}-gain")
    screened, judged = measure_gain(
        screen, final, output, budget, device=device, say=lambda line: typer.echo(line, err=True)
    )
    text = f"Screening\n\n{table(screened)}\n\nOther pictures, seeds {list(budget.seeds)}\n\n{table(judged)}\n"
    atomic_write_bytes(output / "table.md", text.encode(), existing="overwrite")
    lead = f"chosen on {screen.name}, measured on the other pictures with the seeds {list(budget.seeds)}"
    write_page(target, lambda: _page("Gain of refinement", lead, HEADER, rows(judged)))
    typer.echo(text, nl=False)


@bench.command(cls=WithReport)
def health(
    prior: Annotated[str, typer.Option("--prior", help="Untrained network.")] = "hourglass",
    size: Annotated[int, typer.Option("--size", min=16, help="Height and width of the picture.")] = 256,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Stretches of steps of each, in turn.")] = 6,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    report: ReportOption = None,
) -> None:
    """Time of a fit with --health over the time without, by medians of interleaved stretches of steps."""
    from restore.cli.allocator import keep_freed_memory
    from restore.studies.health_cost import health_cost

    keep_freed_memory()
    target = prepare_page(report, "bench-health")
    cost = health_cost(FitSettings(prior=prior, device=device), size=(size, size), rounds=rounds)
    typer.echo(
        f"a look every {cost.every} steps of {cost.milliseconds:.1f} ms: {cost.ratio:.3f} times the time without"
    )
    columns = ("steps between looks", "ms a step", "ratio")
    row = (str(cost.every), f"{cost.milliseconds:.1f}", f"{cost.ratio:.3f}")
    write_page(target, lambda: _page("Cost of --health", f"{prior}, {size}x{size}, {rounds} rounds", columns, [row]))


@bench.command(cls=WithReport)
def throughput(
    priors: Annotated[list[str] | None, typer.Argument(help="Priors; decoder, dip and hourglass unless named.")] = None,
    stacks: Annotated[str, typer.Option("--stacks", help="Pictures in one pass, with commas.")] = "2,4,8",
    size: Annotated[int, typer.Option("--size", min=16, help="Height and width of the pictures.")] = 64,
    missing: Annotated[bool, typer.Option("--missing", help="Fill half the pixels instead of denoising.")] = False,
    preset: Annotated[str, typer.Option("--preset", help="Of the fits; dip takes the published one.")] = "balanced",
    precision: Annotated[str, typer.Option("--precision", help=f"{', '.join(CHOICES['precision'])}.")] = "auto",
    accelerate: Annotated[
        str, typer.Option("--accelerate", help=f"With commas: {', '.join(CHOICES['accelerate'])}.")
    ] = "none",
    deepinv: Annotated[bool, typer.Option("--deepinv", help="Beside deepinv's deep image prior.")] = False,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of each measurement.")] = 5,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Measurements of each, in turn.")] = 5,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
    report: ReportOption = None,
) -> None:
    """Pictures an hour with stacks of several sizes, and their time over that of as many lone fits, in one run."""
    import torch

    from restore.cli.allocator import keep_freed_memory
    from restore.fitting.precision import resolve_device
    from restore.studies.throughput import measure_deepinv, measure_throughput

    keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    target = prepare_page(report, "bench-throughput")
    counts = _counts(stacks)
    found = []
    for prior in priors or ("decoder", "dip", "hourglass"):
        own = "paper" if prior == "dip" else preset
        for how in accelerate.split(","):
            settings = FitSettings(prior=prior, preset=own, device=device, precision=precision, accelerate=how.strip())
            found += measure_throughput(settings, counts, size=size, steps=steps, rounds=rounds, missing=missing)
    if deepinv:
        where = str(resolve_device(device))
        found.append(measure_deepinv(size=size, device=where, steps=steps, rounds=rounds, missing=missing))
    columns = ("prior", "accelerate", "stack", "ms a step and picture", "over lone fits", "pictures an hour")
    rows = [
        (
            *(each.prior, each.accelerate, str(each.stack), f"{each.milliseconds:.2f}"),
            *(f"{each.ratio:.3f}", f"{each.pictures_an_hour:.0f}"),
        )
        for each in found
    ]
    lead = f"{size}x{size}, {'half the pixels missing' if missing else 'denoising'}, {rounds} rounds of {steps} steps"
    write_page(target, lambda: _page("Throughput", lead, columns, rows))
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in found], indent=2, allow_nan=False))
        return
    for name, *numbers in (columns, *rows):
        aligned = (number.rjust(len(column)) for number, column in zip(numbers, columns[1:], strict=True))
        typer.echo(f"| {name:9} | {' | '.join(aligned)} |")


@bench.command()
def workers(
    count: Annotated[int, typer.Option("--workers", min=2, help="Processes.")] = 2,
    pictures: Annotated[int, typer.Option("--pictures", min=1, help="In the batch.")] = 72,
    size: Annotated[int, typer.Option("--size", min=16, help="Height and width of the pictures.")] = 64,
    iterations: Annotated[int, typer.Option("--iterations", min=1, help="Of each fit.")] = 100,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Of one and of several, in turn.")] = 3,
) -> None:
    """How many times as fast several processes restore a batch of small pictures as one, start and end included."""
    from restore.studies.workers_gain import median_ratios, workers_gain

    found = workers_gain(count, pictures=pictures, size=size, iterations=iterations, rounds=rounds)
    for one, threads, several in found:
        typer.echo(f"one process {one:.1f} s on one thread, {threads:.1f} s on all; {count} processes {several:.1f} s")
    alone, all_threads = median_ratios(found)
    typer.echo(
        f"median: {alone:.2f} times as fast as one thread, {all_threads:.2f} times as all threads in one process"
    )


bench.command(cls=WithReport, name="denoise")(bench_quality.denoise)
bench.command(cls=WithReport, name="inpaint")(bench_quality.inpaint)
bench.command(cls=WithReport)(speed)


def _counts(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 1 for part in parts):
        raise UsageError(f"--stacks takes numbers above 1 with commas, such as 2,4,8, not {text!r}.")
    return [int(part) for part in parts]


def _row(cost: Cost) -> tuple[str, str, str, str]:
    return cost.cell, f"{cost.milliseconds:.1f}", f"{cost.ratio:.2f}", f"{cost.parameters:,}"


def _page(title: str, lead: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from restore.report.measured import Table, measured_page

    return measured_page(title, lead, [Table(columns, rows)])
