"""A picture: pixels in [0, 1] for the networks, and all that is needed to give the original form back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from restore.errors import InputError
from restore.images.limits import check_size
from restore.images.metadata import Metadata

__all__ = ["Array", "Picture"]

Array = np.ndarray[Any, Any]

_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))

_CONVERSIONS = {
    "bilevel": "1-bit pixels were converted to 8-bit grey",
    "palette": "palette colours were converted to their values",
    "CMYK": "CMYK was converted to RGB",
}


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture; the values of the original are `offset + scale * pixels` for every dtype.

    pixels: float32, (C, H, W) with C = 1 (grey) or 3 (RGB), in [0, 1] as read
    dtype: what is written: uint8, uint16 or float32; bool is read as uint8 (0 and 255), every other integer type and
        every other width of float as float32
    mode: how the source held its pixels: grey or RGB; bilevel, palette or CMYK, which are written as grey or RGB
    alpha: (H, W) in `dtype`, never changed
    offset, scale: 0 and 255 or 65535 for integers; for floats 0 and 1 if all values lie in [0, 1], else the minimum and
        the range of the finite values
    invalid: bool, (H, W): where float data held NaN or infinity (there `pixels` holds the mean of the channel); None if
        nowhere. It can serve as an inpainting mask
    original: float32, (C, H, W): the values of float data outside [0, 1], which pixels that nobody changes get back bit
        for bit; None for other data, where `scale` is exact
    format: PNG, JPEG, TIFF, WEBP, BMP or GIF; None for arrays
    lossy: whether the source was compressed with loss
    path, page: the file and the page in it, from 0
    notes: sentences about what was converted on reading, for the caller to show
    """

    pixels: Array = field(repr=False)
    dtype: np.dtype[Any]
    mode: str
    alpha: Array | None = field(default=None, repr=False)
    offset: float = 0.0
    scale: float = 1.0
    invalid: Array | None = field(default=None, repr=False)
    original: Array | None = field(default=None, repr=False)
    metadata: Metadata = field(default_factory=Metadata)
    format: str | None = None
    lossy: bool = False
    path: Path | None = None
    page: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.channels not in (1, 3) or self.pixels.dtype != np.float32:
            raise InputError(
                f"pixels must be float32 of shape (1 or 3, H, W), not {self.pixels.dtype} of shape {self.pixels.shape}."
            )
        check_size(self.name, self.width, self.height)
        if self.dtype not in _DTYPES:
            raise InputError(f"the dtype of a picture is uint8, uint16 or float32, not {self.dtype}.")
        if self.alpha is not None and (self.alpha.shape != self.size or self.alpha.dtype != self.dtype):
            raise InputError(
                f"alpha must be {self.dtype} of shape {self.size}, not {self.alpha.dtype} of shape {self.alpha.shape}."
            )

    @classmethod
    def from_array(cls, array: ArrayLike, *, name: str = "array") -> Picture:
        """Return the picture that an array shows.

        array: (H, W), (H, W, 1), (H, W, 2) with alpha, (H, W, 3) or (H, W, 4) with alpha; bool, integers or floats

        Raises:
            InputError: another shape or dtype, no pixels, too many, or no finite pixel.

        >>> picture = Picture.from_array(np.array([[0, 51], [102, 255]], dtype=np.uint8))
        >>> picture.pixels.tolist()
        [[[0.0, 0.20000000298023224], [0.4000000059604645, 1.0]]]
        >>> picture.to_array().tolist()
        [[0, 51], [102, 255]]
        """
        samples = np.asarray(array)
        if samples.ndim == 2:
            samples = samples[..., np.newaxis]
        if samples.ndim != 3 or samples.shape[2] not in (1, 2, 3, 4):
            raise InputError(
                f"{name!r} has shape {np.shape(array)}: a picture is (H, W) or (H, W, C) with C = 1 to 4; "
                "move the channels of a (C, H, W) array last."
            )
        if samples.dtype.kind not in "buif":
            raise InputError(f"{name!r} holds {samples.dtype} values: a picture holds integers, floats or bools.")
        check_size(name, samples.shape[1], samples.shape[0])

        samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
        notes: tuple[str, ...] = ()
        if samples.dtype == np.bool_:
            samples = samples.astype(np.uint8) * np.uint8(255)
        elif samples.dtype not in (np.uint8, np.uint16, np.float32):
            notes = (f"{samples.dtype.name} values are kept as float32",)
            with np.errstate(over="ignore"):  # what does not fit becomes infinite, hence invalid
                samples = samples.astype(np.float32)

        alpha = samples[..., -1].copy() if samples.shape[2] in (2, 4) else None
        values = np.moveaxis(samples[..., : 1 if samples.shape[2] < 3 else 3], 2, 0).copy()
        invalid = None
        if values.dtype == np.float32:
            values, invalid = _fill_invalid(values, name)
            offset, scale = _affine_range(values)
        else:
            offset, scale = 0.0, float(np.iinfo(values.dtype).max)
        if invalid is not None:
            notes += (f"{np.count_nonzero(invalid)} of {invalid.size} pixels are not finite",)
        exact = values.dtype != np.float32 or (offset, scale) == (0.0, 1.0)
        return cls(
            pixels=_normalise(values, offset, scale),
            dtype=values.dtype,
            mode="grey" if len(values) == 1 else "RGB",
            alpha=alpha,
            offset=offset,
            scale=scale,
            invalid=invalid,
            original=None if exact else values,
            notes=notes,
        )

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB; alpha is not counted."""
        return int(self.pixels.shape[0])

    @property
    def height(self) -> int:
        """Number of rows."""
        return int(self.pixels.shape[1])

    @property
    def width(self) -> int:
        """Number of columns."""
        return int(self.pixels.shape[2])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def name(self) -> str:
        """The path, for messages; 'picture' where there is none."""
        return str(self.path) if self.path is not None else "picture"

    def with_pixels(self, pixels: ArrayLike) -> Picture:
        """Return the same picture with other pixels, (C, H, W) as before; values outside [0, 1] are allowed.

        Raises:
            InputError: another shape, or a pixel that is not finite.
        """
        replacement = np.asarray(pixels, dtype=np.float32)
        if replacement.shape != self.pixels.shape:
            raise InputError(f"the new pixels have shape {replacement.shape}, the picture has {self.pixels.shape}.")
        if not np.isfinite(replacement).all():
            raise InputError(f"the new pixels of {self.name!r} are not all finite.")
        return dataclasses.replace(self, pixels=replacement)

    def converted_from(self, mode: str) -> Picture:
        """Return the same picture with a note that its source was bilevel, palette or CMYK."""
        return dataclasses.replace(self, mode=mode, notes=(_CONVERSIONS[mode], *self.notes))

    def values(self) -> Array:
        """Return what is written: (C, H, W) in `dtype`; integers are rounded and clipped, floats are neither.

        v = offset + scale * pixels
        """
        values = self.offset + self.scale * self.pixels.astype(np.float64)
        if self.dtype != np.float32:
            return np.clip(np.rint(values), 0, np.iinfo(self.dtype).max).astype(self.dtype)
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
        if self.original is None:
            return values
        unchanged = self.pixels == _normalise(self.original, self.offset, self.scale)
        return np.where(unchanged, self.original, values)

    def quantised(self) -> Array:
        """Return the pixels as a lossless file gives them back: float32, (C, H, W), on the scale of `pixels`.

        >>> picture = Picture.from_array(np.zeros((1, 3), dtype=np.uint8))
        >>> (255 * picture.with_pixels([[[-0.1, 0.5011, 1.2]]]).quantised()).round(3).tolist()
        [[[0.0, 128.0, 255.0]]]
        """
        return _normalise(self.values(), self.offset, self.scale)

    def to_array(self) -> Array:
        """Return what is written as an array in `dtype`: (H, W) for grey, else (H, W, C) with alpha last."""
        planes = list(self.values())
        if self.alpha is not None:
            planes.append(self.alpha)
        return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)


def _normalise(values: Array, offset: float, scale: float) -> Array:
    if (offset, scale) == (0.0, 1.0):
        return values.astype(np.float32)
    return ((values.astype(np.float64) - offset) / scale).astype(np.float32)


def _fill_invalid(values: Array, name: str) -> tuple[Array, Array | None]:
    finite = np.isfinite(values)
    if finite.all():
        return values, None
    invalid = np.any(~finite, axis=0)
    if invalid.all():
        raise InputError(f"{name!r} holds no finite pixel: every one is NaN or infinite in some channel.")
    means = values.mean(axis=(1, 2), dtype=np.float64, keepdims=True, where=finite)
    return np.where(finite, values, means).astype(np.float32), np.asarray(invalid)


def _affine_range(values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if low >= 0.0 and high <= 1.0:
        return 0.0, 1.0
    return low, high - low if high > low else 1.0
