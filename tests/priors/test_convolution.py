"""The gradient of a convolution's weights as a product agrees with PyTorch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from restore.priors import convolution, initialise, make_prior
from restore.priors.convolution import Conv2d, conv2d, weight_gradient


@pytest.fixture
def slow_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "_lacks_kernels", lambda: True)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (3, 1, 0), (5, 2, 2), (5, 1, 3), (2, 2, 0)]
)
@pytest.mark.parametrize("size", [(8, 8), (13, 7)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_weight_gradient(
    kernel: int, stride: int, padding: int, size: tuple[int, int], layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    features = torch.randn(1, 5, *size, dtype=torch.float64).to(memory_format=layout)
    weight = torch.randn(6, 5, kernel, kernel, dtype=torch.float64, requires_grad=True)
    output = F.conv2d(features, weight, None, stride, padding)
    gradient = torch.randn_like(output)
    (expected,) = torch.autograd.grad(output, weight, gradient)
    got = weight_gradient(gradient, features, kernel, stride, padding)
    assert got.shape == expected.shape
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_strips_join(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    features, gradient = torch.randn(1, 4, 19, 11).double(), torch.randn(1, 3, 19, 11).double()
    whole = weight_gradient(gradient, features, 3, 1, 1)
    monkeypatch.setattr(convolution, "STRIP", 4 * 11 * 4 * 9)  # four lines a strip, and three in the last
    torch.testing.assert_close(weight_gradient(gradient, features, 3, 1, 1), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
@pytest.mark.parametrize("bias", [True, False])
def test_layer_has_the_gradients_of_torch(slow_kernels: None, mode: str, bias: bool) -> None:
    torch.manual_seed(0)
    ours = Conv2d(16, 20, 3, 2, 1, bias=bias, padding_mode=mode)
    theirs = nn.Conv2d(16, 20, 3, 2, 1, bias=bias, padding_mode=mode)
    theirs.load_state_dict(ours.state_dict())
    features = torch.randn(1, 16, 15, 18, requires_grad=True)
    copied = features.detach().clone().requires_grad_()
    output, expected = ours(features), theirs(copied)
    assert torch.equal(output, expected)
    assert "_Convolution" in type(output.grad_fn).__name__
    weights = torch.randn_like(output)
    output.backward(weights)
    expected.backward(weights)
    torch.testing.assert_close(features.grad, copied.grad, rtol=1e-4, atol=1e-4)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prior", ["hourglass", "dip"])
def test_a_prior_learns_the_same(monkeypatch: pytest.MonkeyPatch, prior: str) -> None:
    gradients = []
    for slow in (True, False):
        monkeypatch.setattr(convolution, "_lacks_kernels", lambda slow=slow: slow)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = make_prior(prior, 32, 3, "channel", {})
            initialise(network, "default", torch.Generator().manual_seed(0))
            network = network.to(memory_format=torch.channels_last)
            output = network(torch.rand(1, 32, 64, 64))
        output.square().mean().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    for mine, other in zip(*gradients, strict=True):
        assert mine is not None and other is not None
        torch.testing.assert_close(mine, other, rtol=1e-2, atol=1e-3 * float(other.abs().max()) + 1e-7)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 16, 8, 8), torch.float32), ((1, 3, 8, 8), torch.float32), ((1, 16, 8, 8), torch.float64)]
)
def test_others_are_left_to_torch(slow_kernels: None, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    weight = torch.randn(16, shape[1], 3, 3, dtype=dtype, requires_grad=True)
    output = conv2d(torch.randn(shape, dtype=dtype), weight, None, 1, 1)
    assert "_Convolution" not in type(output.grad_fn).__name__


def test_a_cpu_with_kernels_of_its_own_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "_lacks_kernels", lambda: False)
    weight = torch.randn(16, 16, 3, 3, requires_grad=True)
    assert "_Convolution" not in type(conv2d(torch.randn(1, 16, 8, 8), weight, None, 1, 1).grad_fn).__name__
