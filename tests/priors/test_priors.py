"""What every prior has to keep, and the registry."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from restore.errors import UsageError
from restore.priors import NORMALISATIONS, PRIORS, Prior, initialise, make_prior
from restore.settings import CHOICES

SMALL: dict[str, dict[str, Any]] = {
    "dip": {"down": (8, 8, 8, 8, 8), "up": (8, 8, 8, 8, 8), "skip": (4, 4, 4, 4, 4)},
    "decoder": {"channels": 16},
    "hourglass": {"channels": (8, 12, 16, 16), "tail": 1},
    "recurrent": {"cell": "scornn", "channels": 12, "steps": 4, "scales": True},
}
every_prior = pytest.mark.parametrize("name", sorted(PRIORS))


def _network(name: str, norm: str = "channel", outputs: int = 3) -> Prior:
    network = make_prior(name, 3, outputs, norm, SMALL[name])
    initialise(network, "he", torch.Generator().manual_seed(0))
    return network


def _input(network: Prior, size: tuple[int, int], count: int = 1) -> torch.Tensor:
    return torch.rand(count, network.in_channels, *network.code_size(size), generator=torch.Generator().manual_seed(1))


def test_names_are_those_of_the_settings() -> None:
    assert set(PRIORS) == set(CHOICES["prior"]) == set(SMALL)


@every_prior
@pytest.mark.parametrize("outputs", [1, 3])
def test_image_has_the_size_asked_for(name: str, outputs: int) -> None:
    network = _network(name, outputs=outputs)
    size = network.minimum, network.minimum + 3 * network.multiple
    assert network(_input(network, size)).shape == (1, outputs, *size)


@every_prior
def test_smallest_size_is_a_multiple_and_can_show_more_than_one_colour(name: str) -> None:
    network = _network(name)
    assert network.minimum % network.multiple == 0
    image = network(_input(network, (network.minimum, network.minimum)))
    assert (image.amax((2, 3)) - image.amin((2, 3))).min() > 1e-2


@every_prior
def test_code_is_uniform_up_to_a_tenth_and_drawn_from_the_generator(name: str) -> None:
    network = _network(name)
    state = torch.random.get_rng_state()
    first, second, other = (network.code((256, 512), torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.shape == (1, network.in_channels, *network.code_size((256, 512)))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert 0 <= first.min() < 0.001 < 0.099 < first.max() <= 0.1
    assert first.mean().item() == pytest.approx(0.05, rel=0.05)
    assert first.var().item() == pytest.approx(0.01 / 12, rel=0.1)


@every_prior
def test_what_sees_pictures_takes_them_in_the_size_of_its_output(name: str) -> None:
    network = _network(name)
    assert (network.code_size((64, 96)) == (64, 96)) == network.sees_pictures


@every_prior
@pytest.mark.parametrize("norm", sorted(NORMALISATIONS))
def test_every_normalisation_runs_back_and_forth_and_eval_changes_nothing(name: str, norm: str) -> None:
    network = _network(name, norm)
    shown = _input(network, (64, 64))
    constants = [buffer.clone() for buffer in network.buffers()]
    image = network.train()(shown)
    image.square().mean().backward()
    assert image.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert sum(bool(p.grad.any()) for p in network.parameters()) >= 0.9 * len(list(network.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(constants, network.buffers(), strict=True))  # keeps no statistics
    assert torch.equal(network.eval()(shown), image)


@every_prior
def test_images_of_a_stack_do_not_touch_each_other(name: str) -> None:
    network = _network(name).double()
    shown = _input(network, (64, 64), count=3).double()
    torch.testing.assert_close(network(shown), torch.cat([network(one[None]) for one in shown]))


@every_prior
def test_channels_last_gives_the_same_image(name: str) -> None:
    network = _network(name).double()
    shown = _input(network, (64, 64)).double()
    image = network(shown)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(network(shown.contiguous(memory_format=torch.channels_last)), image)


@every_prior
def test_gradient_is_that_of_finite_differences(name: str) -> None:
    network = _network(name).double()
    shown = _input(network, (64, 64)).double()
    weight = next(network.parameters())
    target = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def loss() -> torch.Tensor:
        return (network(shown) - target).square().mean()

    (gradient,) = torch.autograd.grad(loss(), weight)
    direction, step = torch.sign(gradient), 1e-7
    with torch.no_grad():
        weight += step * direction
        above = loss()
        weight -= 2 * step * direction
        below = loss()
    assert ((above - below) / (2 * step)).item() == pytest.approx((gradient * direction).sum().item(), rel=1e-4)


def test_tuples_may_come_as_lists() -> None:
    network = make_prior("hourglass", 1, 1, options={"channels": [4, 4, 4]})
    assert network.multiple == 4


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dipp", {}, "unknown prior 'dipp': did you mean 'dip'"),
        ("dip", {"skips": (4,)}, "unknown dip option 'skips': did you mean 'skip'"),
        ("hourglass", {"tails": 1}, "did you mean 'tail'"),
        ("decoder", {"width": 64}, "unknown decoder option 'width'"),
        ("hourglass", {"tail": "three"}, "hourglass"),
        ("dip", {"down": 128}, "dip"),
    ],
)
def test_names_and_options_that_do_not_exist(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_prior(name, 3, 3, options=options)


def test_unknown_normalisation() -> None:
    with pytest.raises(UsageError, match="unknown normalisation 'instance'"):
        make_prior("dip", 3, 3, "instance")
