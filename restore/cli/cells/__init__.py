"""`restore cells`: the recurrent cells, and what becomes of gradients and states in them."""

from __future__ import annotations

import typer

from restore.cli.cells.dynamics import dynamics
from restore.cli.cells.listing import list_cells
from restore.cli.cells.probe import probe
from restore.cli.paging import WithReport

__all__ = ["cells"]

cells = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="List the recurrent cells, probe their gradients, analyse their dynamics.",
)
cells.command("list")(list_cells)
cells.command(cls=WithReport)(probe)
cells.command(cls=WithReport)(dynamics)
