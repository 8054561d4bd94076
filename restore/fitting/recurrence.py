"""What a plan says of the recurrence: which cell refines what, in how many steps; and what does not go together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from restore.cells import make_cell
from restore.errors import UsageError
from restore.settings import FitSettings

__all__ = ["choose_recurrence"]

STEPS = 8

SCALES = 6
"""Scales of the published deep decoder, its last layer included."""

RATES = {"sbornn": {"rate": 0.5}}
"""The published rate suits hundreds of steps; over a few the state would hardly move."""

WITHOUT: Mapping[str, Any] = {
    "cell": "none",
    "refine": "none",
    "refine_steps": 0,
    "refine_channels": 0,
    "cell_options": {},
}


def choose_recurrence(kind: str, prior: str, objective: str, settings: FitSettings) -> dict[str, Any]:
    """Return the plan's `cell`, `refine`, `refine_steps`, `refine_channels`, `cell_options`.

    Args:
        kind: of the problem, `denoise` or `inpaint`.
        prior: that the plan has chosen.
        objective: that the plan has chosen.
        settings: what the user said.

    Raises UsageError for parts that do not go together, and for a cell that cannot be built.
    """
    cell, design = settings.cell, settings.refine
    if cell == "none":
        _check_without(prior, settings)
        return dict(WITHOUT)
    if design is None:
        design = "generator" if prior == "recurrent" else "features"
    if design == "generator" and prior not in ("recurrent", "decoder"):
        raise UsageError(
            f"the design 'generator' is a prior of its own, not a refinement of {prior!r}: "
            "use --prior recurrent, or --prior decoder for a recurrence over its scales."
        )
    if prior == "recurrent" and design != "generator":
        raise UsageError(f"the prior 'recurrent' is a recurrence already: leave --refine {design} out.")
    if design == "estimate" and objective == "fit" and kind == "denoise":
        raise UsageError(
            "the design 'estimate' under objective 'fit' would learn x - (x - y) = y, the noisy picture itself, with "
            "one weight: use --objective blindspot, which hides what is scored from the cell, or --refine features."
        )
    options = {**RATES.get(cell, {}), **settings.cell_options}
    if settings.learning_rule == "rflo":
        if cell != "rflo" or design != "features":
            raise UsageError(
                f"the learning rule 'rflo' is for the cell of that name at work on features, not for {cell!r} with the "
                f"design {design!r}: use --cell rflo --refine features, or leave --learning-rule out."
            )
        options["learning_rule"] = "rflo"
    # Refuses sizes and options that the cell does not have; its own generator leaves the global one as it was.
    make_cell(cell, settings.refine_channels, generator=torch.Generator(), **options)
    return {
        "cell": cell,
        "refine": design,
        "refine_steps": settings.refine_steps or (SCALES if (prior, design) == ("decoder", "generator") else STEPS),
        "refine_channels": settings.refine_channels,
        "cell_options": options,
    }


def _check_without(prior: str, settings: FitSettings) -> None:
    if prior == "recurrent":
        raise UsageError("the prior 'recurrent' needs a cell: name one with --cell, for example scornn.")
    for name in ("refine", "refine_steps"):
        value = getattr(settings, name)
        if value is not None:
            option = name.replace("_", "-")
            raise UsageError(f"--{option} {value} needs a cell: name one with --cell, for example scornn.")
    if settings.learning_rule != "backpropagation":
        raise UsageError(f"--learning-rule {settings.learning_rule} needs --cell rflo.")
