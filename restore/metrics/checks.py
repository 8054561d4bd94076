"""What every metric asks of its two images."""

from __future__ import annotations

import torch
from torch import Tensor

from restore.errors import InputError


def check_same_shape(estimate: Tensor, reference: Tensor) -> None:
    """Raise InputError unless both tensors have one shape (..., C, H, W)."""
    if estimate.shape != reference.shape:
        raise InputError(
            f"the estimate has shape {tuple(estimate.shape)} and the reference {tuple(reference.shape)}: "
            "compare images of the same size and channels."
        )
    if estimate.ndim < 3:
        raise InputError(f"an image to compare has the shape (..., C, H, W), not {tuple(estimate.shape)}.")


def as_double(image: Tensor) -> Tensor:
    """Return `image` in double precision, on the CPU if its device has none."""
    if image.device.type == "mps":
        image = image.cpu()
    return image.to(torch.float64)
