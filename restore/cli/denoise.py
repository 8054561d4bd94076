"""`restore denoise`."""

from __future__ import annotations

from typing import Annotated

import typer

from restore.cli import options as opt

__all__ = ["denoise"]


@opt.with_shared
def denoise(
    images: opt.Inputs,
    sigma: Annotated[
        str, typer.Option("--sigma", help="Noise on the scale of 0 to 255; auto estimates it.", rich_help_panel=opt.FIT)
    ] = "auto",
    *,
    shared: opt.Shared,
) -> None:
    """Remove noise from a picture, or many. Neither its kind nor its strength need be known.

    Many: restore denoise scans/ -o clean/. The same command goes on where it was killed.
    """
    from restore.cli.job import Job, run

    run(Job(images=tuple(images), options=shared, settings=shared.settings(), sigma=opt.parse_sigma(sigma)))
