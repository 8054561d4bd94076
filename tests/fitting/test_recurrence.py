"""Recurrences in plans and fits: what goes together, what the cell may see, and that none is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from restore.cells import CELLS
from restore.cells.jacobian import orthogonality_error
from restore.errors import UsageError
from restore.fitting import Training, build_prior, fit, make_plan
from restore.fitting.forecast import forecast
from restore.fitting.network import REFINEMENT, _seed
from restore.fitting.subject import DRAWS
from restore.problems.problem import Problem
from restore.settings import CELL_NAMES, FitSettings, Plan

PlanFor = Callable[..., Plan]


def test_the_names_of_the_settings_are_those_of_the_registry() -> None:
    assert sorted(CELL_NAMES) == sorted(CELLS)


def test_no_cell_draws_nothing_and_builds_the_same_tree(denoise_problem: Problem, plan_for: PlanFor) -> None:
    bare, refined = (build_prior(denoise_problem, plan_for(denoise_problem, cell=cell)) for cell in ("none", "scornn"))
    assert not any(name.startswith(("cell", "prior")) for name in bare.state_dict())
    inside = refined.prior.state_dict()
    assert list(inside) == list(bare.state_dict())
    assert all(torch.equal(tensor, inside[name]) for name, tensor in bare.state_dict().items())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"refine": "features"}, "--refine features needs a cell"),
        ({"refine_steps": 4}, "--refine-steps 4 needs a cell"),
        ({"prior": "recurrent"}, "needs a cell"),
        ({"learning_rule": "rflo"}, "needs --cell rflo"),
        ({"cell": "gru", "learning_rule": "rflo"}, "use --cell rflo"),
        ({"cell": "rflo", "learning_rule": "rflo", "refine": "estimate"}, "use --cell rflo --refine features"),
        ({"cell": "gru", "refine": "generator", "prior": "dip"}, "not a refinement of 'dip'"),
        ({"cell": "gru", "refine": "features", "prior": "recurrent"}, "is a recurrence already"),
        ({"cell": "gru", "refine": "estimate", "objective": "fit"}, "use --objective blindspot"),
        ({"cell": "gru", "refine": "estimate", "prior": "decoder"}, "use --objective blindspot"),
        ({"cell": "gru", "refine": "generator", "objective": "blindspot"}, "only takes a small code"),
        ({"cell": "limitcycle", "refine_channels": 7}, "needs an even size"),
        ({"cell": "scurnn", "cell_options": {"negatives": 3}}, "unknown option of cell 'scurnn'"),
    ],
)
def test_what_does_not_go_together(values: dict[str, Any], words: str, denoise_problem: Problem) -> None:
    with pytest.raises(UsageError, match=words):
        make_plan(denoise_problem, FitSettings(device="cpu", **values))


@pytest.mark.parametrize(
    ("values", "words"),
    [({"cell": "scorn"}, "did you mean 'scornn'"), ({"cell": "gru", "refine_steps": 0}, "refine_steps must be")],
)
def test_what_no_fit_could_use(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        FitSettings(**values)


def test_what_is_chosen_when_only_a_cell_is_named(denoise_problem: Problem, plan_for: PlanFor) -> None:
    assert plan_for(denoise_problem, cell="gru").refine == "features"
    generator = make_plan(denoise_problem, FitSettings(device="cpu", cell="gru", refine="generator"))
    assert (generator.prior, generator.objective, generator.refine_steps) == ("recurrent", "fit", 8)
    scales = make_plan(denoise_problem, FitSettings(device="cpu", cell="gru", refine="generator", prior="decoder"))
    assert (scales.prior, scales.refine_steps) == ("decoder", 6)
    assert make_plan(denoise_problem, FitSettings(device="cpu")).refine == "none"


CASES: dict[str, dict[str, Any]] = {
    "features, blindspot": {"cell": "scurnn", "refine": "features"},
    "features, fit": {"cell": "enrnn", "refine": "features", "objective": "fit"},
    "features, rflo": {"cell": "rflo", "learning_rule": "rflo"},
    "estimate, blindspot": {"cell": "ncgru", "refine": "estimate"},
    "estimate, dip": {"cell": "momentum-orth", "refine": "estimate", "prior": "dip", "objective": "blindspot"},
    "generator": {"cell": "scornn", "refine": "generator", "prior": "recurrent", "network": {}},
    "generator over scales": {"cell": "gru", "refine": "generator", "prior": "decoder", "refine_steps": 4},
}
SMALL = {"refine_channels": 8, "refine_steps": 3, "iterations": 12}


@pytest.mark.parametrize("kind", ["denoise", "inpaint"])
@pytest.mark.parametrize("case", list(CASES))
def test_every_design_fits_and_repeats_itself(
    case: str, kind: str, problems: dict[str, Problem], plan_for: PlanFor
) -> None:
    problem = problems[kind]
    plan = plan_for(problem, **{**SMALL, **CASES[case]})
    first, second = fit(problem, plan), fit(problem, plan)
    assert torch.equal(first.image, second.image)
    assert first.trace.loss[-1] < first.trace.loss[0]
    assert first.parameters == forecast(problem, plan).parameters
    assert forecast(problem, plan).flops > 0


@pytest.mark.parametrize("design", ["features", "estimate"])
@pytest.mark.parametrize("kind", ["denoise", "inpaint"])
def test_no_path_of_a_refinement_shows_a_hidden_pixel(
    kind: str, design: str, problems: dict[str, Problem], plan_for: PlanFor
) -> None:
    problem = problems[kind]
    plan = plan_for(problem, cell="scornn", refine=design, objective="blindspot", held_out=0.1, **SMALL)
    training = Training(problem, plan)
    torch.nn.init.constant_(training.prior.gain, 0.5)
    draw = training._objective.draw()
    unseen = draw.scored.bool() | training.held_out | ~problem.known
    changed = dataclasses.replace(problem, measurement=torch.where(unseen, 0.123, problem.measurement))
    other = Training(changed, plan)
    other.prior.load_state_dict(training.prior.state_dict())
    again = other._objective.draw()
    assert torch.equal(draw.scored, again.scored)
    with torch.no_grad():
        images = [t._objective.image(t.prior(*d.inputs), d) for t, d in ((training, draw), (other, again))]
    assert torch.equal(*images)


def test_held_out_pixels_stay_unseen_where_an_estimate_is_fitted(inpaint_problem: Problem, plan_for: PlanFor) -> None:
    values = {**SMALL, "cell": "gru", "refine": "estimate", "objective": "fit", "held_out": 0.1}
    plan = plan_for(inpaint_problem, **values)
    held_out = Training(inpaint_problem, plan).held_out
    other = dataclasses.replace(inpaint_problem, measurement=torch.where(held_out, 0.5, inpaint_problem.measurement))
    assert torch.equal(fit(inpaint_problem, plan).last, fit(other, plan).last)


def test_the_recurrence_stays_orthogonal_and_the_bias_admissible(denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(denoise_problem, **{**SMALL, "cell": "scurnn", "learning_rate": 0.05})
    training = Training(denoise_problem, plan)
    start = training.prior.cell.matrices()["W"].detach().clone()
    for iteration in range(1, 13):
        training.step(iteration)
    after = training.prior.cell.matrices()["W"]
    assert float((after - start).detach().norm()) > 1e-3
    assert orthogonality_error(after) < 1e-5
    assert float(training.prior.cell.modrelu.bias.detach().max()) <= 0


def test_a_recurrence_repeats_no_other_draw_of_the_plan(denoise_problem: Problem, plan_for: PlanFor) -> None:
    """PyTorch's generator looks at 32 bits of a seed, in which multiples of 2^31 are two numbers."""
    plan = plan_for(denoise_problem, cell="scornn")
    seeds = [plan.seed, DRAWS + plan.seed, _seed(plan, REFINEMENT)]
    drawn = [torch.rand(4, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    assert not any(torch.equal(drawn[at], drawn[to]) for at, to in [(0, 1), (0, 2), (1, 2)])


def test_skew_entries_learn_at_a_tenth_of_the_rate(denoise_problem: Problem, plan_for: PlanFor) -> None:
    training = Training(denoise_problem, plan_for(denoise_problem, cell="scornn", **SMALL))
    rates = {group["name"]: group["lr"] for group in training._optimizer.param_groups}
    assert rates == {"free": 3e-3, "skew": pytest.approx(3e-4)}
    training._rescue.lower()
    training._rescue.rewind()
    assert [group["lr"] for group in training._optimizer.param_groups] == pytest.approx([1.5e-3, 1.5e-4])
