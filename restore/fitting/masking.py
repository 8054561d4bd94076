"""Which measured pixels a blind-spot step hides, and what the network is shown in their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from restore.fitting.fills import fill_from_neighbours
from restore.problems.holes import biharmonic_fill, shifted_copies

__all__ = ["Fill", "Masked", "Masking", "PreparedFills", "RandomPixels"]

LEAST_VISIBLE = 0.25
"""Share of the known pixels that must stay visible beside a copy of the hole."""

Fill = Callable[[Tensor, Tensor], Tensor]
"""Gives an image (1, C, H, W) with new values where `visible`, float (1, 1, H, W), is 0."""


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

    def usual(self) -> Masked:
        """Return a masking that hides the mean share of pixels."""
        ...

    def whole(self) -> Masked:
        """Return the measurement with all visible that may ever be: unknown and held-out pixels are filled."""
        ...


class RandomPixels:
    """Hides a fresh random fraction of the pixels in every call, all channels together, and fills them.

    Args:
        measurement: (1, C, H, W).
        known: bool (1, 1, H, W).
        held_out: bool (1, 1, H, W), pixels that are always hidden and never scored.
        hidden: the fraction, in (0, 1), or the ends of the range that it is drawn from in every call.
        generator: of the device of `measurement`.
        fill: gives the values of hidden and unknown pixels.
    """

    def __init__(
        self,
        measurement: Tensor,
        known: Tensor,
        held_out: Tensor,
        hidden: float | tuple[float, float],
        generator: torch.Generator,
        fill: Fill = fill_from_neighbours,
    ) -> None:
        self._measurement = measurement
        self._usable = (known & ~held_out).float()
        self._least, self._most = hidden if isinstance(hidden, tuple) else (hidden, hidden)
        self.generator = generator
        self._fill = fill
        self._whole: Masked | None = None

    def __call__(self) -> Masked:
        """Return the next masking."""
        if self._most == self._least:
            return self._hide(self._least)
        draw = torch.rand((), generator=self.generator, device=self._usable.device)
        return self._hide(self._least + (self._most - self._least) * draw)

    def usual(self) -> Masked:
        """Return a masking that hides the mean share of pixels."""
        return self._hide((self._least + self._most) / 2)

    def _hide(self, share: float | Tensor) -> Masked:
        draw = torch.rand(self._usable.shape, generator=self.generator, device=self._usable.device)
        scored = self._usable * (draw < share)
        visible = self._usable - scored
        visible = torch.where(visible.any(), visible, self._usable)  # a handful of known pixels, all of them drawn
        return Masked(self._fill(self._measurement, visible), visible, self._usable - visible)

    def whole(self) -> Masked:
        """Return the measurement with no pixel hidden but the held-out ones."""
        if self._whole is None:
            filled = self._fill(self._measurement, self._usable)
            self._whole = Masked(filled, self._usable, torch.zeros_like(self._usable))
        return self._whole


class PreparedFills:
    """Maskings of a picture with wide holes, filled by biharmonic interpolation beforehand and then drawn at random.

    A hidden pixel must look to the network like a pixel of the hole. So a random part of the known pixels is hidden,
    and shifted copies of the hole itself.

    Args:
        measurement: (1, C, H, W).
        known: bool (1, 1, H, W).
        held_out: bool (1, 1, H, W), pixels that are always hidden and never scored.
        hidden: fraction of the known pixels hidden at random.
        count: number of maskings.
        generator: of the CPU.
    """

    def __init__(
        self,
        measurement: Tensor,
        known: Tensor,
        held_out: Tensor,
        hidden: float,
        count: int,
        generator: torch.Generator,
    ) -> None:
        self._device = measurement.device
        self._picture = measurement[0].cpu().numpy()
        self._usable = usable = (known & ~held_out).cpu()
        self.generator = generator
        self._prepared: list[Masked] = []
        for _ in range(count):
            random = torch.rand(usable.shape, generator=generator) < hidden
            visible = usable & ~random
            if not bool(visible.any()):  # a handful of known pixels, all of them drawn
                visible = usable
            shifted = visible & ~shifted_copies(~known.cpu(), generator)
            # A copy of a large hole may leave next to nothing of a small known part.
            enough = int(shifted.sum()) > LEAST_VISIBLE * int(usable.sum())
            self._prepared.append(self._masked(shifted if enough else visible))
        self._whole = self._masked(usable)

    def __call__(self) -> Masked:
        """Return one of the prepared maskings, drawn at random."""
        index = int(torch.randint(len(self._prepared), (), generator=self.generator))
        return self._prepared[index]

    def usual(self) -> Masked:
        """Return one of the prepared maskings, all of which hide about as much."""
        return self()

    def whole(self) -> Masked:
        """Return the measurement with no pixel hidden but the held-out ones."""
        return self._whole

    def _masked(self, visible: Tensor) -> Masked:
        filled = torch.from_numpy(biharmonic_fill(self._picture, ~visible[0, 0].numpy()).astype(np.float32))[None]
        shown, seen, scored = filled, visible.float(), (self._usable & ~visible).float()
        return Masked(*(each.to(self._device) for each in (shown, seen, scored)))
