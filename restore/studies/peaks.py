"""What this machine reaches at best: a large convolution, a large matrix product, a large sum of two tensors."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

__all__ = ["PeakSizes", "PeakTimer", "Rates", "seconds_of", "synchronise"]

KERNEL = 3


@dataclass(frozen=True)
class PeakSizes:
    """How large the three are; the tensors of the sum must be larger than any cache.

    Attributes:
        channels, pixels: of the convolution, `channels` to `channels` over `pixels` x `pixels`.
        rows: of the square matrices.
        numbers: in each tensor of the sum, float32.
    """

    channels: int = 128
    pixels: int = 128
    rows: int = 2048
    numbers: int = 2**25


@dataclass(frozen=True)
class Rates:
    """What was reached in one round.

    Attributes:
        convolution, product: FLOP/s by precision; a multiplication and an addition are two.
        bandwidth: bytes a second, read and written.
    """

    convolution: dict[str, float]
    product: dict[str, float]
    bandwidth: float

    def peak(self, precision: str) -> float:
        """Return the FLOP/s of the faster of the two."""
        return max(self.convolution[precision], self.product[precision])


class PeakTimer:
    """Times the three in turn, whenever it is called.

    The convolution is 3x3 and channels-last, forward alone. The sum is a = b + 2 c in float32: two tensors read, one
    written; what a cache reads before it writes is not counted (STREAM's triad, https://www.cs.virginia.edu/stream).

    Args:
        precisions: `float32`, `bfloat16`.
        device: of the tensors.
        sizes: how large.
    """

    def __init__(self, precisions: tuple[str, ...], device: torch.device, sizes: PeakSizes | None = None) -> None:
        sizes = sizes or PeakSizes()
        self._device = device
        self._convolution_flops = 2 * sizes.channels**2 * KERNEL**2 * sizes.pixels**2
        self._product_flops = 2 * sizes.rows**3
        self._sum_bytes = 3 * 4 * sizes.numbers
        self._convolutions = {name: _convolution(getattr(torch, name), device, sizes) for name in precisions}
        self._products = {name: _product(getattr(torch, name), device, sizes) for name in precisions}
        self._sum = _sum(device, sizes)

    @torch.no_grad()
    def __call__(self) -> Rates:
        """Return what each reaches now."""
        return Rates(
            convolution={
                name: self._convolution_flops / seconds_of(work, self._device)
                for name, work in self._convolutions.items()
            },
            product={
                name: self._product_flops / seconds_of(work, self._device) for name, work in self._products.items()
            },
            bandwidth=self._sum_bytes / seconds_of(self._sum, self._device),
        )


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that `work` takes on the `device`, to its very end."""
    synchronise(device)
    began = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - began


def synchronise(device: torch.device) -> None:
    """Wait for all that the `device` has been given to do."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _convolution(dtype: torch.dtype, device: torch.device, sizes: PeakSizes) -> Callable[[], object]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, sizes.channels, sizes.pixels, sizes.pixels, generator=generator)
    weight = torch.randn(sizes.channels, sizes.channels, KERNEL, KERNEL, generator=generator)
    features, weight = (
        each.to(device=device, dtype=dtype, memory_format=torch.channels_last) for each in (features, weight)
    )
    return lambda: F.conv2d(features, weight, padding=KERNEL // 2)


def _product(dtype: torch.dtype, device: torch.device, sizes: PeakSizes) -> Callable[[], object]:
    generator = torch.Generator().manual_seed(0)
    left, right = (
        torch.randn(sizes.rows, sizes.rows, generator=generator).to(device=device, dtype=dtype) for _ in range(2)
    )
    return lambda: left @ right


def _sum(device: torch.device, sizes: PeakSizes) -> Callable[[], object]:
    first, second, total = (torch.ones(sizes.numbers, device=device) for _ in range(3))
    return lambda: torch.add(first, second, alpha=2, out=total)
