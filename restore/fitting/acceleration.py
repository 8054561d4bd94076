"""How the networks of a fit are called: as they stand, compiled, or as CUDA graphs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from restore.errors import DeviceError, UsageError
from restore.fitting.precision import arithmetic

__all__ = ["Calls", "check_acceleration"]

COMPILERS = ("c++", "g++", "clang++", "cl")


class Calls:
    """Calls networks in the plan's arithmetic; what is built for that is built at the first call.

    `compile` is `torch.compile`. `graphs` records the forward and the backward pass of a network as CUDA graphs
    (`torch.cuda.make_graphed_callables`), whose launch costs nothing, which small pictures spend their time on; a graph
    remembers where the weights lie, so nothing may put others in their place.

    Args:
        networks: in the order in which they are called; always with inputs of the same shapes.
        how: `none`, `compile` or `graphs`.
        device: where they are.
    """

    def __init__(self, networks: Sequence[nn.Module], how: str, device: torch.device) -> None:
        self._networks, self._how, self._device = list(networks), how, device
        self._built: dict[tuple[int, str], Callable[..., Tensor]] = {}

    def __call__(self, number: int, inputs: Sequence[Tensor], precision: str) -> Tensor:
        """Return the output of the network of this number."""
        with arithmetic(precision, self._device):
            if (number, precision) not in self._built:
                self._built[number, precision] = self._build(self._networks[number], inputs)
            output = self._built[number, precision](*inputs)
            # A graph writes its output where the last one lies.
            return output.clone() if self._how == "graphs" else output

    def _build(self, network: nn.Module, inputs: Sequence[Tensor]) -> Callable[..., Tensor]:
        built: Any = network
        if self._how == "compile":
            built = torch.compile(network)
        elif self._how == "graphs":
            built = torch.cuda.make_graphed_callables(network, tuple(inputs))
        called: Callable[..., Tensor] = built
        return called


def check_acceleration(how: str, device: torch.device) -> None:
    """Raise DeviceError for CUDA graphs without CUDA, UsageError for compiling without a compiler."""
    if how == "graphs" and device.type != "cuda":
        raise DeviceError(
            f"accelerate 'graphs' are CUDA graphs, and the device is {device.type}: take compile or none."
        )
    if how == "compile" and device.type == "cpu" and not any(map(shutil.which, COMPILERS)):
        raise UsageError(
            f"accelerate 'compile' needs a C++ compiler, and none of {', '.join(COMPILERS)} is on the PATH: "
            "install one, or take none."
        )
