"""The measurements of channel normalisation against autograd, closed forms and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.data import camera

from restore.studies.chains import Chains, step_function
from restore.studies.pictures import photograph
from restore.studies.reproductions.channel_norm_generators import surface
from restore.studies.reproductions.channel_norm_gradients import last_filter_gradients, relu_gradients, spread
from restore.studies.reproductions.channel_norm_linear import growth, initial_gradients, steps_to_learn


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("relu", [True, False])
def test_copies_of_a_chain_are_chains_of_their_own(normalised: bool, relu: bool) -> None:
    chains = Chains(3, 4, channels=2, kernel=5, normalised=normalised, relu=relu, generator=_generator())
    code = torch.randn(6, 20, generator=_generator(1))
    together = chains(code)
    for copy in range(3):
        signal = code[2 * copy : 2 * copy + 2][None]
        for weight, offset in zip(chains.weights, chains.offsets, strict=True):
            own = weight[2 * copy : 2 * copy + 2]
            signal = F.conv1d(F.pad(signal, (2, 2), mode="circular"), own)
            signal = signal.relu() if relu else signal
            signal = F.instance_norm(signal) if normalised else signal
            signal = signal + offset[2 * copy : 2 * copy + 2, None]
        expected = F.conv1d(signal, chains.mix[copy : copy + 1].transpose(1, 2).reshape(1, 2, 1))[0, 0]
        assert torch.allclose(together[copy], expected + chains.level[copy], atol=1e-5)


def test_layer_gradients_are_those_of_each_copy_alone() -> None:
    chains = Chains(2, 3, kernel=5, normalised=True, generator=_generator())
    code = torch.randn(2, 20, generator=_generator(1))
    (chains(code) - step_function(20)).square().mean(1).sum().backward()
    together = chains.layer_gradients()
    for copy in range(2):
        losses = (chains(code) - step_function(20)).square().mean(1)
        gradients = torch.autograd.grad(losses[copy], list(chains.weights))
        assert [g[copy].norm().item() for g in gradients] == pytest.approx(together[copy].tolist(), rel=1e-5)


def test_gradients_at_depth_30_are_there_with_and_gone_without() -> None:
    with_, without = (initial_gradients(30, normalised, "default", 0).median() for normalised in (True, False))
    assert 1e-3 < with_ < 1 and without < 1e-8
    kept = initial_gradients(30, False, "preserving", 0).median()
    assert 1e-6 < kept < 1e-2  # what is left of the difference is not the normalisation's doing
    # Signal and gradient together pass all layers but one once, each of which costs sqrt(3).
    assert math.log(kept / without, 3) == pytest.approx(29 / 2, abs=1.5)


@pytest.mark.parametrize("normalised", [False, True])
def test_gradients_to_the_last_filter_are_those_of_autograd(normalised: bool) -> None:
    draws, depth, n = 3, 4, 100
    found = last_filter_gradients(depth, draws, seed=5)[normalised]
    generator = _generator(5)
    drawn = [torch.randn(draws, n, generator=generator, dtype=torch.float64) for _ in range(depth + 2)]
    for draw in range(draws):
        signal, *filters, last, target = (part[draw] for part in drawn)
        for each in filters:
            signal = torch.stack([(each[(place - torch.arange(n)) % n] * signal).sum() for place in range(n)]) / 10
        w = (last / 10).requires_grad_()
        shifted = torch.stack([signal[(place - torch.arange(n)) % n] for place in range(n)])
        output = shifted @ w
        loss = ((output / output.norm() if normalised else output) - target).square().sum() / 2
        (gradient,) = torch.autograd.grad(loss, w)
        assert gradient.norm().item() == pytest.approx(found[draw].item(), rel=1e-10)


def test_the_spread_is_in_decades() -> None:
    assert spread(10 ** torch.linspace(0, 1, 1001)) == pytest.approx(0.9)
    assert spread(relu_gradients(True, 50, 0)) < spread(relu_gradients(False, 50, 0))


def test_growth_finds_a_line_and_counts_what_was_not_reached() -> None:
    depths = (2, 3, 4, 5)
    steps = [np.full(10, 7 * math.exp(0.5 * depth)) for depth in depths]
    exact = growth(depths, steps, cap=1000, seed=0)
    assert (exact.slope, exact.low, exact.high, exact.r_squared) == pytest.approx((0.5, 0.5, 0.5, 1.0))
    steps[-1] = np.full(10, np.inf)
    assert growth(depths, steps, cap=1000, seed=0).censored == 10


def test_shallow_chains_learn_and_the_steps_are_counted() -> None:
    found = steps_to_learn(2, True, "preserving", 300, 0)
    assert found.shape == (10,) and np.isfinite(found).sum() >= 8
    assert np.isinf(steps_to_learn(8, False, "default", 3, 0)).all()


def test_the_surface_is_centred_and_leaves_the_weights_alone() -> None:
    chains = Chains(1, 2, channels=2, kernel=3, normalised=True, relu=True, generator=_generator())
    code, target = torch.rand(2, 16, generator=_generator(1)), step_function(16)
    before = [weight.clone() for weight in chains.weights]
    found = surface(chains, code, target, 3, 0)
    assert found.shape == (3, 3)
    assert found[1, 1] == pytest.approx(F.mse_loss(chains(code)[0], target).item())
    assert all(torch.equal(a, b) for a, b in zip(before, chains.weights, strict=True))


def test_the_photograph_is_block_means() -> None:
    expected = camera().reshape(128, 4, 128, 4).mean((1, 3)) / 255
    assert np.allclose(photograph(128), expected, atol=1e-6)
    assert photograph(48).shape == (48, 48)
