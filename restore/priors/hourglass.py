"""The default prior: a lean residual-free hourglass that puts most of its depth at full resolution.

It differs from the deep image prior's network where a fit on a CPU spends its time: features of the encoder are ADDED
on the way up, not concatenated; the 1x1 convolution of the way up runs before the interpolation, at a quarter of the
cost; convolutions have no bias, since the normalisation that follows adds one.

    encoder   block at full resolution, then per level: block of stride 2, block
    decoder   per level: conv 1x1 -> bilinear x2 -> + encoder's features -> block
    tail      blocks at full resolution, then a 1x1 convolution
    block     conv 3x3 -> norm -> LeakyReLU(0.1)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from restore.errors import UsageError
from restore.priors.base import Prior
from restore.priors.convolution import Conv2d
from restore.priors.normalisation import make_normalisation

__all__ = ["Hourglass", "HourglassOptions"]


@dataclass(frozen=True)
class HourglassOptions:
    """Widths of the levels, full resolution first, the number of blocks of the tail, and the interpolation."""

    channels: tuple[int, ...] = (32, 48, 64, 96, 96)
    tail: int = 3
    upsample: str = "bilinear"

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1 or self.tail < 0:
            raise UsageError(f"hourglass cannot have channels {self.channels} and a tail of {self.tail} blocks.")
        if self.upsample not in ("bilinear", "nearest"):
            raise UsageError(f"hourglass cannot upsample by {self.upsample!r}: use 'bilinear' or 'nearest'.")


class Hourglass(Prior):
    """Hourglass with additive skips: (N, in_channels, H, W) to (N, out_channels, H, W), without an output squashing.

    H and W must be multiples of 2 to the number of levels below full resolution.

    >>> import torch
    >>> Hourglass(3, 3)(torch.rand(1, 3, 64, 96)).shape
    torch.Size([1, 3, 64, 96])
    """

    sees_pictures = True

    def __init__(
        self, in_channels: int, out_channels: int, norm: str = "channel", options: HourglassOptions | None = None
    ) -> None:
        super().__init__()
        options = options or HourglassOptions()
        widths = options.channels
        self.in_channels = in_channels
        self.feature_channels = widths[0]
        self.multiple = 2 ** (len(widths) - 1)
        self.minimum = 2 * self.multiple  # at 1x1 a normalised channel would be its offset alone
        self.interpolation = options.upsample
        self.stem = _block(in_channels, widths[0], norm)
        self.down = nn.ModuleList(
            nn.Sequential(_block(wide, narrow, norm, stride=2), _block(narrow, narrow, norm))
            for wide, narrow in pairwise(widths)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(narrow, wide, 1, bias=False) for wide, narrow in pairwise(widths))
        self.up = nn.ModuleList(_block(width, width, norm) for width in widths[:-1])
        self.tail = nn.Sequential(*(_block(widths[0], widths[0], norm) for _ in range(options.tail)))
        self.head = nn.Conv2d(widths[0], out_channels, 1)

    def finish(self, features: Tensor) -> Tensor:
        """Return the image that the head makes of the features."""
        image: Tensor = self.head(features)
        return image

    def features(self, code: Tensor) -> Tensor:
        """Return the features before the head, (N, channels[0], H, W)."""
        encoded = [self.stem(code)]
        for down in self.down:
            encoded.append(down(encoded[-1]))
        deep = encoded.pop()
        for lateral, up in zip(reversed(self.lateral), reversed(self.up), strict=True):
            shallow = encoded.pop()
            align = False if self.interpolation == "bilinear" else None
            deep = F.interpolate(lateral(deep), scale_factor=2, mode=self.interpolation, align_corners=align)
            deep = up(deep + shallow)
        features: Tensor = self.tail(deep)
        return features


def _block(in_channels: int, out_channels: int, norm: str, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        Conv2d(in_channels, out_channels, 3, stride, 1, bias=False),
        make_normalisation(norm, out_channels),
        nn.LeakyReLU(0.1, inplace=True),
    )
