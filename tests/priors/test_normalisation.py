"""Normalisations against PyTorch's own and against the formula; none of them may remember anything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restore.errors import UsageError
from restore.priors import NORMALISATIONS, make_normalisation
from restore.settings import CHOICES

C = 8
every_norm = pytest.mark.parametrize("name", sorted(NORMALISATIONS))


def _features(count: int = 1, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.linspace(0.1, 5, C).view(-1, 1, 1)
    return (3 * scale + scale * torch.randn(count, C, 6, 7, generator=generator, dtype=torch.float64)).to(dtype)


def _learned(name: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Return the normalisation with gains and offsets that are not one and zero."""
    norm = make_normalisation(name, C).to(dtype)
    generator = torch.Generator().manual_seed(1)
    for parameter in norm.parameters():
        nn.init.normal_(parameter, 0.5, generator=generator)
    return norm


def _peer(norm: nn.Module, peer: nn.Module) -> nn.Module:
    peer.load_state_dict({name: norm.state_dict()[name] for name in ("weight", "bias")}, strict=False)
    return peer.double()


def test_names_are_those_of_the_settings() -> None:
    assert set(NORMALISATIONS) == set(CHOICES["norm"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_channel_is_its_formula(dtype: torch.dtype) -> None:
    norm, z = _learned("channel", dtype), _features(2, dtype=dtype)
    x = z.double().numpy()
    gain, offset = (p.detach().double().numpy().reshape(-1, 1, 1) for p in (norm.weight, norm.bias))
    mean, variance = x.mean((2, 3), keepdims=True), x.var((2, 3), keepdims=True)
    expected = gain * (x - mean) / np.sqrt(variance + 1e-5) + offset
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    np.testing.assert_allclose(norm(z).detach().numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("count", [1, 3])
def test_channel_is_instance_norm(count: int) -> None:
    norm, z = _learned("channel"), _features(count)
    torch.testing.assert_close(norm(z), _peer(norm, nn.InstanceNorm2d(C, affine=True))(z))


@pytest.mark.parametrize("name", ["channel", "batch"])
def test_one_image_is_batch_norm_in_training(name: str) -> None:
    norm, z = _learned(name), _features()
    torch.testing.assert_close(norm(z), _peer(norm, nn.BatchNorm2d(C, track_running_stats=False).train())(z))


def test_batch_shares_its_statistics_in_a_stack() -> None:
    norm, z = _learned("batch"), _features(3)
    torch.testing.assert_close(norm(z), _peer(norm, nn.BatchNorm2d(C).train())(z))
    assert not torch.allclose(norm(z)[:1], norm(z[:1]))


@pytest.mark.parametrize("name", sorted(set(NORMALISATIONS) - {"batch"}))
def test_every_image_of_a_stack_is_normalised_alone(name: str) -> None:
    norm, z = _learned(name), _features(3)
    torch.testing.assert_close(norm(z), torch.cat([norm(image[None]) for image in z]))


@pytest.mark.parametrize("count", [1, 3])
def test_gradients_of_channel_are_those_of_instance_norm(count: int) -> None:
    norm, z = _learned("channel"), _features(count)
    peer = _peer(norm, nn.InstanceNorm2d(C, affine=True))
    ours, theirs = z.clone().requires_grad_(), z.clone().requires_grad_()
    upstream = _features(count, seed=2)
    norm(ours).backward(upstream)
    peer(theirs).backward(upstream)
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(norm.weight.grad, peer.weight.grad)
    torch.testing.assert_close(norm.bias.grad, peer.bias.grad)


def test_channels_last_gives_the_same_numbers_and_keeps_the_layout() -> None:
    norm, z = _learned("channel"), _features()
    last = norm(z.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(last, norm(z))
    assert last.is_contiguous(memory_format=torch.channels_last)


def test_affine_free_has_nothing_to_learn() -> None:
    norm, z = make_normalisation("channel-affine-free", C).double(), _features()
    assert list(norm.parameters()) == []
    torch.testing.assert_close(norm(z), nn.InstanceNorm2d(C)(z))


def test_bias_only_adds_an_offset() -> None:
    norm, z = _learned("bias"), _features(2)
    assert [p.shape for p in norm.parameters()] == [(C,)]
    assert torch.equal(norm(z), z + norm.bias.view(1, C, 1, 1))


def test_none_is_the_identity() -> None:
    z = _features()
    assert torch.equal(make_normalisation("none", C)(z), z)


def test_layer_normalises_all_channels_together() -> None:
    norm, z = make_normalisation("layer", C).double(), _features(2)
    x = z.numpy()
    expected = (x - x.mean((1, 2, 3), keepdims=True)) / np.sqrt(x.var((1, 2, 3), keepdims=True) + 1e-5)
    np.testing.assert_allclose(norm(z).detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(("channels", "groups"), [(8, 4), (6, 2), (5, 1), (1, 1)])
def test_group_normalises_groups_of_neighbouring_channels(channels: int, groups: int) -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, channels, 5, 5, generator=generator, dtype=torch.float64)
    x = z.numpy().reshape(2, groups, -1)
    expected = (x - x.mean(2, keepdims=True)) / np.sqrt(x.var(2, keepdims=True) + 1e-5)
    out = make_normalisation("group", channels).double()(z)
    np.testing.assert_allclose(out.detach().numpy().reshape(2, groups, -1), expected, atol=1e-12)


@every_norm
def test_nothing_is_stored_and_eval_changes_nothing(name: str) -> None:
    norm = _learned(name)
    assert list(norm.buffers()) == []
    before = {key: value.clone() for key, value in norm.state_dict().items()}
    training = norm.train()(_features())
    norm(_features(seed=5))
    assert torch.equal(norm.eval()(_features()), training)
    assert all(torch.equal(before[key], value) for key, value in norm.state_dict().items())


@every_norm
def test_starts_with_gain_one_and_offset_zero(name: str) -> None:
    for key, value in make_normalisation(name, C).state_dict().items():
        assert torch.equal(value, torch.ones(C) if key == "weight" else torch.zeros(C))


@every_norm
def test_bfloat16_comes_out_as_bfloat16_under_autocast(name: str) -> None:
    z = _features(dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        out = make_normalisation(name, C)(z)
    wide = make_normalisation(name, C)(z.float())
    torch.testing.assert_close(out.float(), wide, rtol=0.02, atol=0.05)


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'channel'"):
        make_normalisation("chanel", C)
