"""Options of `denoise` and `inpaint` that only many pictures have a use for."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

__all__ = ["Devices", "FailFast", "RetryFailed", "Scheduler", "Shard", "Stack", "Workers"]

MANY = "Many pictures"

Workers: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--workers", metavar="N|auto", help="Processes at a time; auto fills the machine.", rich_help_panel=MANY
    ),
]
Devices: TypeAlias = Annotated[
    str | None,
    typer.Option("--devices", metavar="all|0,1", help="One process on each of these GPUs.", rich_help_panel=MANY),
]
Stack: TypeAlias = Annotated[
    str | None,
    typer.Option("--stack", metavar="N|auto", help="Pictures of one size in one pass.", rich_help_panel=MANY),
]
Scheduler: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--scheduler", metavar="ADDRESS|FILE", help="A Dask cluster: tcp://host:8786 or a file.", rich_help_panel=MANY
    ),
]
Shard: TypeAlias = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N|slurm", help="Do part I of N; slurm: of the job array.", rich_help_panel=MANY),
]
FailFast: TypeAlias = Annotated[
    bool, typer.Option("--fail-fast", help="End with the first picture that fails.", rich_help_panel=MANY)
]
RetryFailed: TypeAlias = Annotated[
    bool, typer.Option("--retry-failed", help="Try those again that failed before.", rich_help_panel=MANY)
]
