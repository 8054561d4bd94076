"""`restore inpaint`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from restore.cli import options as opt
from restore.errors import UsageError

__all__ = ["inpaint"]


def inpaint(
    image: opt.Input,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", help="White (nonzero) is the hole. Only NaN pixels of float data need none."),
    ] = None,
    mask_invert: Annotated[bool, typer.Option("--mask-invert", help="Black is the hole.")] = False,
    output: opt.Output = None,
    sigma: Annotated[
        float, typer.Option("--sigma", help="Noise of the known pixels, 0 to 255.", rich_help_panel=opt.FIT)
    ] = 0.0,
    preset: opt.Preset = "balanced",
    stop: opt.Stop = "auto",
    iterations: opt.Iterations = None,
    time_budget: opt.TimeBudget = None,
    seed: opt.Seed = 0,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    prior: opt.Prior = None,
    norm: opt.Norm = None,
    init: opt.Init = None,
    optimizer: opt.Optimizer = "adam",
    learning_rate: opt.LearningRate = None,
    objective: opt.Objective = "auto",
    reference: opt.Reference = None,
    existing: opt.ExistingOption = opt.Existing.error,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    verbose: opt.Verbose = False,
) -> None:
    """Fill the holes of a picture: missing pixels, text, scratches, lost regions. Known pixels come back exactly."""
    from restore.cli.job import Job, run
    from restore.settings import FitSettings

    if mask is None and mask_invert:
        raise UsageError("--mask-invert turns a mask around, but no --mask was given.")
    settings = FitSettings(
        prior=prior,
        norm=norm,
        init=init,
        optimizer=optimizer,
        learning_rate=learning_rate,
        objective=objective,
        preset=preset,
        stop=stop,
        iterations=iterations,
        time_budget=opt.parse_duration(time_budget),
        seed=seed,
        device=device,
        precision=precision,
    )
    run(
        Job(
            image=image,
            output=output,
            settings=settings,
            reference=reference,
            existing=existing.value,
            as_json=as_json,
            quiet=quiet,
            verbose=verbose,
            sigma=sigma,
            inpaints=True,
            mask=mask,
            mask_invert=mask_invert,
        )
    )
