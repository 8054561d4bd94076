"""`restore bench speed`: a step of the fit beside what the machine can do, and how it grows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from restore.cli.paging import ReportOption, prepare_page, write_page
from restore.errors import UsageError, unknown_name
from restore.settings import CHOICES

if TYPE_CHECKING:
    from restore.report.measured import Table
    from restore.studies.growth import Growth
    from restore.studies.speed import Peak, Speed

__all__ = ["speed"]

EACH = "each"
MULTIPLE = 64

TRAFFIC = (
    "FLOPs are those of convolutions and matrix products, forward and backward. Traffic: what is kept for the backward "
    "pass is written and read once, and so is its gradient; then Adam's eight passes over the weights. The roofline is "
    "the longer of FLOPs over the peak and traffic over the bandwidth."
)


def speed(
    size: Annotated[int, typer.Option("--size", min=MULTIPLE, help="Height and width, a multiple of 64.")] = 256,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Measurements of each, in turn.")] = 10,
    precision: Annotated[
        str, typer.Option("--precision", help=f"each that the machine has, or {', '.join(CHOICES['precision'])}.")
    ] = EACH,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    report: ReportOption = None,
) -> None:
    """Time and FLOP/s of a step of every prior beside this machine's measured peak, and how time and memory grow.

    The peak is a large convolution or matrix product in the same precision, whichever is faster in the same round; the
    bandwidth is that of a large sum of two tensors.
    """
    if size % MULTIPLE:
        raise UsageError(f"--size takes a multiple of {MULTIPLE}, so that no prior pads the picture, not {size}.")
    if precision not in (EACH, *CHOICES["precision"]):
        raise unknown_name("precision", precision, (EACH, *CHOICES["precision"]))
    import torch

    from restore.cli.allocator import keep_freed_memory
    from restore.fitting.precision import resolve_device, resolve_precision
    from restore.studies.growth import exponents, measure_growth, variants
    from restore.studies.speed import measure_speed, priors

    keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    target = prepare_page(report, "bench-speed")
    native = resolve_precision("auto", resolve_device(device))
    wanted = list(dict.fromkeys(("float32", native))) if precision == EACH else [precision]
    fits = [settings for name in wanted for settings in priors(name, device)]
    peaks, speeds = measure_speed(fits, size=(size, size), rounds=rounds)
    grown = measure_growth(variants(size, wanted[-1], device), rounds=rounds)
    slopes = exponents(grown)
    tables = _tables(peaks, speeds, grown, slopes)
    lead = f"{size}x{size}, {rounds} interleaved rounds, {torch.get_num_threads()} thread(s), {speeds[0].device}"
    write_page(target, lambda: _page(lead, tables))
    if as_json:
        measured: dict[str, Sequence[Peak | Speed | Growth]] = {"peaks": peaks, "steps": speeds, "growth": grown}
        printed = {name: [asdict(each) for each in several] for name, several in measured.items()}
        growing = {name: {"time": time, "memory": memory} for name, (time, memory) in slopes.items()}
        typer.echo(json.dumps({**printed, "exponents": growing}, indent=2, allow_nan=False))
        return
    from restore.report.tables import markdown

    typer.echo(lead)
    for table in tables:
        typer.echo(f"\n{table.title}\n\n{markdown(table.columns, table.rows)}")
    typer.echo(f"\n{TRAFFIC}")


def _tables(
    peaks: Sequence[Peak], speeds: Sequence[Speed], grown: Sequence[Growth], slopes: dict[str, tuple[float, float]]
) -> list[Table]:
    from restore.report.measured import Table

    return [
        Table(
            ("precision", "convolution GFLOP/s", "matrix product GFLOP/s", "bandwidth GB/s"),
            [
                (each.precision, f"{each.convolution / 1e9:.0f}", f"{each.product / 1e9:.0f}", _giga(each.bandwidth))
                for each in peaks
            ],
            "Peak of this machine",
        ),
        Table(
            (
                *("prior", "precision", "ms a step", "± %", "GFLOP", "GFLOP/s", "% of peak"),
                *("traffic GB", "roofline ms", "bound by", "step over roofline"),
            ),
            [
                (
                    *(each.prior, each.precision, f"{each.milliseconds:.1f}", f"{100 * each.spread:.0f}"),
                    *(_giga(each.flops), f"{each.flops_per_second / 1e9:.0f}", f"{100 * each.fraction:.0f}"),
                    *(f"{each.traffic_bytes / 1e9:.2f}", f"{each.roofline_milliseconds:.1f}", each.bound),
                    f"{each.over_roofline:.2f}",
                )
                for each in speeds
            ],
            "A step of the fit",
        ),
        Table(
            ("grows", "value", "precision", "ms a step", "peak MiB", "time ~ value^", "memory ~ value^"),
            [
                (
                    *(each.of, str(each.value), each.precision, f"{each.milliseconds:.1f}"),
                    *(f"{each.peak_bytes / 2**20:.1f}", *(f"{slope:.2f}" for slope in slopes[each.of])),
                )
                for each in grown
            ],
            "Growth with the area, the hourglass's channels, and the recurrence's T",
        ),
    ]


def _giga(value: float) -> str:
    return f"{value / 1e9:.1f}"


def _page(lead: str, tables: Sequence[Table]) -> str:
    from restore.report.measured import measured_page

    return measured_page("Speed of a step", lead, tables, findings=[TRAFFIC])
