"""Pictures that are shown turned and mirrored, and turned back before they are scored."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from restore.fitting import Training, make_plan
from restore.fitting.orientations import ALL, possible, turned, turned_back
from restore.problems.noise_level import NoiseLevel
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import FitSettings, Plan

SETTINGS = FitSettings(network={"channels": (6, 6), "tail": 1}, device="cpu", preset="best", networks=1)


def _plan(problem: Problem, settings: FitSettings = SETTINGS) -> Plan:
    return make_plan(problem, settings)


def test_all_are_different_and_are_turned_back() -> None:
    image = torch.arange(12.0).view(1, 3, 4)
    square = torch.arange(9.0).view(1, 3, 3)
    assert len({tuple(turned(square, each).flatten().tolist()) for each in range(ALL)}) == ALL
    for each in range(ALL):
        assert torch.equal(turned_back(turned(image, each), each), image)
        assert (turned(image, each).shape == image.shape) == (each < possible((3, 4)))


@pytest.mark.parametrize(("size", "count"), [((32, 32), 8), ((32, 48), 4)])
@pytest.mark.parametrize("objective", ["blindspot", "recorrupted"])
def test_a_network_that_changes_nothing_makes_the_same_in_every_orientation(
    size: tuple[int, int], count: int, objective: str
) -> None:
    picture = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    problem = dataclasses.replace(denoising(picture, 25.0), level=NoiseLevel((25 / 255) ** 2))
    training = Training(problem, _plan(problem, dataclasses.replace(SETTINGS, objective=objective)))
    seen = set()
    for _ in range(60):
        draw = training.draw()
        seen.add(draw.orientation)
        shown = draw.inputs[0]
        assert torch.equal(shown, turned(draw.input, draw.orientation))
        image, score = training.score(shown, draw)
        plain, upright = training.score(draw.input, dataclasses.replace(draw, orientation=0))
        assert torch.equal(image, plain)
        torch.testing.assert_close(score.loss, upright.loss)
    assert seen == set(range(count))
    assert {draw.orientation for draw in (training.usual(), training.usual())} == {0}


def test_opposite_looks_are_of_one_orientation() -> None:
    picture = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    problem = dataclasses.replace(denoising(picture, 25.0), level=NoiseLevel((25 / 255) ** 2))
    training = Training(problem, dataclasses.replace(_plan(problem), held_out=0.2))
    pairs = [{draw.orientation for draw in training.looks(10)} for _ in range(20)]
    assert all(len(pair) == 1 for pair in pairs) and len(set.union(*pairs)) > 3


def test_the_best_denoising_is_shown_all_and_nothing_else_is() -> None:
    picture = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    noisy = denoising(picture, 25.0)
    assert _plan(noisy).orientations == ALL
    assert _plan(noisy, dataclasses.replace(SETTINGS, preset="balanced")).orientations == 1
    assert _plan(noisy, dataclasses.replace(SETTINGS, objective="fit")).orientations == 1
    assert _plan(inpainting(picture, picture[0] < 0.5)).orientations == 1
