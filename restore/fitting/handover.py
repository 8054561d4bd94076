"""A network handed from one picture to another as the same function of what it is shown.

Channel normalisation takes its mean and deviation from the picture at hand, so the same weights are another function of
another picture: its brightness and contrast would have to be learned anew. With m, s the statistics of a channel on the
old picture and m', s' those on the new one,

    gamma (z - m) / s + beta  =  gamma (s' / s) (z - m') / s' + beta + gamma (m' - m) / s,

where s^2 = var + eps. So gains and offsets can take up the difference, layer by layer from the input on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from restore.priors.normalisation import EPS, BatchNorm, ChannelNorm

__all__ = ["channel_statistics", "hand_over_"]

FARTHEST = 3.0
"""Largest factor, and largest shift in deviations, that is taken up: a channel that was flat before says nothing."""

Pass = Callable[[], object]
"""Shows the network a picture."""


def channel_statistics(network: nn.Module, show: Pass) -> dict[str, Tensor]:
    """Return m and s, (2, C), of what enters every channel normalisation while `show` is called, by its name."""
    found: dict[str, Tensor] = {}

    def note(name: str, module: nn.Module, features: Tensor) -> None:
        found[name] = _of(features)

    with _watched(network, note), torch.no_grad():
        show()
    return found


def hand_over_(network: nn.Module, statistics: Mapping[str, Tensor], show: Pass) -> None:
    """Change gains and offsets so that the network does to what `show` shows what it did where `statistics` are from.

    Those of a normalisation without gains, or of groups of channels, stay.
    """

    def take_up(name: str, module: nn.Module, features: Tensor) -> None:
        if name not in statistics:
            return
        assert isinstance(module, ChannelNorm | BatchNorm) and module.weight is not None and module.bias is not None
        mean, deviation = _of(features)
        before, scale = statistics[name].to(mean.device)
        shift = ((mean - before) / scale).clamp(-FARTHEST, FARTHEST)
        module.bias.add_(module.weight * shift)
        module.weight.mul_((deviation / scale).clamp(1 / FARTHEST, FARTHEST))

    with _watched(network, take_up), torch.no_grad():
        show()


@contextmanager
def _watched(network: nn.Module, see: Callable[[str, nn.Module, Tensor], None]) -> Iterator[None]:
    """Call `see` with the name, the module and the input of every channel normalisation before it is applied."""

    def hook(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda module, inputs: see(name, module, inputs[0])

    handles = [
        module.register_forward_pre_hook(hook(name))
        for name, module in network.named_modules()
        if isinstance(module, ChannelNorm | BatchNorm) and module.weight is not None
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _of(features: Tensor) -> Tensor:
    variance, mean = torch.var_mean(features.float(), dim=(0, 2, 3), correction=0)
    return torch.stack([mean, (variance + EPS).sqrt()])
