"""Which measured pixels a blind-spot step hides, and what the network is shown in their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from restore.problems.holes import biharmonic_fill, shifted_copies

LEAST_VISIBLE = 0.25

__all__ = ["Masked", "Masking", "PreparedFills", "RandomPixels", "fill_from_neighbours"]


@dataclass(frozen=True)
class Masked:
    """A measurement with part of it hidden.

    Attributes:
        shown: (1, C, H, W), the hidden and the unknown pixels filled from visible ones alone.
        visible: float (1, 1, H, W), 1 where `shown` is the measurement.
        scored: float (1, 1, H, W), 1 where the network's output is compared with the hidden measurement.
    """

    shown: Tensor
    visible: Tensor
    scored: Tensor


class Masking(Protocol):
    """Gives another masking of the same measurement at every call.

    Attributes:
        generator: what its draws come from.
    """

    generator: torch.Generator

    def __call__(self) -> Masked:
        """Return the next masking."""
        ...


class RandomPixels:
    """Hides a fresh random fraction of the pixels in every call, all channels together, and fills them from neighbours.

    Args:
        measurement: (1, C, H, W).
        known: bool (1, 1, H, W).
        held_out: bool (1, 1, H, W), pixels that are always hidden and never scored.
        hidden: the fraction, in (0, 1).
        generator: of the device of `measurement`.
    """

    def __init__(
        self, measurement: Tensor, known: Tensor, held_out: Tensor, hidden: float, generator: torch.Generator
    ) -> None:
        self._measurement = measurement
        self._usable = (known & ~held_out).float()
        self._hidden = hidden
        self.generator = generator

    def __call__(self) -> Masked:
        """Return the next masking."""
        draw = torch.rand(self._usable.shape, generator=self.generator, device=self._usable.device)
        scored = self._usable * (draw < self._hidden)
        visible = self._usable - scored
        return Masked(fill_from_neighbours(self._measurement, visible), visible, scored)


class PreparedFills:
    """Maskings of a picture with holes, filled by biharmonic interpolation beforehand and then drawn at random.

    A hidden pixel must look to the network like a pixel of the hole. So a random part of the known pixels is hidden,
    and where the hole is made of strokes also shifted copies of the hole itself.

    Args:
        measurement: (1, C, H, W).
        known: bool (1, 1, H, W).
        held_out: bool (1, 1, H, W), pixels that are always hidden and never scored.
        hidden: fraction of the known pixels hidden at random.
        strokes: whether to hide shifted copies of the hole too.
        count: number of maskings.
        generator: of the CPU.
    """

    def __init__(
        self,
        measurement: Tensor,
        known: Tensor,
        held_out: Tensor,
        hidden: float,
        strokes: bool,
        count: int,
        generator: torch.Generator,
    ) -> None:
        device = measurement.device
        picture = measurement[0].cpu().numpy()
        usable = (known & ~held_out).cpu()
        self.generator = generator
        self._prepared: list[Masked] = []
        for _ in range(count):
            random = torch.rand(usable.shape, generator=generator) < hidden
            visible = usable & ~random
            if not bool(visible.any()):  # a handful of known pixels, all of them drawn
                visible = usable
            if strokes:
                shifted = visible & ~shifted_copies(~known.cpu(), generator)
                # A copy of a large hole may leave next to nothing of a small known part.
                visible = shifted if int(shifted.sum()) > LEAST_VISIBLE * int(usable.sum()) else visible
            filled = torch.from_numpy(biharmonic_fill(picture, ~visible[0, 0].numpy()).astype(np.float32))[None]
            self._prepared.append(
                Masked(filled.to(device), visible.float().to(device), (usable & ~visible).float().to(device))
            )

    def __call__(self) -> Masked:
        """Return one of the prepared maskings, drawn at random."""
        index = int(torch.randint(len(self._prepared), (), generator=self.generator))
        return self._prepared[index]


def fill_from_neighbours(image: Tensor, visible: Tensor) -> Tensor:
    """Return `image` (1, C, H, W) with each invisible pixel replaced by the mean of its visible neighbours (of 8).

    `visible` is float (1, 1, H, W). Where no neighbour is visible, the mean of all visible pixels takes its place.
    """
    known = image * visible
    weight, total = _around(visible), _around(known)
    overall = known.sum((2, 3), keepdim=True) / visible.sum().clamp(min=1)
    mean = torch.where(weight > 0, total / weight.clamp(min=1), overall)
    return torch.where(visible > 0, image, mean)


def _around(values: Tensor) -> Tensor:
    """Return the sum over each pixel and its 8 neighbours, of the shape of `values`, (1, C, H, W)."""
    # Four shifted sums: a convolution of one channel takes several times as long.
    rows = values.clone()
    rows[..., 1:, :] += values[..., :-1, :]
    rows[..., :-1, :] += values[..., 1:, :]
    sums = rows.clone()
    sums[..., 1:] += rows[..., :-1]
    sums[..., :-1] += rows[..., 1:]
    return sums
