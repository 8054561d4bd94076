"""Initial weights: their distribution, and that only the given generator is drawn from."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from restore.errors import UsageError
from restore.priors import INITIALISATIONS, PRIORS, initialise, make_prior
from restore.settings import CHOICES

every_rule = pytest.mark.parametrize("name", sorted(INITIALISATIONS))
FAN_IN = 32 * 9


def _drawn(name: str, seed: int = 0, outputs: int = 64) -> nn.Conv2d:
    layer = nn.Conv2d(32, outputs, 3)
    initialise(layer, name, torch.Generator().manual_seed(seed))
    return layer


def test_names_are_those_of_the_settings() -> None:
    assert set(INITIALISATIONS) == set(CHOICES["init"])


@pytest.mark.parametrize(
    ("name", "variance"), [("default", 1 / (3 * FAN_IN)), ("he", 2 / FAN_IN), ("gaussian", 1 / FAN_IN)]
)
def test_variance_of_the_weights(name: str, variance: float) -> None:
    weight = _drawn(name).weight  # 18,432 draws: the relative standard error of a variance is at most 1 %
    assert weight.var().item() == pytest.approx(variance, rel=0.05)
    assert abs(weight.mean().item()) < 4 * math.sqrt(variance / weight.numel())


@pytest.mark.parametrize("name", ["he", "gaussian"])
def test_normal_rules_are_normal(name: str) -> None:
    weight = _drawn(name).weight.flatten()
    kurtosis = ((weight - weight.mean()) ** 4).mean() / weight.var() ** 2
    assert kurtosis.item() == pytest.approx(3, abs=0.2)


def test_default_is_what_pytorch_draws() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        theirs = nn.Conv2d(32, 64, 3)
    ours = _drawn("default", seed=7)
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)


@pytest.mark.parametrize("outputs", [16, 288, 300])
def test_orthogonal_has_orthonormal_rows_or_columns(outputs: int) -> None:
    matrix = _drawn("orthogonal", outputs=outputs).weight.detach().flatten(1)
    gram = matrix @ matrix.T if outputs <= FAN_IN else matrix.T @ matrix
    torch.testing.assert_close(gram, torch.eye(min(outputs, FAN_IN)), rtol=0, atol=1e-5)


@every_rule
def test_biases_of_convolutions(name: str) -> None:
    bias = _drawn(name).bias
    if name == "default":
        assert 0.8 * FAN_IN**-0.5 < bias.abs().max().item() <= FAN_IN**-0.5
    else:
        assert not bias.any()


@every_rule
@pytest.mark.parametrize("prior", sorted(PRIORS))
def test_same_generator_same_weights_and_the_global_one_is_left_alone(name: str, prior: str) -> None:
    first, second, other = (make_prior(prior, 3, 3) for _ in range(3))
    state = torch.random.get_rng_state()
    for network, seed in ((first, 3), (second, 3), (other, 4)):
        initialise(network, name, torch.Generator().manual_seed(seed))
    assert torch.equal(torch.random.get_rng_state(), state)
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    pairs = zip(first.modules(), other.modules(), strict=True)
    assert not any(torch.equal(a.weight, b.weight) for a, b in pairs if isinstance(a, nn.Conv2d))


def test_gains_and_offsets_stay() -> None:
    network = make_prior("hourglass", 3, 3, options={"channels": (8, 8)})
    initialise(network, "he", torch.Generator().manual_seed(0))
    norms = [m for m in network.modules() if type(m).__name__ == "ChannelNorm"]
    assert norms
    assert all(bool((n.weight == 1).all()) and bool((n.bias == 0).all()) for n in norms)


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'orthogonal'"):
        initialise(nn.Conv2d(1, 1, 1), "orthogonl", torch.Generator())
