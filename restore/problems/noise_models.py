"""Noise as instruments and files make it, for test cases whose true picture is known.

All of them draw from numpy's `default_rng(seed)` and nothing else, so a picture, a kind, an amount and a seed name the
test case.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from restore.errors import UsageError, unknown_name
from restore.problems.degrade import Bytes, Pixels, add_gaussian_noise, to_bytes, to_unit
from restore.settings import NOISE_KINDS

__all__ = ["add_noise"]

Floats = NDArray[np.float64]

READ_NOISE = 0.2
"""Gaussian part of `poisson`, as a fraction of the deviation at white."""

BLUR = 0.8
"""Standard deviation in pixels of the Gaussian that `correlated` noise is blurred with."""

JPEG_QUALITY = 75
"""Quality at which `jpeg` compresses, Pillow's default; the chroma is subsampled, as Pillow does at that quality."""


def add_noise(image: Pixels, kind: str, amount: float, seed: int = 0) -> Bytes:
    """Return `image` with noise of one `kind`, clipped to [0, 1] and rounded to 8 bits.

    With s = amount / 255, x the picture in [0, 1] and n ~ N(0, 1) independent for every value:

        gaussian         x + s n
        poisson          Poisson(x / s^2) s^2 + s / 5 n: photons, of which white has 1 / s^2, and the noise of reading
                         them; the variance is s^2 (x + 1 / 25)
        speckle          x + s x n
        salt-and-pepper  `amount` per cent of the pixels become white or black, as likely, all channels together
        correlated       x + s g, g being n blurred by a Gaussian of 0.8 pixels and scaled back to unit variance
        demosaicked      x + s n seen through a Bayer mosaic (red, green; green, blue), interpolated bilinearly; what
                         is not RGB is seen on the fields of one colour of a chequerboard
        sensor           the same of photons, noise as of `poisson`: what a camera gives before its tone curve
        jpeg             x + s n, rounded and compressed as JPEG of quality 75

    Args:
        image: (H, W) or (H, W, C); unsigned integers of any width, or floats in [0, 1].
        kind: one of `restore.settings.NOISE_KINDS`.
        amount: on the scale of 0 to 255 the noise's standard deviation, for `poisson`, `speckle` and `sensor` that at
            white; for `salt-and-pepper` per cent of the pixels.
        seed: of numpy's `default_rng`.

    Raises UsageError for an unknown kind and an impossible amount, InputError for a dtype or values out of range.

    >>> add_noise(np.full((2, 2), 128, np.uint8), "salt-and-pepper", 0)
    array([[128, 128],
           [128, 128]], dtype=uint8)
    """
    if kind not in NOISE_KINDS:
        raise unknown_name("kind of noise", kind, NOISE_KINDS)
    if not (math.isfinite(amount) and amount >= 0):
        raise UsageError(f"the amount of noise must be 0 or more, not {amount}.")
    if kind == "gaussian":
        return add_gaussian_noise(image, amount, seed)
    if kind == "salt-and-pepper" and amount > 100:
        raise UsageError(f"salt and pepper cover at most 100 per cent of the pixels, not {amount:g}.")
    return to_bytes(_MODELS[kind](to_unit(image), amount, np.random.default_rng(seed)))


def _poisson(x: Floats, amount: float, rng: np.random.Generator) -> Floats:
    variance = (amount / 255) ** 2
    if variance == 0:
        return x
    photons = rng.poisson(x / variance) * variance
    read: Floats = photons + READ_NOISE * amount / 255 * rng.standard_normal(x.shape)
    return read


def _speckle(x: Floats, amount: float, rng: np.random.Generator) -> Floats:
    return x * (1 + amount / 255 * rng.standard_normal(x.shape))


def _salt_and_pepper(x: Floats, amount: float, rng: np.random.Generator) -> Floats:
    struck = rng.random(x.shape[:2]) < amount / 100
    white = rng.random(x.shape[:2]) < 0.5
    noisy = x.copy()
    noisy[struck & white], noisy[struck & ~white] = 1.0, 0.0
    return noisy


def _correlated(x: Floats, amount: float, rng: np.random.Generator) -> Floats:
    spread = (BLUR, BLUR, 0)[: x.ndim]
    impulse = np.zeros((17, 17))
    impulse[8, 8] = 1
    gain = math.sqrt(np.square(ndimage.gaussian_filter(impulse, BLUR)).sum())
    noise = ndimage.gaussian_filter(rng.standard_normal(x.shape), spread, mode="wrap")
    blurred: Floats = x + amount / 255 * noise / gain
    return blurred


def _demosaicked(x: Floats, amount: float, rng: np.random.Generator) -> Floats:
    return _through_mosaic(x + amount / 255 * rng.standard_normal(x.shape))


def _sensor(x: Floats, amount: float, rng: np.random.Generator) -> Floats:
    return _through_mosaic(_poisson(x, amount, rng))


def _through_mosaic(x: Floats) -> Floats:
    mosaic = x.clip(0, 1)
    rows, columns = np.indices(x.shape[:2])
    green = (rows + columns) % 2 == 1
    if x.ndim == 2 or x.shape[2] != 3:
        planes = np.atleast_3d(mosaic)
        interpolated = np.stack([_interpolated(plane, green) for plane in np.moveaxis(planes, 2, 0)], axis=2)
        return interpolated.reshape(x.shape)
    sites = (~green & (rows % 2 == 0), green, ~green & (rows % 2 == 1))
    return np.stack([_interpolated(mosaic[..., channel], site) for channel, site in enumerate(sites)], axis=2)


def _interpolated(plane: Floats, sites: NDArray[np.bool_]) -> Floats:
    """Return the `plane` (H, W), known at the `sites` of a mosaic, interpolated linearly in both directions."""
    kernel = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5])
    weight = ndimage.convolve(sites.astype(np.float64), kernel, mode="constant")
    total = ndimage.convolve(plane * sites, kernel, mode="constant")
    return np.where(sites, plane, total / np.maximum(weight, 1e-9))


def _jpeg(x: Floats, amount: float, rng: np.random.Generator) -> Floats:
    noisy = to_bytes(x + amount / 255 * rng.standard_normal(x.shape))
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, format="JPEG", quality=JPEG_QUALITY)
    decoded: NDArray[Any] = np.asarray(Image.open(buffer))
    return decoded / 255


_MODELS: dict[str, Callable[[Floats, float, np.random.Generator], Floats]] = {
    "poisson": _poisson,
    "speckle": _speckle,
    "salt-and-pepper": _salt_and_pepper,
    "correlated": _correlated,
    "demosaicked": _demosaicked,
    "sensor": _sensor,
    "jpeg": _jpeg,
}
