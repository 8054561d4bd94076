"""A verdict is right on networks that are made to vanish, explode, die or overflow, and says why."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restore.fitting import Step
from restore.fitting.rescue import JUMP
from restore.health import HealthRecord, HealthRecorder, gradient_health


class Chain(nn.Sequential):
    """Convolutions of 1x1 on four channels, each with weights `scale` times an orthogonal matrix."""

    def __init__(self, depth: int, scale: float, activation: type[nn.Module] = nn.Identity) -> None:
        layers: list[nn.Module] = []
        for seed in range(depth):
            convolution = nn.Conv2d(4, 4, 1, bias=False)
            nn.init.orthogonal_(convolution.weight, generator=torch.Generator().manual_seed(seed))
            with torch.no_grad():
                convolution.weight *= scale
            layers += [convolution, activation()]
        super().__init__(*layers)


def _watch(network: nn.Module, shown: Tensor, steps: int = 3, rate: float = 1e-6) -> HealthRecord:
    recorder = HealthRecorder(1)
    recorder.attach(SimpleNamespace(prior=network, jump=JUMP))  # type: ignore[arg-type]
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    for iteration in range(1, steps + 1):
        loss = network(shown).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        blank = torch.zeros(1, 1, 1, 1)
        recorder(Step(iteration, 0.0, loss.item(), loss.item(), rate, blank, blank, None, True))
    return recorder.record


@pytest.fixture
def shown() -> Tensor:
    """Four channels of noise, (1, 4, 8, 8)."""
    return torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_healthy_chain(shown: Tensor) -> None:
    health = gradient_health(_watch(Chain(8, 1.0), shown, rate=1e-2))
    assert health["verdict"] == "healthy"
    # All layers of a linear chain have the same |g| |w|, up to directions.
    assert health["depth_ratio"] == pytest.approx(1, rel=0.5)
    assert health["layers"] == [str(2 * at) for at in range(8)]


class Damped(nn.Module):
    """Passes the gradient on times a factor, and the signal as it is."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, signal: Tensor) -> Tensor:
        return signal * self.factor + (signal * (1 - self.factor)).detach()


@pytest.mark.parametrize(("factor", "verdict"), [(0.1, "vanishing"), (10.0, "exploding"), (0.9, "healthy")])
def test_gradients_that_shrink_or_grow_from_layer_to_layer(factor: float, verdict: str, shown: Tensor) -> None:
    network = nn.Sequential(*(part for layer in Chain(6, 1.0) for part in (layer, Damped(factor**0.5))))
    health = gradient_health(_watch(network, shown, rate=1e-3 if factor < 1 else 1e-9))
    assert health["verdict"] == verdict
    assert "over the last is" in health["reasons"][0]


def test_a_long_unnormalised_chain_vanishes_altogether(shown: Tensor) -> None:
    # |g| |w| is the same in all layers of a linear chain: what tells is that no layer moves.
    health = gradient_health(_watch(Chain(30, 0.3), shown))
    assert health["verdict"] == "vanishing"
    assert "moves by only" in health["reasons"][0]


def test_dead_rectifiers(shown: Tensor) -> None:
    network = Chain(4, 1.0, nn.ReLU)
    with torch.no_grad():
        network[2].weight.copy_(-network[2].weight.abs())  # nothing positive comes out of the second layer
    health = gradient_health(_watch(network, shown, rate=1e-2))
    assert health["verdict"] == "dead"
    assert max(health["dead_fractions"]) == 1


def test_losses_that_overflow(shown: Tensor) -> None:
    health = gradient_health(_watch(Chain(3, 1e20), shown))
    assert health["verdict"] == "nan"
    assert health["nonfinite"] == 3


def _record(**values: Any) -> HealthRecord:
    layers = {name: [[1.0, 1.0]] for name in ("gradient_norm", "weight_norm", "dead_fraction")}
    plain = {"layers": ["a", "b"], "iteration": [1], "update_ratio": [[1e-3, 1e-3]], "global_norm": [1.0], "steps": 100}
    return HealthRecord(**{**layers, "dead_fraction": [[0.0, 0.0]], **plain, **values})


@pytest.mark.parametrize(
    ("values", "set_back", "verdict"),
    [
        ({}, (), "healthy"),
        ({"spikes": 5}, (), "unstable"),
        ({"spikes": 1}, (), "healthy"),
        ({}, (0.5, math.nan), "unstable"),
        ({"nonfinite": 1}, (), "nan"),
        ({"gradient_norm": [[1e-4, 1.0]]}, (), "vanishing"),
        ({"gradient_norm": [[1e-4, 1.0]], "weight_norm": [[1e4, 1.0]]}, (), "healthy"),  # what a normalisation does
        ({"update_ratio": [[1e-9, 1e-3]]}, (), "vanishing"),
        ({"recurrent_norm": [[1e-6, 1.0]]}, (), "vanishing"),
        ({"recurrent_norm": [[0.5, 1.0]]}, (), "healthy"),
    ],
)
def test_what_leads_to_a_verdict(values: dict[str, Any], set_back: tuple[float, ...], verdict: str) -> None:
    health = gradient_health(_record(**values), set_back)
    assert health["verdict"] == verdict
    assert health["thresholds"]["vanishing_below"] == 1e-3
    assert health["reasons"]


def test_steps_that_were_set_back_are_counted_and_told() -> None:
    health = gradient_health(_record(), (0.5, math.nan, math.inf))
    assert health["set_back"] == {"steps": 3, "nonfinite": 2}
    assert "3 steps were set back, 2 of them for a loss that was not finite" in health["reasons"][0]


def test_looks_before_the_gain_of_a_refinement_leaves_0_tell_nothing() -> None:
    assert gradient_health(_record(recurrent_norm=[[0.0, 0.0]]))["verdict"] is None


def test_a_fit_without_a_look_has_no_verdict() -> None:
    health = gradient_health(HealthRecord())
    assert health["verdict"] is None
    json.dumps(health, allow_nan=False)
    assert not math.isnan(health["looks"])
