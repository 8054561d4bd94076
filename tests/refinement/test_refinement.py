"""Refinements start as the prior inside, compute their equations, and learn; generators share the weights of steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from restore.cells import CELLS, unroll
from restore.cells.rflo_learning import FeedbackLinear
from restore.errors import UsageError
from restore.priors import Hourglass, HourglassOptions, Prior, RecurrentGenerator, initialise, make_prior
from restore.refinement import DESIGNS, Refined, RefinedEstimate, RefinedFeatures, refine

every_cell = pytest.mark.parametrize("cell", list(CELLS))
every_design = pytest.mark.parametrize("design", DESIGNS)


@pytest.fixture
def prior() -> Prior:
    """A small hourglass of three channels."""
    prior = Hourglass(3, 3, options=HourglassOptions((8, 8, 8), 1))
    initialise(prior, "default", torch.Generator().manual_seed(0))
    return prior


@pytest.fixture
def shown() -> Tensor:
    """A picture, (1, 3, 16, 24)."""
    return torch.rand(1, 3, 16, 24, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def context(shown: Tensor) -> Tensor:
    """The picture and what of it may be seen, (1, 4, 16, 24)."""
    visible = torch.rand(1, 1, 16, 24, generator=torch.Generator().manual_seed(2)) < 0.7
    return torch.cat([shown, visible.float()], dim=1)


def _inputs(design: str, shown: Tensor, context: Tensor) -> list[Tensor]:
    return [shown] if design == "features" else [shown, context]


def _written(refined: Refined, state: Any) -> Tensor:
    """Return P h with the pixels of each 2x2 block put where they belong, one by one."""
    written = refined.cell.readout(state) @ refined.output.weight.mT
    count, height, width, numbers = written.shape
    channels = numbers // 4
    image = torch.zeros(count, channels, 2 * height, 2 * width)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        image[:, :, row::2, column::2] = written[..., (2 * row + column) * channels :][..., :channels].permute(
            0, 3, 1, 2
        )
    return image


@every_cell
@every_design
def test_it_starts_as_the_prior_inside_and_all_of_it_learns(
    design: str, cell: str, prior: Prior, shown: Tensor, context: Tensor
) -> None:
    refined = refine(prior, design, cell, size=8, steps=3, channels=3)
    inputs = _inputs(design, shown, context)
    assert torch.equal(refined(*inputs), prior(shown))
    nn.init.constant_(refined.gain, 0.1)
    assert not torch.equal(refined(*inputs), prior(shown))
    refined(*inputs).square().mean().backward()
    silent = [name for name, p in refined.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert silent == []


@every_design
def test_one_seed_gives_one_refinement(design: str, prior: Prior) -> None:
    made = [refine(prior, design, "scurnn", size=8, steps=2, channels=3, seed=seed).state_dict() for seed in (5, 5, 6)]
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert not torch.equal(made[0]["input.weight"], made[2]["input.weight"])


@pytest.mark.parametrize("cell", ["scornn", "scurnn", "lstm", "sbornn"])
def test_features_follow_their_equation(cell: str, prior: Prior, shown: Tensor) -> None:
    refined = refine(prior, "features", cell, size=8, steps=4, channels=3)
    nn.init.constant_(refined.gain, 0.3)
    features = prior.features(shown)
    drive = F.conv2d(features, refined.input.weight, refined.input.bias, 2, 1).permute(0, 2, 3, 1) / 2
    last = unroll(refined.cell, [drive] * 4)[-1]
    expected = prior.head(features + 0.3 * _written(refined, last))
    assert torch.allclose(refined(shown), expected, atol=1e-6)


def test_a_cell_that_needs_a_varying_drive_sees_its_own_correction(prior: Prior, shown: Tensor) -> None:
    refined = refine(prior, "features", "momentum-rnn", size=8, steps=2, channels=3)
    nn.init.constant_(refined.gain, 0.3)
    features = prior.features(shown)
    state = refined.cell.initial((1, 8, 12))
    current = features
    for _ in range(2):
        drive = F.conv2d(current, refined.input.weight, refined.input.bias, 2, 1).permute(0, 2, 3, 1) / 2**0.5
        state = refined.cell(drive, state)
        current = features + 0.3 * _written(refined, state)
    assert torch.allclose(refined(shown), prior.head(current), atol=1e-6)


@pytest.mark.parametrize("residual", [False, True])
def test_the_estimate_follows_its_equation(residual: bool, prior: Prior, shown: Tensor, context: Tensor) -> None:
    refined = RefinedEstimate(prior, refine(prior, "estimate", "gru", size=6, steps=2, channels=3).cell, 2, 3, residual)
    nn.init.constant_(refined.gain, 0.3)
    visible = context[:, 3:]
    start = prior(shown) + shown if residual else prior(shown)
    estimate, state = start, refined.cell.initial((1, 8, 12))
    for _ in range(2):
        seen = torch.cat([estimate, visible * (estimate - shown), visible], dim=1)
        drive = F.conv2d(seen, refined.input.weight, refined.input.bias, 2, 1).permute(0, 2, 3, 1) / 2**0.5
        state = refined.cell(drive, state)
        estimate = estimate + 0.3 * _written(refined, state)
    expected = estimate - shown if residual else estimate
    assert torch.allclose(refined(shown, context), expected, atol=1e-6)


def test_an_estimate_needs_the_measurement(prior: Prior, shown: Tensor) -> None:
    with pytest.raises(ValueError, match="context"):
        refine(prior, "estimate", "rnn", size=4, steps=1, channels=3)(shown)


def test_a_local_rule_leaves_the_prior_to_backpropagation(prior: Prior, shown: Tensor) -> None:
    options = {"learning_rule": "rflo"}
    refined = refine(prior, "features", "rflo", size=8, steps=3, channels=3, options=options)
    assert isinstance(refined.output, FeedbackLinear)
    nn.init.constant_(refined.gain, 0.3)
    features = prior.features(shown).detach().requires_grad_()
    refined.refined(features).backward(torch.ones_like(features))
    assert torch.equal(features.grad, torch.ones_like(features))  # nothing comes back through the drive
    assert bool(refined.cell.W.grad.any())


def test_the_gradient_can_be_watched_on_its_way_back(prior: Prior, shown: Tensor) -> None:
    refined = refine(prior, "features", "scornn", size=8, steps=5, channels=3)
    nn.init.constant_(refined.gain, 0.3)
    refined.states = []
    refined(shown).square().sum().backward()
    assert [len(tensors) for tensors in refined.states] == [1] * 5
    assert all(tensors[0].grad.shape == (1, 8, 12, 8) for tensors in refined.states)


def test_an_unknown_design_offers_the_nearest(prior: Prior) -> None:
    with pytest.raises(UsageError, match="did you mean 'features'"):
        refine(prior, "feature", "rnn", size=4, steps=1, channels=3)


@every_cell
@pytest.mark.parametrize("scales", [False, True])
def test_a_generator_makes_images_and_all_of_it_learns(cell: str, scales: bool) -> None:
    prior = make_prior("recurrent", 3, 2, "channel", {"cell": cell, "channels": 6, "steps": 3, "scales": scales})
    initialise(prior, "default", torch.Generator().manual_seed(0))
    code = prior.code((16, 24), torch.Generator().manual_seed(0))
    assert code.shape[2:] == ((4, 6) if scales else (16, 24))
    image = prior(code)
    assert image.shape == (1, 2, 16, 24)
    assert bool(((image > 0) & (image < 1)).all())
    (image[:, :, ::2, ::3].square().mean() - image.mean()).backward()
    assert [name for name, p in prior.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("scales", [False, True])
def test_the_steps_of_a_generator_share_their_weights(scales: bool) -> None:
    counts = [
        sum(p.numel() for p in RecurrentGenerator(3, channels=8, steps=steps, scales=scales).parameters())
        for steps in (2, 7)
    ]
    # W's skew entries, modReLU's bias; K; the normalisation; the head.
    assert counts == [8 * 7 // 2 + 8 + 8 * 8 + 2 * 8 + 3 * 8] * 2


def test_a_generator_over_scales_by_hand() -> None:
    prior = RecurrentGenerator(3, cell="rnn", channels=5, steps=2, scales=True)
    code = prior.code((8, 8), torch.Generator().manual_seed(0))
    first = prior.cell(prior.input(code).permute(0, 2, 3, 1), prior.cell.initial((1, 4, 4))).permute(0, 3, 1, 2)
    doubled = [F.interpolate(x, scale_factor=2, mode="bilinear") for x in (prior.norm(first), first)]
    second = prior.cell(prior.input(doubled[0]).permute(0, 2, 3, 1), doubled[1].permute(0, 2, 3, 1))
    expected = torch.sigmoid(prior.head(prior.norm(second.permute(0, 3, 1, 2))))
    assert torch.allclose(prior(code), expected, atol=1e-6)


def test_too_few_steps_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 2 step"):
        RecurrentGenerator(3, steps=1, scales=True)


def test_states_that_nobody_watches_are_not_kept(prior: Prior, shown: Tensor) -> None:
    refined = refine(prior, "features", "rnn", size=4, steps=2, channels=3)
    refined(shown)
    assert isinstance(refined, RefinedFeatures | Refined)
    assert refined.states is None
