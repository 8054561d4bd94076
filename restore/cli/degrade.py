"""`restore degrade`: make a test case whose true picture is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from restore.cli.options import Existing
from restore.errors import UsageError
from restore.settings import NOISE_KINDS

__all__ = ["degrade"]


def degrade(
    image: Annotated[Path, typer.Argument(metavar="IMG", help="The true picture.")],
    noise: Annotated[
        float | None, typer.Option("--noise", help="Add noise, on the scale of 0 to 255; of salt-and-pepper per cent.")
    ] = None,
    noise_kind: Annotated[
        str, typer.Option("--noise-kind", help=f"Of noise: {', '.join(NOISE_KINDS)}; see docs/real-noise.md.")
    ] = "gaussian",
    missing: Annotated[
        float | None, typer.Option("--missing", help="Black out this share of the pixels, 0 to 1, and write the mask.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Default: <stem>-noise25.png, <stem>-missing50.png."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of numpy's default_rng.")] = 0,
    existing: Annotated[Existing, typer.Option("--existing", help="If an output is there.")] = Existing.error,
) -> None:
    """Make a test case from a good picture: noise, clipped, or missing pixels and their mask (white is missing)."""
    import numpy as np

    from restore.images import Picture, check_output, read, write
    from restore.problems.degrade import apply_mask, random_mask
    from restore.problems.noise_models import add_noise

    if (noise is None) == (missing is None):
        raise UsageError("degrade takes either --noise SIGMA or --missing SHARE.")
    if noise is None and noise_kind != "gaussian":
        raise UsageError(f"--noise-kind {noise_kind} needs its amount: give --noise.")
    picture = read(image)
    array = np.moveaxis(picture.quantised(), 0, -1)
    array = array[..., 0] if picture.channels == 1 else array
    word = "noise" if noise_kind == "gaussian" else noise_kind
    amount = f"{word}{noise:g}" if noise is not None else f"missing{100 * (missing or 0):g}"
    target = output or image.with_name(f"{image.stem}-{amount}.png")
    if target.suffix.lower() != ".png":
        raise UsageError(f"degrade writes 8-bit PNG, not {target.suffix or 'nameless formats'}: name the output .png.")
    written = {target: array}
    if noise is not None:
        written[target] = add_noise(array, noise_kind, noise, seed)
    else:
        mask = random_mask(picture.size, missing or 0.0, seed)
        written[target] = apply_mask(array, mask)
        written[target.with_name(f"{target.stem}-mask.png")] = np.where(mask, 255, 0).astype(np.uint8)
    pictures = {path: Picture.from_array(values) for path, values in written.items()}
    for path, result in pictures.items():
        check_output([result], path, existing=existing.value, source=image)
    for path, result in pictures.items():
        write(result, path, existing=existing.value, source=image)
        typer.echo(f"wrote {path}", err=True)
