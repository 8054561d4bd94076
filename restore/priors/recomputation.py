"""Blocks of a large picture keep half of their maps for the way back and make the other half anew.

A block, convolution -> normalisation -> activation, keeps two: what comes out of its convolution, which the
normalisation needs on the way back, and what comes out of the activation, which the next convolution needs for the
gradient of its weights. The second follows from the first by two cheap passes; so on the way back it is made once more
and dropped again (Chen, Xu, Zhang and Guestrin, arXiv:1604.06174; no convolution is done twice, since PyTorch ends a
recomputation as soon as it has what the way back needs). The numbers are the same, bit for bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["LARGE", "hand_on", "is_large"]

LARGE = 2**19
"""Pixels of a picture from which on maps are made anew; a smaller one has memory enough and would rather have time."""


def is_large(code: Tensor) -> bool:
    """Whether a network that is shown `code`, (N, C, H, W), does well to make maps anew: on a CPU, on the way back."""
    fits_on_the_way = torch.is_grad_enabled() and code.device.type == "cpu" and not torch.compiler.is_compiling()
    return fits_on_the_way and code.shape[-2] * code.shape[-1] >= LARGE


def hand_on(block: nn.Sequential, following: nn.Module, raw: Tensor, *, anew: bool) -> tuple[Tensor, Tensor]:
    """Return what the `following` convolution makes of a block's features, and these, both (N, C, H, W).

    Args:
        block: convolution, normalisation, activation, of which the first is done already.
        following: the convolution that comes next.
        raw: what the block's convolution gave.
        anew: whether the features are dropped once they have been handed on, and made anew on the way back.
    """
    _, norm, activation = block
    if not anew or isinstance(norm, nn.Identity):  # without normalisation the activation works in place on `raw`
        features = activation(norm(raw))
        return following(features), features
    seen = False

    def finish(raw: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal seen
        # Hooks that watch the layers have seen the features the first time.
        features = activation.forward(norm.forward(raw)) if seen else activation(norm(raw))
        seen = True
        return following(features), features

    result: tuple[Tensor, Tensor] = checkpoint(finish, raw, use_reentrant=False, preserve_rng_state=False)
    return result
