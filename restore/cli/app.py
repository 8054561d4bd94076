"""The command `restore` and what all of its commands share: how they end."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from restore.cli.ablate import ablate
from restore.cli.bench import bench
from restore.cli.cells import cells
from restore.cli.degrade import degrade
from restore.cli.denoise import denoise
from restore.cli.doctor import doctor
from restore.cli.inpaint import inpaint
from restore.cli.paging import WithReport
from restore.cli.report import report
from restore.cli.reproduce import reproduce
from restore.errors import RestoreError

__all__ = ["app", "main"]

app = typer.Typer(
    name="restore",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Repair one damaged image from that image alone: no training set, no pretrained weights.",
)
app.command(cls=WithReport)(denoise)
app.command(cls=WithReport)(inpaint)
app.command()(degrade)
app.command(cls=WithReport)(ablate)
app.command()(doctor)
app.command(cls=WithReport)(reproduce)
app.command()(report)
app.add_typer(cells, name="cells")
app.add_typer(bench, name="bench")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"restore {version('restore')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Repair one damaged image from that image alone: no training set, no pretrained weights."""


def main() -> None:
    """Run the command line and exit: 0 all well, 1 a picture failed, 2 usage or input, 130 interrupted."""
    try:
        status = app(standalone_mode=True)
    except RestoreError as error:
        typer.echo(f"restore: {error}", err=True)
        status = error.exit_status
    sys.exit(status)
