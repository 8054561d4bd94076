"""`restore cells list`: the recurrent cells there are."""

from __future__ import annotations

from typing import Annotated

import typer

from restore.cli.cells.catalogue import CATALOGUE
from restore.cli.cells.output import print_json, print_table

__all__ = ["list_cells"]

SMALLEST = 4
"""A size that every cell can have, to ask a cell for the width of its drive in units of its size."""


def list_cells(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON list; drive_width is in units of the size.")
    ] = False,
) -> None:
    """List the cells: name, state, width of the drive for a size n, system, what it is, and source."""
    from restore.cells import CELLS, make_cell

    made = {name: make_cell(name, SMALLEST) for name in CELLS}
    listed = [
        {
            "name": name,
            "system": CATALOGUE[name].system,
            "description": CATALOGUE[name].description,
            "source": CATALOGUE[name].source,
            "complex": cell.is_complex,
            "drive_width": cell.drive_size // SMALLEST,
        }
        for name, cell in made.items()
    ]
    if as_json:
        print_json(listed)
        return
    rows = [
        (
            str(cell["name"]),
            "complex" if cell["complex"] else "real",
            "n" if cell["drive_width"] == 1 else f"{cell['drive_width']}n",
            f"{cell['system']}: {cell['description']}",
            str(cell["source"]),
        )
        for cell in listed
    ]
    print_table(("name", "state", "drive", "system", "source"), rows)
