"""`restore inpaint`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from restore.cli import options as opt
from restore.errors import UsageError

__all__ = ["inpaint"]


@opt.with_shared
def inpaint(
    images: opt.Inputs,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask", help="White (nonzero) is the hole; of many, one or a folder. Only NaN pixels need none."
        ),
    ] = None,
    mask_invert: Annotated[bool, typer.Option("--mask-invert", help="Black is the hole.")] = False,
    sigma: Annotated[
        float, typer.Option("--sigma", help="Noise of the known pixels, 0 to 255.", rich_help_panel=opt.FIT)
    ] = 0.0,
    *,
    shared: opt.Shared,
) -> None:
    """Fill the holes of pictures: missing pixels, text, scratches, lost regions. Known pixels come back exactly.

    Many: restore inpaint scans/ --mask masks/ -o whole/. The same command goes on where it was killed.
    """
    from restore.cli.job import Job, run

    if mask is None and mask_invert:
        raise UsageError("--mask-invert turns a mask around, but no --mask was given.")
    run(
        Job(
            images=tuple(images),
            options=shared,
            settings=shared.settings(),
            sigma=sigma,
            inpaints=True,
            mask=mask,
            mask_invert=mask_invert,
        )
    )
