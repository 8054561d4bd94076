"""Options of recurrent refinement."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

from restore.settings import CHOICES

__all__ = ["Cell", "LearningRule", "Refine", "RefineChannels", "RefineSteps"]

RECURRENCE = "Recurrent refinement"


def _names(setting: str) -> str:
    return ", ".join(CHOICES[setting])


Cell: TypeAlias = Annotated[
    str,
    typer.Option("--cell", help="Recurrent cell that refines (restore cells list).", rich_help_panel=RECURRENCE),
]
Refine: TypeAlias = Annotated[
    str | None,
    typer.Option("--refine", help=f"What the cell refines: {_names('refine')}.", rich_help_panel=RECURRENCE),
]
RefineSteps: TypeAlias = Annotated[
    int | None, typer.Option("--refine-steps", help="Steps of the recurrence.", rich_help_panel=RECURRENCE)
]
RefineChannels: TypeAlias = Annotated[
    int, typer.Option("--refine-channels", help="Units of the cell.", rich_help_panel=RECURRENCE)
]
LearningRule: TypeAlias = Annotated[
    str,
    typer.Option("--learning-rule", help=f"Of the cell: {_names('learning_rule')}.", rich_help_panel=RECURRENCE),
]
