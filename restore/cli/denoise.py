"""`restore denoise`."""

from __future__ import annotations

from typing import Annotated

import typer

from restore.cli import options as opt

__all__ = ["denoise"]


def denoise(
    image: opt.Input,
    output: opt.Output = None,
    sigma: Annotated[
        str, typer.Option("--sigma", help="Noise on the scale of 0 to 255; auto estimates it.", rich_help_panel=opt.FIT)
    ] = "auto",
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
    """Remove noise from a picture. It must be independent from pixel to pixel; its strength need not be known."""
    from restore.cli.job import Job, run
    from restore.settings import FitSettings

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
            sigma=opt.parse_sigma(sigma),
        )
    )
