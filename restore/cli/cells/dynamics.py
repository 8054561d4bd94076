"""`restore cells dynamics`: where a continuous-time cell rests, where it oscillates, and what changes that."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore.cli.cells.output import number, print_json, print_table
from restore.cli.cells.parameters import read_cell
from restore.cli.options import Existing
from restore.cli.paging import ReportOption, prepare_page, write_page
from restore.errors import OutputError, UsageError, unknown_name

if TYPE_CHECKING:
    from restore.cells.ctgru import CTGRU
    from restore.cells.limitcycle import LimitCycle
    from restore.studies.dynamics import Analysis, Scan

__all__ = ["dynamics"]

POINTS = ("", "kind", "position", "eigenvalues")
CYCLES = ("", "period", "Floquet multipliers", "through")
EXPONENTS = ("from", "exponents")
SCAN = ("value", "stable", "unstable", "saddle", "periods of cycles")

SHOWN = 8
"""Units of a state, eigenvalues and exponents that a line of text shows; --json has all."""


def dynamics(
    name: Annotated[str, typer.Argument(metavar="NAME", help="ctgru or limitcycle.")],
    parameters: Annotated[
        Path, typer.Option("--parameters", metavar="FILE", help="YAML or JSON: parameters of the cell by name.")
    ],
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="PNG", help="Draw the phase plane of a cell of two units.")
    ] = None,
    scan: Annotated[
        tuple[str, float, float] | None,
        typer.Option("--scan", metavar="NAME FROM TO", help="Look for bifurcations along a parameter: b_h[0] 0 -0.2."),
    ] = None,
    scan_values: Annotated[int, typer.Option("--scan-values", help="Values of a scan, 2 or more.")] = 11,
    existing: Annotated[Existing, typer.Option("--existing", help="If the plot is there.")] = Existing.error,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object; a complex number is [real, imaginary].")
    ] = False,
    report: ReportOption = None,
) -> None:
    """Find the fixed points, limit cycles, Lyapunov exponents and bifurcations of a cell that is left alone.

    FILE maps names to lists, for n units:

    ctgru: U_r, U_z, U_h (n x n), b_r, b_z, b_h (n); beside them dt, method (euler, rk4) and gate (before, after).

    limitcycle: omega, log_mu, log_rho (n/2) of Hopf's normal form, or W (n x n) of the tanh network; beside them dt.

    What is left out is zero (dt: the cell's own). Examples: configs/cells/hopf.yaml and configs/cells/bistable.yaml.
    The exponents are those of the discrete map of one step, in nats a step; all else is of the differential equation.
    """
    from restore.images.atomic import atomic_write_bytes

    cell = read_cell(name, parameters)
    target = None if scan is None else _index(cell, scan[0])
    if plot is not None:
        _check_plot(plot, cell.size, parameters, existing.value)

    page = prepare_page(report, f"{parameters.stem}-dynamics")

    from restore.studies.dynamics import analyse, scan_parameter

    scanned = None
    if scan is not None and target is not None:
        scanned = scan_parameter(cell, *target, *scan[1:], values=scan_values)
    found = analyse(cell)
    if plot is not None and found.portrait is not None:
        from restore.report.phase import draw_phase_portrait

        title = f"{name}, {parameters.name}"
        atomic_write_bytes(plot, draw_phase_portrait(found.portrait, title), existing=existing.value)
    write_page(page, lambda: _page(name, cell, parameters.name, found, scanned))
    if as_json:
        print_json(_report(name, cell, parameters, found, scanned, plot))
        return
    _print(name, cell, found)
    if scanned is not None:
        _print_scan(scanned)
    if plot is not None:
        typer.echo(f"wrote {plot}", err=True)


def _check_plot(plot: Path, size: int, source: Path, existing: str) -> None:
    """Raise what would prevent the drawing before the work is done."""
    from restore.images.atomic import check_target
    from restore.report.phase import require_matplotlib

    if plot.suffix.lower() != ".png":
        raise OutputError(f"the plot is a PNG file, not {plot.suffix or 'one without suffix'}: name it .png.")
    if size != 2:
        raise UsageError(f"a phase plane is drawn of two units, and the parameters are of {size}: drop --plot.")
    check_target(plot, existing=existing, source=source)
    require_matplotlib()


def _index(cell: CTGRU | LimitCycle, text: str) -> tuple[str, tuple[int, ...]]:
    """Return the parameter's name and the index that `text` gives, such as b_h[0] or U_h[0,1]."""
    match = re.fullmatch(r"(\w+)\[\s*(\d+)\s*(?:,\s*(\d+)\s*)?\]", text)
    if match is None:
        raise UsageError(f"--scan takes one number of a parameter, such as b_h[0] or U_h[0,1], not {text!r}.")
    known = dict(cell.named_parameters())
    if match[1] not in known:
        raise unknown_name("parameter", match[1], known)
    index = tuple(int(part) for part in match.groups()[1:] if part is not None)
    shape = tuple(known[match[1]].shape)
    if len(index) != len(shape) or any(part >= length for part, length in zip(index, shape, strict=True)):
        raise UsageError(f"{match[1]!r} has the shape {shape}, counted from 0; {text!r} is not in it.")
    return match[1], index


def _report(
    name: str, cell: CTGRU | LimitCycle, source: Path, found: Analysis, scanned: Scan | None, plot: Path | None
) -> dict[str, Any]:
    return {
        "cell": name,
        "size": cell.size,
        "parameters": str(source),
        "dt": cell.dt,
        "fixed_points": [
            {"position": point.position, "kind": point.kind, "eigenvalues": point.eigenvalues}
            for point in found.fixed_points
        ],
        "limit_cycles": [
            {"period": cycle.period, "multipliers": cycle.multipliers, "start": cycle.orbit[0]}
            for cycle in found.cycles
        ],
        "lyapunov": [{"origin": item.origin, "exponents": item.exponents} for item in found.attractors],
        "scan": None if scanned is None else _scan_report(scanned),
        "plot": None if plot is None else str(plot),
    }


def _scan_report(scanned: Scan) -> dict[str, Any]:
    return {
        "parameter": scanned.parameter,
        "values": [
            {
                "value": snapshot.value,
                "fixed_points": [point.kind for point in snapshot.fixed_points],
                "periods": [cycle.period for cycle in snapshot.cycles],
            }
            for snapshot in scanned.snapshots
        ],
        "bifurcations": [
            {"kind": change.kind, "low": change.low.value, "high": change.high.value} for change in scanned.bifurcations
        ],
    }


def _print(name: str, cell: CTGRU | LimitCycle, found: Analysis) -> None:
    typer.echo(f"{name} of {cell.size} units without a drive: {_count(len(found.fixed_points), 'fixed point')}")
    if found.fixed_points:
        print_table(POINTS, _points(found), indent="  ")
    typer.echo(_count(len(found.cycles), "stable limit cycle"))
    if found.cycles:
        print_table(CYCLES, _cycles(found), indent="  ")
    typer.echo(_exponents_title(cell))
    print_table(EXPONENTS, _exponents(found), indent="  ")


def _points(found: Analysis) -> list[tuple[str, ...]]:
    return [
        (str(place), point.kind, _list(point.position.round(decimals=10) + 0.0), _list(point.eigenvalues))
        for place, point in enumerate(found.fixed_points, 1)
    ]


def _cycles(found: Analysis) -> list[tuple[str, ...]]:
    return [
        (str(place), number(cycle.period), _list(cycle.multipliers), _list(cycle.orbit[0]))
        for place, cycle in enumerate(found.cycles, 1)
    ]


def _exponents(found: Analysis) -> list[tuple[str, ...]]:
    return [(item.origin, _list(item.exponents)) for item in found.attractors]


def _exponents_title(cell: CTGRU | LimitCycle) -> str:
    return f"Lyapunov exponents of the map of one step, dt = {number(cell.dt)}, in nats a step"


def _page(name: str, cell: CTGRU | LimitCycle, source: str, found: Analysis, scanned: Scan | None) -> str:
    from restore.report.charts import Chart
    from restore.report.measured import Table, measured_page
    from restore.report.phase import draw_phase_portrait
    from restore.report.pictures import data_uri

    charts = []
    if found.portrait is not None:
        drawing = draw_phase_portrait(found.portrait, f"{name}, {source}")
        charts = [Chart(data_uri(drawing, "image/png"), "Flow, nullclines, fixed points and stable limit cycles")]
    tables = [
        Table(POINTS, _points(found), _count(len(found.fixed_points), "fixed point")),
        Table(CYCLES, _cycles(found), _count(len(found.cycles), "stable limit cycle")),
        Table(EXPONENTS, _exponents(found), _exponents_title(cell)),
    ]
    findings = [] if scanned is None else _changes(scanned)
    if scanned is not None:
        tables.append(Table(SCAN, _snapshots(scanned), f"scan of {scanned.parameter}"))
    lead = f"{name} of {cell.size} units without a drive, from {source}"
    return measured_page(f"Dynamics of {name}", lead, tables, charts, findings)


def _print_scan(scanned: Scan) -> None:
    typer.echo(f"scan of {scanned.parameter}")
    print_table(SCAN, _snapshots(scanned), indent="  ")
    for line in _changes(scanned):
        typer.echo(line)


def _snapshots(scanned: Scan) -> list[tuple[str, ...]]:
    return [
        (
            number(snapshot.value),
            str(snapshot.census["stable"]),
            str(snapshot.census["unstable"]),
            str(snapshot.census["saddle"]),
            ", ".join(number(cycle.period) for cycle in snapshot.cycles) or "-",
        )
        for snapshot in scanned.snapshots
    ]


def _changes(scanned: Scan) -> list[str]:
    lines = []
    for change in scanned.bifurcations:
        digits = max(4, 2 - math.floor(math.log10(abs(change.high.value - change.low.value))))
        lines.append(f"{change.kind} between {change.low.value:.{digits}f} and {change.high.value:.{digits}f}")
    return lines or ["no bifurcation between these values"]


def _list(values: Any) -> str:
    shown = ", ".join(number(value) for value in values[:SHOWN].tolist())
    return f"({shown}{', ...' if len(values) > SHOWN else ''})"


def _count(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
