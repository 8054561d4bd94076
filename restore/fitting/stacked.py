"""N networks of one shape as one network, whose n-th image in a batch goes through the n-th set of weights.

Convolutions of 1x1 are batched matrix products; others are grouped, or one after the other where a group's channels do
not fill the blocks of the CPU's kernels. Every normalisation takes its statistics from one image.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restore.priors import Prior
from restore.priors.convolution import Conv2d, conv2d
from restore.priors.normalisation import BatchNorm, Bias, ChannelNorm

__all__ = ["can_be_stacked", "select_", "stacked"]

BLOCK = 16
"""Channels that the CPU's kernels take at a time; grouped convolutions of other widths copy everything."""


class StackedConv(nn.Module):
    """N convolutions: (N, in, H, W) to (N, out, H', W')."""

    def __init__(self, layers: Sequence[nn.Conv2d]) -> None:
        super().__init__()
        first = layers[0]
        self.weight = _stack(layer.weight for layer in layers)
        self.bias = None if first.bias is None else _stack(layer.bias for layer in layers)
        self.stride, self.kernel = first.stride, first.kernel_size
        self.padding = (int(first.padding[0]), int(first.padding[1]))
        self.reflects = first.padding_mode == "reflect"

    def forward(self, features: Tensor) -> Tensor:
        """Return the convolved features."""
        count, out, into = self.weight.shape[:3]
        padding = self.padding
        if self.reflects and any(padding):
            features = F.pad(features, (padding[1], padding[1], padding[0], padding[0]), mode="reflect")
            padding = (0, 0)
        if self.kernel == (1, 1) and self.stride == (1, 1):
            height, width = features.shape[2:]
            product = torch.bmm(self.weight.view(count, out, into), features.reshape(count, into, height * width))
            result = product.view(count, out, height, width)
        elif into % BLOCK == 0 and out % BLOCK == 0:
            flat = features.reshape(1, count * into, *features.shape[2:])
            grouped = F.conv2d(flat, self.weight.flatten(0, 1), None, self.stride, padding, groups=count)
            result = grouped.view(count, out, *grouped.shape[2:])
        else:
            single = (
                conv2d(image[None], weight, None, self.stride[0], padding[0])
                for image, weight in zip(features, self.weight, strict=True)
            )
            result = torch.cat(list(single))
        return result if self.bias is None else result + self.bias.to(result.dtype)[:, :, None, None]


class StackedNorm(nn.Module):
    """N channel normalisations, each with the statistics of its own image. Source: arXiv:1907.09539."""

    def __init__(self, layers: Sequence[ChannelNorm | BatchNorm]) -> None:
        super().__init__()
        self.eps = 1e-5
        affine = layers[0].weight is not None
        self.weight = _stack(layer.weight for layer in layers) if affine else None
        self.bias = _stack(layer.bias for layer in layers) if affine else None

    def forward(self, features: Tensor) -> Tensor:
        """Return the normalised features, of the same shape."""
        flat = features.reshape(1, -1, *features.shape[2:])
        weight = None if self.weight is None else self.weight.flatten()
        bias = None if self.bias is None else self.bias.flatten()
        return torch.batch_norm(flat, weight, bias, None, None, True, 0.0, self.eps, True).view(features.shape)


class StackedGroupNorm(nn.Module):
    """N group normalisations; GroupNorm's statistics are of one image as they are."""

    def __init__(self, layers: Sequence[nn.GroupNorm]) -> None:
        super().__init__()
        self.groups, self.eps = layers[0].num_groups, layers[0].eps
        self.weight = _stack(layer.weight for layer in layers)
        self.bias = _stack(layer.bias for layer in layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return the normalised features, of the same shape."""
        plain = F.group_norm(features, self.groups, None, None, self.eps)
        return plain * self.weight[:, :, None, None] + self.bias[:, :, None, None]


class StackedBias(nn.Module):
    """N learned offsets a channel."""

    def __init__(self, layers: Sequence[Bias]) -> None:
        super().__init__()
        self.bias = _stack(layer.bias for layer in layers)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features with their offsets added."""
        return features + self.bias.to(features.dtype)[:, :, None, None]


STACKED: dict[type[nn.Module], Callable[..., nn.Module]] = {
    nn.Conv2d: StackedConv,
    Conv2d: StackedConv,
    ChannelNorm: StackedNorm,
    BatchNorm: StackedNorm,
    Bias: StackedBias,
    nn.GroupNorm: StackedGroupNorm,
}


def can_be_stacked(prior: Prior) -> bool:
    """Return whether every module of the network that has weights of its own has a stacked form."""
    return all(
        type(module) in STACKED or not any(True for _ in module.parameters(recurse=False)) for module in prior.modules()
    )


def stacked(priors: Sequence[Prior]) -> Prior:
    """Return the networks, all of one shape, as one: (N, in, h, w) to (N, out, H, W). The weights are copied."""
    whole = copy.deepcopy(priors[0])
    for name, module in list(whole.named_modules()):
        if type(module) in STACKED:
            layers = [prior.get_submodule(name) for prior in priors]
            parent, _, own = name.rpartition(".")
            setattr(whole.get_submodule(parent), own, STACKED[type(module)](layers))
    return whole


@torch.no_grad()
def select_(network: nn.Module, optimizer: torch.optim.Optimizer, kept: Sequence[int]) -> None:
    """Keep these networks of a stack, and what the optimiser knows of them, in place."""
    smaller: dict[nn.Parameter, nn.Parameter] = {}  # new ones: autograd remembers the shape of a parameter
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            index = torch.tensor(kept, device=parameter.device)
            smaller[parameter] = nn.Parameter(parameter.index_select(0, index))
            setattr(module, name, smaller[parameter])
            known = optimizer.state.pop(parameter, {})
            optimizer.state[smaller[parameter]] = {
                name: value.index_select(0, index) if isinstance(value, Tensor) and value.dim() > 0 else value
                for name, value in known.items()
            }
    for group in optimizer.param_groups:
        group["params"] = [smaller.get(parameter, parameter) for parameter in group["params"]]


def _stack(parameters: Iterable[Tensor | None]) -> nn.Parameter:
    return nn.Parameter(
        torch.stack([parameter.detach().contiguous() for parameter in parameters if parameter is not None])
    )
