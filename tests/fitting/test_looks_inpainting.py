"""An inpainting fit looks at all that is known and does not learn from it; half of its image is what it saw."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from restore.fitting import Training, fit
from restore.fitting.fills import fill_biharmonic
from restore.problems.holes import biharmonic_fill
from restore.problems.padding import Padding
from restore.problems.problem import Problem, inpainting
from restore.settings import Plan

PlanFor = Callable[..., Plan]


@pytest.fixture
def scattered(scene: Tensor) -> Problem:
    """Half of the pixels of a 50x40 colour picture."""
    return inpainting(scene, torch.rand(scene.shape[1:], generator=torch.Generator().manual_seed(3)) < 0.5)


@pytest.mark.parametrize("form", ["scattered", "strokes"])
def test_half_of_the_image_is_what_the_networks_make_of_all_that_is_known(
    form: str, scattered: Problem, scene: Tensor, plan_for: PlanFor
) -> None:
    stroke = torch.zeros(scene.shape[1:], dtype=torch.bool)
    stroke[10:15, 5:25] = True
    problem = scattered if form == "scattered" else inpainting(scene, stroke)
    plan = plan_for(problem, objective="blindspot", networks=2, iterations=10, held_out=0.1, average=0.9)
    training = Training(problem, plan)
    outputs = []
    for iteration in range(1, 11):
        step = training.step(iteration)
        assert step is not None
        outputs.append(step.output)
        if iteration < 10:
            torch.testing.assert_close(step.image, training.average.image)
    average = outputs[0]
    for count, output in enumerate(outputs[1:], 2):
        average = average.lerp(output, 1 - min(0.9, max(0.0, 1 - 3 / count)))
    seen = problem.known & ~training.held_out
    if form == "scattered":
        filled = fill_biharmonic(problem.measurement, seen.float())
    else:
        filled = torch.from_numpy(biharmonic_fill(problem.measurement[0].numpy(), ~seen[0, 0].numpy()))[None].float()
    padding = Padding(problem.size, training.prior.multiple, training.prior.minimum)
    shown = padding.pad(torch.cat([filled, seen.float()], dim=1))
    with torch.no_grad():
        looked = torch.stack([padding.crop(network(shown)) + filled for network in training.networks]).mean(0)
    torch.testing.assert_close(step.image, (average + looked) / 2, atol=2e-5, rtol=1e-4)


def test_looks_teach_nothing(scattered: Problem, plan_for: PlanFor, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_for(scattered, objective="blindspot", iterations=25, held_out=0.1)
    with_looks = fit(scattered, plan)
    monkeypatch.setattr(Training, "looks", lambda self, iteration: [])
    without = fit(scattered, plan)
    assert torch.equal(with_looks.output, without.output)
    assert with_looks.trace.loss == without.trace.loss
    assert not torch.equal(with_looks.last, without.last)


@pytest.mark.parametrize("missing", [0.1, 0.5])
def test_a_share_that_changes_is_no_reason_to_go_back(missing: float, plan_for: PlanFor) -> None:
    # On a smooth picture a step that hides many pixels is several times as hard as one that hides few.
    rows, columns = torch.meshgrid(torch.linspace(0, 3, 64), torch.linspace(0, 4, 64), indexing="ij")
    picture = (0.5 + 0.3 * torch.sin(rows + columns))[None]
    problem = inpainting(picture, torch.rand(64, 64, generator=torch.Generator().manual_seed(0)) < missing)
    fitted = fit(problem, plan_for(problem, objective="blindspot", iterations=120))
    assert fitted.set_back == ()


def test_a_usual_masking_hides_the_mean_share(scattered: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(scattered, objective="blindspot")
    training = Training(scattered, plan)
    known = (scattered.known & ~training.held_out).float().sum()
    shares = torch.stack([training.usual().scored.sum() / known for _ in range(20)])
    assert (shares - plan.hidden).abs().max() < 0.08


def test_the_hidden_share_changes_where_pixels_are_missing_by_chance(scattered: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(scattered, objective="blindspot")
    training = Training(scattered, plan)
    known = (scattered.known & ~training.held_out).float()
    shares = torch.stack([training.draw().scored.sum() / known.sum() for _ in range(100)])
    assert shares.min() < 0.25
    assert shares.max() > 0.65
