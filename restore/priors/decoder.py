"""The deep decoder: pixelwise linear combinations, fixed upsampling, ReLU, channel normalisation; nothing else.

Heckel, Hand, Deep Decoder: Concise Image Representations from Untrained Non-convolutional Networks, ICLR 2019,
arXiv:1810.03982. With widths k and L upsampled layers, B_0 the fixed code:

    B_{i+1} = cn(relu(U_i B_i C_i)),  i = 0 .. L,   U_L = identity;      x = sigmoid(B_{L+1} C_{L+1})

The convolutions C are 1x1 and have no bias: 6 k^2 + 12 k + k C parameters at the published L = 5.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restore.errors import UsageError
from restore.priors.base import Prior
from restore.priors.normalisation import make_normalisation

__all__ = ["DeepDecoder"]


class DeepDecoder(Prior):
    """Deep decoder: a code (N, k, H / 2^L, W / 2^L) to an image (N, out_channels, H, W) in (0, 1).

    Args:
        out_channels: channels of the image.
        norm: normalisation after each ReLU.
        channels: the width k.
        layers: the number L of upsampled layers; H and W must be multiples of 2^L.
        upsample: `bilinear` (as published) or `nearest`.

    Source: arXiv:1810.03982.

    >>> sum(p.numel() for p in DeepDecoder(3, channels=128).parameters())
    100224
    """

    sees_pictures = False

    def __init__(
        self,
        out_channels: int,
        norm: str = "channel",
        channels: int = 128,
        layers: int = 5,
        upsample: str = "bilinear",
    ) -> None:
        super().__init__()
        if channels < 1 or layers < 1:
            raise UsageError(f"decoder needs at least 1 channel and 1 layer, not {channels} and {layers}.")
        if upsample not in ("bilinear", "nearest"):
            raise UsageError(f"decoder cannot upsample by {upsample!r}: use 'bilinear' or 'nearest'.")
        self.in_channels = channels
        self.feature_channels = channels
        self.multiple = 2**layers
        self.minimum = 2 * self.multiple  # from a code of one pixel nothing but a flat colour comes
        blocks: list[nn.Module] = []
        for level in range(layers + 1):
            blocks.append(nn.Conv2d(channels, channels, 1, bias=False))
            if level < layers:
                align = False if upsample == "bilinear" else None
                blocks.append(nn.Upsample(scale_factor=2, mode=upsample, align_corners=align))
            blocks += [nn.ReLU(inplace=True), make_normalisation(norm, channels)]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Conv2d(channels, out_channels, 1, bias=False)

    def finish(self, features: Tensor) -> Tensor:
        """Return the image that the head makes of the features."""
        return torch.sigmoid(self.head(features))

    def features(self, code: Tensor) -> Tensor:
        """Return the features before the head, (N, k, H, W)."""
        features: Tensor = self.blocks(code)
        return features

    def code_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (h, w) of the code for an output of `size` (H, W): 2^L times smaller."""
        return size[0] // self.multiple, size[1] // self.multiple
