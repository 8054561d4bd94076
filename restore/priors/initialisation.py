"""Initial weights of a prior, by name, drawn from an explicit generator."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from restore.errors import unknown_name

__all__ = ["INITIALISATIONS", "initialise"]


def _default(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)


def _he(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)


def _orthogonal(weight: Tensor, generator: torch.Generator) -> None:
    nn.init.orthogonal_(weight, generator=generator)


def _gaussian(weight: Tensor, generator: torch.Generator) -> None:
    fan_in = weight[0].numel()
    nn.init.normal_(weight, std=fan_in**-0.5, generator=generator)


INITIALISATIONS: dict[str, Callable[[Tensor, torch.Generator], None]] = {
    "default": _default,  # PyTorch's own, which the published networks use: variance 1 / (3 fan_in)
    "he": _he,  # variance 2 / fan_in (arXiv:1502.01852): keeps the signal's power through ReLU layers
    "orthogonal": _orthogonal,  # rows or columns orthonormal (arXiv:1312.6120)
    "gaussian": _gaussian,  # variance 1 / fan_in: keeps the signal's power through linear layers
}


@torch.no_grad()
def initialise(network: nn.Module, name: str, generator: torch.Generator) -> None:
    """Draw the weights of every convolution of `network` anew from `generator`, by the rule `name`.

    Biases of convolutions follow PyTorch: U(-1/sqrt(fan_in), 1/sqrt(fan_in)) under `default`, zero under the others.
    Gains and offsets of normalisations are left at one and zero.

    Raises UsageError for a name that is not in `INITIALISATIONS`.
    """
    if name not in INITIALISATIONS:
        raise unknown_name("initialisation", name, INITIALISATIONS)
    for module in network.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        INITIALISATIONS[name](module.weight, generator)
        if module.bias is not None and name == "default":
            bound = module.weight[0].numel() ** -0.5
            nn.init.uniform_(module.bias, -bound, bound, generator=generator)
        elif module.bias is not None:
            nn.init.zeros_(module.bias)
