"""`restore report`: the page of a run that is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore.cli.options import Existing, ExistingOption
from restore.errors import InputError, UsageError

if TYPE_CHECKING:
    from restore.report.page import Pair

__all__ = ["report"]


def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A restored picture, its .json, or a folder of ablate or reproduce.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The page. Default: <RUN>.html, in a folder report.html.")
    ] = None,
    existing: ExistingOption = Existing.error,
) -> None:
    """Make one HTML file of a run: pictures to compare, curves, settings, and what happened in plain words.

    It needs nothing else to be looked at. Curves are there if the run was made with --curves.
    """
    from restore.images import atomic_write_bytes, check_target

    if run.is_dir():
        target = output or run / "report.html"
    else:
        picture = run.with_suffix("") if run.suffix == ".json" else run
        target = output or Path(f"{picture}.html")
    check_target(target, existing=existing.value, source=run if run.is_file() else None)
    page = _folder_page(run) if run.is_dir() else _run_page(picture)
    atomic_write_bytes(target, page.encode(), existing=existing.value)
    typer.echo(f"wrote {target}", err=True)


def _folder_page(folder: Path) -> str:
    from restore.report.page import ablation_page, claims_page

    return ablation_page(folder) if (folder / "results.csv").is_file() else claims_page(folder)


def _run_page(picture: Path) -> str:
    import numpy as np

    from restore.report.page import run_page
    from restore.restoration import curves_path, sidecar_path

    sidecar = sidecar_path(picture)
    if not sidecar.is_file():
        raise InputError(f"there is no {str(sidecar)!r}: name a picture that restore has written, or its .json.")
    try:
        told: dict[str, Any] = json.loads(sidecar.read_text(encoding="utf-8"))
        told["iteration_best"], told["command"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{str(sidecar)!r} is no report of a run: name what restore has written.") from error
    curves = {}
    if curves_path(picture).is_file():
        with np.load(curves_path(picture), allow_pickle=False) as kept:
            curves = {name: kept[name] for name in kept.files}
    return run_page(told, curves, _pairs(told, picture))


def _pairs(told: dict[str, Any], picture: Path) -> list[Pair]:
    """Return the pages before and after; none where the input is gone."""
    from restore.images import read_pages
    from restore.report.page import Pair

    if told["input"] is None:
        return []
    try:
        before, after = read_pages(told["input"]), read_pages(picture)
    except InputError as error:
        typer.echo(f"restore: warning: the page has no pictures: {error}", err=True)
        return []
    if len(before) != len(after) or any(a.pixels.shape != b.pixels.shape for a, b in zip(before, after, strict=True)):
        raise UsageError(f"{told['input']!r} is not the picture that {str(picture)!r} was made from: it has changed.")
    return [Pair(a.pixels, b.pixels) for a, b in zip(before, after, strict=True)]
