"""What every prior is: a module from a code to an image, which knows the sizes that it can make."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Prior"]


class Prior(nn.Module):
    """An untrained network whose structure is the prior: (N, in_channels, h, w) to (N, out_channels, H, W).

    Attributes:
        in_channels: channels of the code, or of the picture that the network is shown.
        feature_channels: channels of the features before the head.
        multiple: H and W must be multiples of this.
        minimum: H and W must be at least this.
        sees_pictures: whether the input has the size of the output, so that a picture can stand in for the code.
    """

    in_channels: int
    feature_channels: int
    multiple: int
    minimum: int
    sees_pictures: bool

    def forward(self, code: Tensor) -> Tensor:
        """Return the image (N, out_channels, H, W)."""
        return self.finish(self.features(code))

    def features(self, code: Tensor) -> Tensor:
        """Return the features before the head, (N, feature_channels, H, W)."""
        raise NotImplementedError

    def finish(self, features: Tensor) -> Tensor:
        """Return the image that the head makes of the features."""
        raise NotImplementedError

    def code(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Draw the fixed code for an output of `size` (H, W): uniform in [0, 0.1], as published (arXiv:1711.10925).

        Returns float32 of shape (1, in_channels, h, w), on the generator's device.
        """
        height, width = self.code_size(size)
        shape = (1, self.in_channels, height, width)
        return 0.1 * torch.rand(shape, generator=generator, device=generator.device)

    def code_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (h, w) of the code for an output of `size` (H, W)."""
        return size
