"""Setting a fit back: what is noticed, and that everything is restored exactly."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restore.fitting.rescue import FEWEST_PIXELS, MOST_REWINDS, SNAPSHOT_EVERY, Rescue

MANY = 10_000.0


def _network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.LeakyReLU(), nn.Conv2d(4, 1, 3))


def _adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=0.01, fused=True)


def _train(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.randn(1, 1, 8, 8, generator=generator)).square().mean().backward()
        optimizer.step()


def _everything(network: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    moments = [v for state in optimizer.state_dict()["state"].values() for v in state.values()]
    return [copy.deepcopy(t) for t in (*network.state_dict().values(), *moments)]


def _same(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("make", [_adam, lambda n: torch.optim.SGD(n.parameters(), lr=0.01, momentum=0.9, fused=True)])
def test_rewind_restores_weights_and_moments_exactly(make: Any) -> None:
    network = _network()
    optimizer = make(network)
    rescue = Rescue(network, optimizer, 0.5, MANY)
    _train(network, optimizer, SNAPSHOT_EVERY, seed=1)
    rescue.keep(SNAPSHOT_EVERY, 1.0)
    good = _everything(network, optimizer)
    for attempt in range(2):  # the kept state itself must survive what is done after a rewind
        _train(network, optimizer, 3, seed=2 + attempt)
        assert not _same(_everything(network, optimizer), good)
        rescue.rewind()
        assert _same(_everything(network, optimizer), good)


def test_before_the_first_snapshot_it_goes_back_to_the_start() -> None:
    network = _network()
    optimizer = _adam(network)
    rescue = Rescue(network, optimizer, 0.5, MANY)
    start = _everything(network, optimizer)
    _train(network, optimizer, 5, seed=1)
    rescue.rewind()
    assert _same(_everything(network, optimizer), start)
    assert optimizer.state_dict()["state"] == {}


def test_the_fit_goes_on_from_the_good_state_as_if_nothing_had_been() -> None:
    network, straight = _network(), _network()
    optimizer, other = _adam(network), _adam(straight)
    rescue = Rescue(network, optimizer, 1.0, MANY)
    for n, o in ((network, optimizer), (straight, other)):
        _train(n, o, SNAPSHOT_EVERY, seed=1)
    rescue.keep(SNAPSHOT_EVERY, 1.0)
    _train(network, optimizer, 4, seed=99)
    rescue.rewind()
    for n, o in ((network, optimizer), (straight, other)):
        _train(n, o, 5, seed=2)
    assert _same(_everything(network, optimizer), _everything(straight, other))


@pytest.mark.parametrize("factor", [0.5, 1.0])
def test_the_lowered_rate_outlives_the_rewind(factor: float) -> None:
    network = _network()
    optimizer = _adam(network)
    rescue = Rescue(network, optimizer, factor, MANY)
    for times in (1, 2, 3):
        rate = rescue.lower()
        rescue.rewind()
        assert optimizer.param_groups[0]["lr"] == rate == pytest.approx(0.01 * factor**times)


@pytest.fixture
def rescue() -> Rescue:
    network = _network()
    return Rescue(network, _adam(network), 0.5, MANY)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_trouble_at_any_time(rescue: Rescue, loss: float) -> None:
    assert rescue.trouble(loss) == "the loss was not finite"
    rescue.keep(1, 0.5)
    assert rescue.trouble(loss) == "the loss was not finite"


def test_the_first_loss_may_be_anything_finite(rescue: Rescue) -> None:
    assert rescue.trouble(1e30) is None


def test_a_jump_of_five_decibels_is_trouble(rescue: Rescue) -> None:
    for iteration in range(1, 200):
        rescue.keep(iteration, 0.01)
    assert rescue.trouble(0.0999 * 10**-0.5) is None
    jump = rescue.trouble(0.1001 * 10**-0.5)
    assert jump is not None
    assert "jumped to 0.0317 from about 0.01" in jump


def test_slow_changes_are_no_jump(rescue: Rescue) -> None:
    loss = 1e-3
    for iteration in range(1, 300):
        assert rescue.trouble(loss) is None
        rescue.keep(iteration, loss)
        loss *= 1.02


def test_after_a_rewind_the_level_is_learned_anew(rescue: Rescue) -> None:
    rescue.keep(1, 1e-6)
    assert rescue.trouble(1.0) is not None
    rescue.rewind()
    assert rescue.trouble(1.0) is None


@pytest.mark.parametrize(("scored", "noticed"), [(FEWEST_PIXELS - 1, False), (FEWEST_PIXELS, True)])
def test_with_few_pixels_a_jump_means_nothing(scored: int, noticed: bool) -> None:
    network = _network()
    rescue = Rescue(network, _adam(network), 0.5, scored)
    rescue.keep(1, 0.01)
    assert (rescue.trouble(1.0) is not None) == noticed
    assert rescue.trouble(math.nan) is not None


def test_it_gives_up_after_the_limit(rescue: Rescue) -> None:
    for _ in range(MOST_REWINDS):
        assert not rescue.exhausted
        rescue.rewind()
    assert rescue.exhausted
