"""Forward operators: what the instrument does to a picture, and the adjoint of it.

The names are those of deepinv's physics objects, so that these can stand where an operator of ours can.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from restore.errors import InputError

__all__ = ["ForwardOperator", "Identity", "Mask"]


@runtime_checkable
class ForwardOperator(Protocol):
    """A linear map `A` from pictures (N, C, H, W) to measurements, with `<A x, y> = <x, A^T y>`."""

    def A(self, x: Tensor) -> Tensor:
        """Return the noise-free measurement of the picture `x`."""
        ...

    def A_adjoint(self, y: Tensor) -> Tensor:
        """Return the adjoint applied to the measurement `y`: a picture, (N, C, H, W)."""
        ...


class Identity:
    """The picture itself is measured: denoising."""

    def A(self, x: Tensor) -> Tensor:
        """Return `x`."""
        return x

    def A_adjoint(self, y: Tensor) -> Tensor:
        """Return `y`."""
        return y


class Mask:
    """Some pixels are measured, the others read zero: inpainting. Its own adjoint.

    Args:
        known: bool, (H, W) or broadcastable to (N, C, H, W); True where the pixel was measured.

    Raises InputError when no pixel is known.

    >>> import torch
    >>> Mask(torch.tensor([[True, False]])).A(torch.ones(1, 1, 1, 2))
    tensor([[[[1., 0.]]]])
    """

    def __init__(self, known: Tensor) -> None:
        if not bool(known.any()):
            raise InputError("the mask hides every pixel, so nothing is known: invert it or choose another mask.")
        self.known = known

    def A(self, x: Tensor) -> Tensor:
        """Return `x` with the unknown pixels set to zero."""
        return x * self.known.to(x.dtype)

    def A_adjoint(self, y: Tensor) -> Tensor:
        """Return `y` with the unknown pixels set to zero."""
        return self.A(y)
