"""The deep image prior's skip hourglass, exactly as published.

Ulyanov, Vedaldi, Lempitsky, Deep Image Prior, CVPR 2018, arXiv:1711.10925. One scale, in the authors' order:

    down   conv k, stride 2 -> norm -> act -> conv k -> norm -> act
    skip   conv 1x1 -> norm -> act                              (left out where its width is 0)
    up     [skip | upsample x2 of the deeper scale] -> norm -> conv k -> norm -> act (-> conv 1x1 -> norm -> act)

then a 1x1 convolution and a sigmoid. Convolutions have biases and reflect at the border; act is LeakyReLU(0.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from restore.errors import UsageError
from restore.priors.base import Prior
from restore.priors.convolution import Conv2d
from restore.priors.normalisation import make_normalisation

__all__ = ["DIP", "DIPOptions"]


@dataclass(frozen=True)
class DIPOptions:
    """The published network's dials; the defaults are its denoising network (2,217,831 parameters at 32 -> 3).

    Attributes:
        down: channels of each scale on the way down.
        up: channels of each scale on the way up, outermost first.
        skip: channels of each scale's skip connection; 0 leaves it out.
        kernel_down, kernel_up: odd kernel sizes.
        upsample: `bilinear` or `nearest`, for all scales or one a scale.
        pointwise_up: whether a 1x1 convolution ends each scale on the way up.
        pool: downsample by `stride` or by `average` pooling.
    """

    down: tuple[int, ...] = (128,) * 5
    up: tuple[int, ...] = (128,) * 5
    skip: tuple[int, ...] = (4,) * 5
    kernel_down: int = 3
    kernel_up: int = 3
    upsample: str | tuple[str, ...] = "bilinear"
    pointwise_up: bool = True
    pool: str = "stride"

    def __post_init__(self) -> None:
        if not (len(self.down) == len(self.up) == len(self.skip) >= 1):
            raise UsageError(
                f"dip needs as many `down` as `up` and `skip` widths, not {len(self.down)}, {len(self.up)} and "
                f"{len(self.skip)}: give one width a scale in each."
            )
        modes = self.upsample_modes
        if len(modes) != len(self.down) or not set(modes) <= {"bilinear", "nearest"}:
            raise UsageError(f"dip cannot upsample by {self.upsample!r}: use 'bilinear' or 'nearest'.")
        if self.pool not in ("stride", "average"):
            raise UsageError(f"dip cannot downsample by {self.pool!r}: use 'stride' or 'average'.")

    @property
    def upsample_modes(self) -> tuple[str, ...]:
        """The upsampling of each scale, outermost first."""
        return (self.upsample,) * len(self.down) if isinstance(self.upsample, str) else self.upsample


class DIP(Prior):
    """Skip hourglass of the deep image prior: (N, in_channels, H, W) to (N, out_channels, H, W) in (0, 1).

    H and W must be multiples of 2 to the number of scales. Source: arXiv:1711.10925.

    >>> sum(p.numel() for p in DIP(32, 3).parameters())
    2217831
    """

    sees_pictures = True

    def __init__(
        self, in_channels: int, out_channels: int, norm: str = "channel", options: DIPOptions | None = None
    ) -> None:
        super().__init__()
        options = options or DIPOptions()
        self.in_channels = in_channels
        self.feature_channels = options.up[0]
        self.multiple = 2 ** len(options.down)
        # The deepest map must be wider than the padding that reflects it.
        self.minimum = self.multiple * (max(options.kernel_down, options.kernel_up) // 2 + 1)
        self.scales = _Scale(in_channels, 0, norm, options)
        self.head = nn.Conv2d(options.up[0], out_channels, 1)

    def finish(self, features: Tensor) -> Tensor:
        """Return the image that the head makes of the features."""
        return torch.sigmoid(self.head(features))

    def features(self, code: Tensor) -> Tensor:
        """Return the features before the head, (N, up[0], H, W)."""
        features: Tensor = self.scales(code)
        return features


class _Scale(nn.Module):
    """One scale and, inside it, all deeper ones."""

    def __init__(self, in_channels: int, level: int, norm: str, options: DIPOptions) -> None:
        super().__init__()
        down, up, skip = options.down[level], options.up[level], options.skip[level]
        innermost = level + 1 == len(options.down)
        kernel = options.kernel_down

        self.skip = _unit(in_channels, skip, 1, norm) if skip else None
        self.down = nn.Sequential(
            *_unit(in_channels, down, kernel, norm, pool=options.pool), *_unit(down, down, kernel, norm)
        )
        self.deeper = nn.Identity() if innermost else _Scale(down, level + 1, norm, options)
        deep = down if innermost else options.up[level + 1]
        mode = options.upsample_modes[level]
        self.upsample = nn.Upsample(scale_factor=2, mode=mode, align_corners=False if mode == "bilinear" else None)
        self.norm = make_normalisation(norm, skip + deep)
        self.up = nn.Sequential(*_unit(skip + deep, up, options.kernel_up, norm))
        if options.pointwise_up:
            self.up.extend(_unit(up, up, 1, norm))

    def forward(self, features: Tensor) -> Tensor:
        deep = self.upsample(self.deeper(self.down(features)))
        if self.skip is not None:
            deep = torch.cat([self.skip(features), deep], dim=1)
        up: Tensor = self.up(self.norm(deep))
        return up


def _unit(in_channels: int, out_channels: int, kernel: int, norm: str, pool: str | None = None) -> nn.Sequential:
    """Convolution, normalisation, LeakyReLU; with `pool`, at half the resolution."""
    stride = 2 if pool == "stride" else 1
    layers: list[nn.Module] = [Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, padding_mode="reflect")]
    if pool == "average":
        layers.append(nn.AvgPool2d(2))
    layers += [make_normalisation(norm, out_channels), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers)
