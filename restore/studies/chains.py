"""Deep convolutional chains in one dimension, many independent copies at once: normalisation studied alone."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Chains", "step_function"]

EPS = 1e-5

GAINS = {"default": 1 / math.sqrt(3), "preserving": 1.0}
"""Standard deviation of the weights times sqrt(fan_in): PyTorch's own rule, and the one that keeps the signal's power
through linear layers. Under ReLU `preserving` is He's, sqrt(2)."""


class Chains(nn.Module):
    """S copies of a chain of d circular convolutions with c channels each, then a linear map of every place.

        x_l = norm(act(w_l * x_{l-1})) + beta_l,    y = a . x_d + b

    The copies share nothing; each has statistics of its own. Without normalisation the network has the offsets beta as
    well, so that both can represent the same functions (arXiv:1907.09539).

    Args:
        copies: S. depth: d. channels: c. kernel: odd length of the filters.
        normalised: whether channels are normalised over the places.
        relu: whether there is a rectifier after each convolution.
        sigmoid: whether the output goes through a sigmoid.
        init: a name in `GAINS`; weights are Gaussian.
        generator: of the weights.
    """

    def __init__(
        self,
        copies: int,
        depth: int,
        *,
        channels: int = 1,
        kernel: int = 15,
        normalised: bool,
        relu: bool = False,
        sigmoid: bool = False,
        init: str = "preserving",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.copies, self.channels, self.kernel = copies, channels, kernel
        self.normalised, self.relu, self.sigmoid = normalised, relu, sigmoid
        gain = GAINS[init] * (math.sqrt(2) if relu and init == "preserving" else 1.0)
        std = gain / math.sqrt(channels * kernel)

        def drawn(*shape: int, scale: float) -> nn.Parameter:
            return nn.Parameter(scale * torch.randn(*shape, generator=generator))

        self.weights = nn.ParameterList(drawn(copies * channels, channels, kernel, scale=std) for _ in range(depth))
        self.offsets = nn.ParameterList(nn.Parameter(torch.zeros(copies * channels)) for _ in range(depth))
        self.mix = drawn(copies, channels, 1, scale=channels**-0.5)
        self.level = nn.Parameter(torch.zeros(copies, 1))

    def forward(self, code: Tensor) -> Tensor:
        """Return y (S, n) from a code (S * c, n)."""
        signal = code[None]
        for weight, offset in zip(self.weights, self.offsets, strict=True):
            reach = self.kernel // 2
            signal = F.conv1d(F.pad(signal, (reach, reach), mode="circular"), weight, groups=self.copies)
            signal = torch.relu(signal) if self.relu else signal
            if self.normalised:
                variance, mean = torch.var_mean(signal, dim=-1, keepdim=True, correction=0)
                signal = (signal - mean) / (variance + EPS).sqrt()
            signal = signal + offset[:, None]
        features = signal[0].view(self.copies, self.channels, -1)
        output = (self.mix * features).sum(1) + self.level
        return torch.sigmoid(output) if self.sigmoid else output

    def layer_gradients(self) -> Tensor:
        """Return |dL/dw_l|, (S, d), of the last backward pass."""
        norms = [_gradient(weight).view(self.copies, -1).norm(dim=1) for weight in self.weights]
        return torch.stack(norms, dim=1)


def _gradient(weight: nn.Parameter) -> Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight.grad


def step_function(length: int) -> Tensor:
    """Return 0 for the first half of n = `length` places and 1 for the second, (n,)."""
    return (torch.arange(length) >= length // 2).float()
