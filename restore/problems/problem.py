"""A problem: a measurement, the operator that made it, and the noise in it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from restore.errors import InputError
from restore.problems.covariance import NoiseCovariance
from restore.problems.noise_level import NoiseLevel
from restore.problems.operators import ForwardOperator, Identity, Mask

__all__ = ["Problem", "denoising", "inpainting"]


@dataclass(frozen=True)
class Problem:
    """What a fit is given. It holds no reference picture, so nothing in a fit can look at one.

    Attributes:
        kind: `denoise` or `inpaint`.
        measurement: float32 (1, C, H, W), values in [0, 1]; unknown pixels are zero.
        operator: the forward operator; maps pictures of `size` to the measurement.
        known: bool (1, 1, H, W), True where the measurement says something about the pixel.
        sigma: standard deviation of the Gaussian noise, on the scale of 0 to 255; 0 for none.
        covariance: of noise that is correlated between pixels; None for noise that is not, or is not known to be.
        level: of noise that is white and whose strength is known everywhere; None for other noise.
    """

    kind: str
    measurement: Tensor
    operator: ForwardOperator
    known: Tensor
    sigma: float
    covariance: NoiseCovariance | None = None
    level: NoiseLevel | None = None

    @property
    def channels(self) -> int:
        """Number C of channels."""
        return self.measurement.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width (H, W)."""
        return self.measurement.shape[2], self.measurement.shape[3]

    def part(self, measurement: Tensor, known: Tensor) -> Problem:
        """Return the problem of the same kind and noise that a part of the picture is, or a part with more known."""
        operator = Mask(known) if self.kind == "inpaint" else self.operator
        return dataclasses.replace(self, measurement=measurement, operator=operator, known=known)

    def composite(self, image: Tensor) -> Tensor:
        """Return `image` (1, C, H, W) with the known pixels of an inpainting problem pasted over it."""
        if self.kind != "inpaint":
            return image
        return torch.where(self.known, self.measurement, image)

    def unclipped(self, image: Tensor) -> Tensor:
        """Return the light (1, C, H, W), in [0, 1], whose noise as it was clipped has the mean `image`.

        A fit to measurements that were clipped to [0, 1] comes to their mean, in which white is grey. Where the noise
        is not known to be white, or was not clipped, this is the image as it is.
        """
        if self.level is None or not self.level.is_clipped:
            return image
        return torch.from_numpy(self.level.unclipped(image.cpu().numpy())).to(image.device)

    def to(self, device: torch.device | str) -> Problem:
        """Return the same problem with its tensors on `device`."""
        known = self.known.to(device)
        operator = Mask(known) if isinstance(self.operator, Mask) else self.operator
        return dataclasses.replace(self, measurement=self.measurement.to(device), operator=operator, known=known)


def denoising(
    measurement: Tensor,
    sigma: float,
    known: Tensor | None = None,
    covariance: NoiseCovariance | None = None,
    level: NoiseLevel | None = None,
) -> Problem:
    """Return the problem of removing Gaussian noise of `sigma` (0 to 255 scale) from a `measurement` (C, H, W).

    Args:
        measurement, sigma, covariance, level: as of the problem.
        known: bool (H, W), False at impulses, whose values are dropped here; None where every pixel says something.

    Raises InputError for values that are not finite.
    """
    if known is None:
        known = torch.ones(measurement.shape[-2:], dtype=torch.bool)
    else:
        measurement = torch.where(known, measurement, torch.zeros(()))
    return Problem("denoise", _checked(measurement), Identity(), known[None, None], sigma, covariance, level)


def inpainting(measurement: Tensor, hole: Tensor, sigma: float = 0.0) -> Problem:
    """Return the problem of filling the `hole` (H, W; True is unknown) of a `measurement` (C, H, W).

    What the measurement says inside the hole is dropped here, so that no part of a fit can see it.

    Raises InputError for values outside the hole that are not finite, and for a hole that covers everything.
    """
    known = ~hole.bool()
    operator = Mask(known[None, None])
    measurement = _checked(torch.where(known, measurement, torch.zeros(())))
    return Problem("inpaint", measurement, operator, known[None, None], sigma)


def _checked(measurement: Tensor) -> Tensor:
    if measurement.ndim != 3:
        raise InputError(f"a picture has the shape (C, H, W), not {tuple(measurement.shape)}.")
    if not bool(measurement.isfinite().all()):
        raise InputError("the picture holds NaN or infinite pixels: mask them and inpaint, or replace them.")
    return measurement.float()[None]
