"""`restore reproduce`: claims of the literature, measured again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore.cli.options import Report
from restore.cli.paging import check_folder_page, write_folder_page
from restore.cli.statuses import FAILED
from restore.errors import OutputError, UsageError, unknown_name

if TYPE_CHECKING:
    from restore.studies.claims import Claim, Result

__all__ = ["reproduce"]


def reproduce(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME…|all]", help="Claims; none lists them.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small forms, with thresholds of their own.")] = False,
    cell: Annotated[list[str] | None, typer.Option("--cell", help="Cell, for claims about cells; repeatable.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder for a JSON and a figure each, and for what is unfinished."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all random draws.")] = 0,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    cap: Annotated[float, typer.Option("--cap", min=1, help="Seconds that one training may take.")] = 900.0,
    report: Report = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list on stdout.")] = False,
) -> None:
    """Measure claims of the literature again: what is claimed, where, the published figure, ours, and a verdict.

    The exit status is 1 where a claim was not reproduced, or where the verdict is another one than was found before.
    With -o a long training goes on where it was interrupted.
    """
    import torch

    from restore.cells import CELLS
    from restore.studies.claims import Conditions, all_claims, choose
    from restore.studies.claims import reproduce as measure

    if not names:
        _list(all_claims(), as_json)
        return
    claims = choose(names)
    if cell and not any(claim.takes_cells for claim in claims):
        raise UsageError(f"--cell {cell[0]} does not apply to {', '.join(names)}: leave it out.")
    for name in cell or ():
        if name not in CELLS:
            raise unknown_name("cell", name, CELLS)
    if report is not None and output is None:
        raise UsageError("--report makes a page of a folder of results: name one with -o.")
    if output is not None:
        check_folder_page(report, output)
    if threads is not None:
        torch.set_num_threads(threads)
    folder = None if output is None else _folder(output)
    conditions = Conditions(
        quick=quick,
        seed=seed,
        cells=tuple(cell or ()),
        folder=folder,
        cap=cap,
        say=lambda line: typer.echo(line, err=True),
    )
    results: list[Result] = []
    for claim in claims:
        results.append(measure(claim, conditions))
        if folder is not None:
            _write(results[-1], folder)
        if not as_json:
            _print(results[-1])
    if folder is not None and report is not None:
        from restore.report.page import claims_page

        write_folder_page(report, folder, claims_page)
    if as_json:
        typer.echo(json.dumps([_strict(result.row()) for result in results], indent=2, allow_nan=False))
    if any(result.failed for result in results):
        raise typer.Exit(FAILED)


def _list(claims: Sequence[Claim], as_json: bool) -> None:
    if as_json:
        rows = [{"name": claim.name, "claim": claim.text, "source": claim.source} for claim in claims]
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max(len(claim.name) for claim in claims)
    for claim in claims:
        typer.echo(f"{claim.name:<{width}}  {claim.text} [{claim.source}]")


def _print(result: Result) -> None:
    claim, outcome = result.claim, result.outcome
    typer.echo(f"\n{claim.name}: {claim.text}")
    typer.echo(f"  source     {claim.source}")
    typer.echo(f"  published  {claim.published or 'no figure known'}")
    for name, value in _flat(outcome.measured):
        typer.echo(f"  measured   {name} = {f'{value:.4g}' if isinstance(value, float) else value}")
    typer.echo(f"  threshold  {outcome.threshold}")
    typer.echo(f"  verdict    {outcome.verdict} ({result.seconds:.0f} s)")
    if outcome.note:
        typer.echo(f"  why        {outcome.note}")
    if result.failed and outcome.verdict != claim.expected:
        typer.echo(f"  before     {claim.expected}")


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, value))
    return rows


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {str(path)!r}: {error.strerror}; choose another one.") from error
    return path


def _write(result: Result, folder: Path) -> None:
    """Write the result as JSON and as a figure; they belong to the command, which writes them anew every time."""
    from restore.images import atomic_write_bytes
    from restore.report.claims import draw_claim

    curves = [
        {"name": curve.name, "x": list(curve.x), "y": list(curve.y), "dashed": curve.dashed}
        for curve in result.outcome.curves
    ]
    data = {**_strict(result.row()), "curves": _strict(curves)}
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    atomic_write_bytes(folder / f"{result.claim.name}.json", text.encode(), existing="overwrite")
    try:
        picture = draw_claim(result)
    except UsageError as error:
        typer.echo(f"restore: warning: no figure: {error}", err=True)
        return
    if picture:
        atomic_write_bytes(folder / f"{result.claim.name}.png", picture, existing="overwrite")


def _strict(value: Any) -> Any:
    from restore.strict import strict

    return strict(value)
