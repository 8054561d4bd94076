"""Plain float64 building blocks of the published networks, written from their descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

Array = NDArray[np.float64]


class Blocks:
    """The layers of a network one after another, on (C, H, W), fed with its parameters in their order."""

    def __init__(self, parameters: Iterator[nn.Parameter]) -> None:
        self.parameters = (p.detach().double().numpy() for p in parameters)

    def conv(self, x: Array, stride: int = 1, pad: str = "reflect", bias: bool = True) -> Array:
        weight: Array = next(self.parameters)
        margin = weight.shape[-1] // 2
        padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)), mode=pad)  # type: ignore[call-overload]
        windows = np.lib.stride_tricks.sliding_window_view(padded, weight.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
        out: Array = np.einsum("chwij,ocij->ohw", windows, weight, optimize=True)
        return out + next(self.parameters)[:, None, None] if bias else out

    def norm(self, x: Array) -> Array:
        gain, offset = (next(self.parameters)[:, None, None] for _ in range(2))
        centred = x - x.mean((1, 2), keepdims=True)
        out: Array = gain * centred / np.sqrt((centred**2).mean((1, 2), keepdims=True) + 1e-5) + offset
        return out

    def finish(self) -> None:
        """Assert that the network has no parameter that was not used."""
        assert next(self.parameters, None) is None

    @staticmethod
    def leaky(x: Array, slope: float) -> Array:
        return np.where(x > 0, x, slope * x)

    @staticmethod
    def twice(x: Array, mode: str) -> Array:
        """Return `x` at twice the resolution; bilinear as if pixels were squares, the border repeated."""
        for axis in (1, 2):
            before = after = x
            if mode == "bilinear":
                last = x.shape[axis] - 1
                before = 0.75 * x + 0.25 * np.take(x, np.maximum(np.arange(last + 1) - 1, 0), axis)
                after = 0.75 * x + 0.25 * np.take(x, np.minimum(np.arange(last + 1) + 1, last), axis)
            x = np.stack([before, after], axis + 1).reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :])
        return x

    @staticmethod
    def sigmoid(x: Array) -> Array:
        out: Array = 1 / (1 + np.exp(-x))
        return out


@pytest.fixture
def blocks_of() -> Any:
    """Draw all of a network's parameters anew, gains and offsets too, and return its `Blocks`."""

    def make(network: nn.Module) -> Blocks:
        generator = torch.Generator().manual_seed(11)
        for parameter in network.parameters():
            fan = parameter[0].numel() if parameter.ndim > 1 else 4
            nn.init.normal_(parameter, 0.5 if parameter.ndim == 1 else 0.0, fan**-0.5, generator=generator)
        return Blocks(network.parameters())

    return make
