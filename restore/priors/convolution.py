"""Convolutions whose weights learn from a matrix product where PyTorch's own kernel for that is slow.

On x86 CPUs without AVX-512, oneDNN computes the gradient of the weights from channels-last float32 maps at a sixth of
the rate of the two other passes. There the maps' neighbourhoods are laid out as rows, a strip that stays in the cache
at a time, and the gradient is a matrix product:

    dL/dW[o, i, u, v] = sum_{y, x} g[o, y, x] z[i, s y + u - p, s x + v - p]

for the input z, the output's gradient g, the stride s and the padding p of zeros (Chellapilla, Puri and Simard, High
Performance Convolutional Neural Networks for Document Processing, IWFHR 2006). The results agree to rounding.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Conv2d", "conv2d", "weight_gradient"]

FEWEST_CHANNELS = 16
"""Of the input; with fewer the product gains nothing."""

STRIP = 2**18
"""Values of a strip of rows: one MiB."""


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d`, (N, C, H, W) to (N, C', H', W'), of the same values, and gradients as `conv2d` has them."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = int(self.padding[0])
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return conv2d(input, weight, bias, self.stride[0], padding)


def conv2d(features: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """Return `torch.nn.functional.conv2d` of one stride and one padding, whose weights' gradient may be our own.

    Args:
        features: (N, C, H, W).
        weight: (C', C, K, K).
        bias: (C',) or None.
        stride, padding: of both directions; the padding is of zeros.
    """
    if _is_slow(features, weight):
        result: Tensor = _Convolution.apply(features, weight, bias, stride, padding)
        return result
    return F.conv2d(features, weight, bias, stride, padding)


def weight_gradient(gradient: Tensor, features: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Return dL/dW (C', C, K, K) of a convolution of one image.

    Args:
        gradient: dL/d(output), (1, C', H', W').
        features: the input, (1, C, H, W).
        kernel, stride, padding: of both directions.
    """
    channels = features.shape[1]
    out, height, width = gradient.shape[1:]
    padded = _padded(features, padding)
    rows = gradient[0].permute(1, 2, 0)
    down, right, _ = padded.stride()
    result = features.new_zeros(out, kernel * kernel * channels)
    lines = max(1, STRIP // (width * kernel * kernel * channels))
    for top in range(0, height, lines):
        count = min(lines, height - top)
        neighbours = padded.as_strided(
            (count, width, kernel, kernel, channels),
            (stride * down, stride * right, down, right, 1),
            top * stride * down,
        )
        part = rows[top : top + count].reshape(count * width, out)
        result.addmm_(part.t(), neighbours.reshape(count * width, -1))
    return result.view(out, kernel, kernel, channels).permute(0, 3, 1, 2)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(features, weight)
        ctx.stride, ctx.padding, ctx.has_bias = stride, padding, bias is not None
        return F.conv2d(features, weight, bias, stride, padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, weight = ctx.saved_tensors
        stride, padding = (ctx.stride,) * 2, (ctx.padding,) * 2
        to_features = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            to_features = torch.ops.aten.convolution_backward(
                gradient, features, weight, None, stride, padding, (1, 1), False, (0, 0), 1, (True, False, False)
            )[0]
        if ctx.needs_input_grad[1]:
            to_weight = weight_gradient(gradient, features, weight.shape[-1], ctx.stride, ctx.padding)
        if ctx.has_bias and ctx.needs_input_grad[2]:
            to_bias = gradient.sum((0, 2, 3))
        return to_features, to_weight, to_bias, None, None


def _padded(features: Tensor, padding: int) -> Tensor:
    """Return the image's features as (H + 2 padding, W + 2 padding, C), contiguous, with zeros around."""
    channels, height, width = features.shape[1:]
    inside = features[0].permute(1, 2, 0)
    if padding == 0:
        return inside.contiguous()
    padded = features.new_empty(height + 2 * padding, width + 2 * padding, channels)
    padded[padding:-padding, padding:-padding] = inside
    for edge in (padded[:padding], padded[-padding:], padded[:, :padding], padded[:, -padding:]):
        edge.zero_()
    return padded


def _is_slow(features: Tensor, weight: Tensor) -> bool:
    """Whether PyTorch's gradient of these weights would be slow."""
    return (
        features.device.type == "cpu"
        and features.dtype == weight.dtype == torch.float32
        and features.shape[0] == 1
        and features.shape[1] >= FEWEST_CHANNELS
        and weight.shape[-1] > 1
        and weight.shape[-1] == weight.shape[-2]
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and _lacks_kernels()
    )


@cache
def _lacks_kernels() -> bool:
    """Whether the CPU is an x86 one with AVX2 and without AVX-512, for which oneDNN has no fast kernel of this kind."""
    flags = torch.cpu.get_capabilities()
    return bool(flags.get("avx2")) and not flags.get("avx512_f")
