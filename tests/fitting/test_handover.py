"""A network handed over is the same function of another picture, whose statistics are other ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from restore.fitting import Training, make_plan
from restore.fitting.handover import channel_statistics, hand_over_
from restore.priors import Prior, initialise, make_prior
from restore.problems.problem import denoising
from restore.settings import FitSettings


def _network(norm: str) -> Prior:
    prior = make_prior("hourglass", 3, 3, norm, {"channels": (8, 12), "tail": 1})
    generator = torch.Generator().manual_seed(0)
    initialise(prior, "default", generator)
    for parameter in prior.parameters():  # gains and offsets that are not one and zero
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return prior


def _picture(side: int = 48) -> Tensor:
    """Alike everywhere, so that every part has the statistics of all."""
    rows = 2 * torch.pi * torch.arange(side) / 16
    waves = torch.sin(rows)[:, None] * torch.cos(rows)[None]
    return torch.stack([0.5 + 0.3 * waves, 0.4 - 0.2 * waves, 0.6 + 0.1 * torch.sin(rows)[None].expand(side, side)])[
        None
    ]


@pytest.mark.parametrize("norm", ["channel", "batch"])
def test_what_was_learned_of_one_half_holds_for_the_other(norm: str) -> None:
    """Of a picture of two halves, the darker one alone would come out with the brightness of the whole."""
    network = _network(norm)
    whole = torch.cat([_picture(), 0.3 * _picture() + 0.1], dim=-1)
    with torch.no_grad():
        wanted = network(whole)[..., 48:]
        statistics = channel_statistics(network, lambda: network(whole))
        dark = whole[..., 48:]
        before = (network(dark) - wanted)[..., 16:-16, 16:-16].square().mean()
        hand_over_(network, statistics, lambda: network(dark))
        after = (network(dark) - wanted)[..., 16:-16, 16:-16].square().mean()
    assert after < 0.02 * before  # not zero: the halves meet, and pictures are padded


def test_handed_over_to_the_same_picture_it_stays_as_it_is() -> None:
    network, picture = _network("channel"), _picture()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    statistics = channel_statistics(network, lambda: network(picture))
    assert statistics and all(value.shape[0] == 2 for value in statistics.values())
    hand_over_(network, statistics, lambda: network(picture))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", ["channel-affine-free", "group", "none"])
def test_what_cannot_be_handed_over_stays(norm: str) -> None:
    network, picture = _network(norm), _picture()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    hand_over_(network, channel_statistics(network, lambda: network(picture)), lambda: network(0.5 * picture))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_fit_begins_with_the_function_that_another_one_learned_where_it_is_of_use() -> None:
    dark = 0.3 * _picture() + 0.1
    both = torch.cat([_picture(), dark], dim=-1)
    settings = FitSettings(device="cpu", precision="float32", network={"channels": (8, 8), "tail": 1}, iterations=80)
    plan = dataclasses.replace(make_plan(denoising(both[0], 10.0), settings), networks=1)
    teacher = Training(denoising(both[0], 10.0), plan)
    for iteration in range(1, 81):
        teacher.step(iteration)
    learned = teacher.learned()

    def error(picture: Tensor, start: dict[str, Any]) -> float:
        step = Training(denoising(picture[0], 10.0), plan, start).step(1)
        assert step is not None
        return (step.output - picture).square().mean().item()

    whole = {**learned, "statistics": teacher.statistics()}
    assert error(dark, whole) < 0.2 * error(dark, learned)
    # Far from what was learned, the function has no meaning.
    assert error(-dark, whole) < 1.5 * error(-dark, learned)
