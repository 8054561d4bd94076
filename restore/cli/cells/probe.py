"""`restore cells probe`: does a gradient survive a thousand steps of a cell?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore.cli.cells.output import number, print_json, print_table, shows
from restore.cli.paging import ReportOption, prepare_page, write_page

if TYPE_CHECKING:
    from torch import Tensor

    from restore.studies.probe import Probe

__all__ = ["probe"]

HEADER = ("cell", "verdict", "singular values of dh_T/dh_0", "orthogonality error", "spectral radius", "|h_T|")


def probe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A cell of `restore cells list`.")],
    size: Annotated[int, typer.Option("--size", help="State units n.")] = 128,
    steps: Annotated[int, typer.Option("--steps", help="Steps T, at least 1.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Of the cell, the drives and v, from 0.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with all figures; what is not finite is null.")
    ] = False,
    report: ReportOption = None,
) -> None:
    """Drive a fresh cell with noise and follow the gradient of <v, h_T> back, beside the same for rnn and gru.

    Drives and v are drawn from N(0, 1); all is measured in float64. The verdict is vanishing or exploding where
    |dL/dh_0| / |dL/dh_T| is below 1e-3 or above 1e3, unstable where only a step between is, dead where the gradient is
    cut off, nan, or else healthy: bounded. The orthogonality error is the Frobenius norm of W^H W - I, of the matrices
    that are orthogonal by construction or else of all, the largest; the spectral radius is the largest of all.
    """
    from restore.studies.probe import probe_with_controls

    target = prepare_page(report, f"{name}-probe")
    probed, controls = probe_with_controls(name, size=size, steps=steps, seed=seed)
    every = list({probe.cell: probe for probe in (probed, *controls.values())}.values())
    write_page(target, lambda: _page(every))
    if as_json:
        print_json(_report(probed, controls))
    else:
        _print(every)


def _report(probed: Probe, controls: Mapping[str, Probe]) -> dict[str, Any]:
    measures = {"controls": {name: _measures(control) for name, control in controls.items()}}
    shared = {"cell": probed.cell, "size": probed.size, "steps": probed.steps, "seed": probed.seed}
    return {**shared, **_measures(probed), **measures}


def _measures(probed: Probe) -> dict[str, Any]:
    return {
        "gradient_norms": probed.gradient_norms,
        "singular_values": probed.singular_values,
        "orthogonality_error": probed.orthogonality_error,
        "spectral_radius": probed.spectral_radius,
        "state_norms": probed.state_norms,
        "verdict": str(probed.verdict),
    }


def _print(every: list[Probe]) -> None:
    typer.echo(f"{_setting(every[0])}\n")
    print_table(HEADER, [_row(probe) for probe in every])
    _print_curves(every)
    typer.echo()
    for probe in every:
        typer.echo(_conclusion(probe))


def _setting(probe: Probe) -> str:
    return f"size {probe.size}, {probe.steps} steps, seed {probe.seed}; L = <v, h_T>"


def _page(every: list[Probe]) -> str:
    from restore.report.charts import line_chart
    from restore.report.measured import Table, measured_page

    def over_time(of: Callable[[Probe], Tensor]) -> dict[str, tuple[list[int], list[float]]]:
        return {probe.cell: (list(range(len(of(probe)))), of(probe).tolist()) for probe in every}

    charts = [
        line_chart(
            over_time(lambda probe: probe.gradient_norms), "|dL/dh_t| from t = 0 to T", across="t", logarithmic=True
        ),
        line_chart(over_time(lambda probe: probe.state_norms), "|h_t|", across="t"),
        line_chart(
            over_time(lambda probe: probe.singular_values),
            "Singular values of dh_T/dh_0, the largest first",
            across="number",
            logarithmic=True,
        ),
    ]
    findings = [_conclusion(probe) for probe in every]
    return measured_page(
        f"Gradients through {every[0].cell}",
        _setting(every[0]),
        [Table(HEADER, [_row(probe) for probe in every])],
        charts,
        findings,
    )


def _row(probe: Probe) -> tuple[str, ...]:
    values = probe.singular_values.tolist()
    return (
        probe.cell,
        str(probe.verdict),
        f"{number(values[0])} to {number(values[-1])}",
        number(probe.orthogonality_error),
        number(probe.spectral_radius),
        number(probe.state_norms[-1].item()),
    )


def _print_curves(every: list[Probe]) -> None:
    from restore.report.sparkline import ASCII, BLOCKS, sparkline

    levels = BLOCKS if shows(BLOCKS) else ASCII
    middle = levels[len(levels) // 2]
    typer.echo(f"\n|dL/dh_t| from t = 0 (left) to T, a level a decade; {middle} is its size at T")
    width = max(len(probe.cell) for probe in every)
    for probe in every:
        curve = (probe.gradient_norms / probe.gradient_norms[-1]).tolist()
        typer.echo(f"{probe.cell:<{width}}  {sparkline(curve, levels=levels)}")


def _conclusion(probe: Probe) -> str:
    name = "bounded (healthy)" if probe.verdict == "healthy" else str(probe.verdict)
    first, last = probe.gradient_norms[0].item(), probe.gradient_norms[-1].item()
    return (
        f"{probe.cell}: {name}; over {probe.steps} steps back |dL/dh| goes from {number(last)} to {number(first)}, "
        f"ratio {number(probe.ratio)}."
    )
