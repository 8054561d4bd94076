"""Normalisations of feature maps, by name.

Every one takes its statistics from the tensor at hand and stores none: a network that is fitted to one picture has no
training set whose running mean could stand in, and an `.eval()` that switched to stored statistics would make another
function of it.

Channel normalisation (Dai & Heckel 2019, arXiv:1907.09539), per image and channel `i` over pixels `j`:

    cn(z)_ij = gamma_i (z_ij - mean_j z_ij) / sqrt(var_j z_ij + eps) + beta_i
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from restore.errors import unknown_name

__all__ = ["NORMALISATIONS", "BatchNorm", "Bias", "ChannelNorm", "make_normalisation"]

EPS = 1e-5
GROUPS = 4


class ChannelNorm(nn.Module):
    """Channel normalisation: every channel of every image centred and scaled by its own pixels.

    Maps (N, C, H, W) to the same shape. The variance is the biased one. With `affine`, gain and offset are learned.
    Equals `nn.InstanceNorm2d`, and for N = 1 `nn.BatchNorm2d` in training mode. Source: arXiv:1907.09539.
    """

    def __init__(self, channels: int, affine: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, features: Tensor) -> Tensor:
        """Return the normalised features, of the same shape."""
        if features.shape[0] == 1:
            # The same numbers as instance_norm, which would first copy a channels-last tensor to channels-first.
            return _batch_norm(features, self.weight, self.bias)
        # The batch kernel sees N * C channels: each image keeps its own statistics.
        return torch.instance_norm(features, self.weight, self.bias, None, None, True, 0.0, EPS, True)


class BatchNorm(nn.Module):
    """Batch normalisation over (N, H, W), always from the current batch. Source: arXiv:1502.03167.

    One image alone gives channel normalisation; in a stack the images share their statistics.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Return the normalised features, of the same shape."""
        return _batch_norm(features, self.weight, self.bias)


class Bias(nn.Module):
    """The unnormalised control: adds a learned offset a channel and does nothing else.

    Normalisation with statistics held fixed is an affine map that the neighbouring convolution can absorb, all but its
    offset; so this network can represent what the normalised one can, and only the optimisation differs
    (arXiv:1907.09539, mode "only+bias").
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Return the normalised features, of the same shape."""
        return features + self.bias.to(features.dtype).view(-1, 1, 1)


def _batch_norm(features: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    return torch.batch_norm(features, weight, bias, None, None, True, 0.0, EPS, True)


def _group(channels: int) -> nn.Module:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels, eps=EPS)


NORMALISATIONS: dict[str, Callable[[int], nn.Module]] = {
    "channel": ChannelNorm,
    "channel-affine-free": lambda channels: ChannelNorm(channels, affine=False),
    "bias": Bias,
    "none": lambda channels: nn.Identity(),
    "batch": BatchNorm,
    "group": _group,
    "layer": lambda channels: nn.GroupNorm(1, channels, eps=EPS),
}


def make_normalisation(name: str, channels: int) -> nn.Module:
    """Return the normalisation `name` for feature maps of `channels` channels.

    Raises UsageError for a name that is not in `NORMALISATIONS`.
    """
    if name not in NORMALISATIONS:
        raise unknown_name("normalisation", name, NORMALISATIONS)
    return NORMALISATIONS[name](channels)
