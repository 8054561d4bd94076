"""The loop: the same plan gives the same image, the best one is given back, and steps say what they are."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from restore.errors import DeviceError, UsageError
from restore.fitting import Fitted, Step, Training, fit, fit_stack
from restore.fitting.observers import ReferenceCurve
from restore.problems.problem import Problem, denoising
from restore.settings import Plan

PlanFor = Callable[..., Plan]

CASES: dict[str, dict[str, Any]] = {
    "hourglass, blindspot": {"objective": "blindspot", "held_out": 0.1},
    "hourglass, fit": {"objective": "fit", "held_out": 0.1},
    "dip, blindspot": {"prior": "dip", "objective": "blindspot", "stop": "none"},
    "dip, fit": {"prior": "dip", "objective": "fit", "stop": "variance"},
    "decoder": {"prior": "decoder", "stop": "none"},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.01, "stop": "none"},
}
every_case = pytest.mark.parametrize("case", list(CASES))
both_kinds = pytest.mark.parametrize("kind", ["denoise", "inpaint"])


def _same(first: Fitted, second: Fitted) -> bool:
    pairs = ((first.image, second.image), (first.last, second.last), (first.output, second.output))
    return all(torch.equal(a, b) for a, b in pairs)


@both_kinds
@every_case
def test_same_plan_same_image(case: str, kind: str, problems: dict[str, Problem], plan_for: PlanFor) -> None:
    problem = problems[kind]
    plan = plan_for(problem, **CASES[case])
    torch.manual_seed(1)
    first = fit(problem, plan)
    torch.manual_seed(2)  # the global generator must neither steer a fit nor be moved by it
    state = torch.random.get_rng_state()
    second = fit(problem, plan)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert _same(first, second)
    assert first.trace.loss == second.trace.loss
    assert first.held_out_error == second.held_out_error
    assert first.image.shape == problem.measurement.shape
    assert first.image.dtype == torch.float32
    assert first.image.isfinite().all()
    assert not first.image.requires_grad


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_plan_same_image_in_either_precision(precision: str, denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(denoise_problem, precision=precision)
    first, second = (fit(denoise_problem, plan) for _ in range(2))
    assert _same(first, second)
    assert first.precision == precision


@every_case
def test_another_seed_is_another_fit(case: str, denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(denoise_problem, **CASES[case], seed=3)
    assert not _same(fit(denoise_problem, plan), fit(denoise_problem, dataclasses.replace(plan, seed=4)))


@pytest.mark.parametrize("case", ["hourglass, blindspot", "hourglass, fit", "dip, fit", "decoder"])
@both_kinds
def test_loss_falls(case: str, kind: str, problems: dict[str, Problem], plan_for: PlanFor) -> None:
    problem, losses = problems[kind], []
    plan = plan_for(problem, **CASES[case] | {"stop": "none", "iterations": 60, "learning_rate": 0.01})
    fitted = fit(problem, plan, [lambda step: losses.append(step.loss)])
    assert len(losses) == fitted.iterations == 60
    ratio = sum(losses[-10:]) / sum(losses[:10])
    assert ratio < (0.8 if "residual" in case or kind == "inpaint" else 0.7)


@pytest.mark.parametrize("objective", ["blindspot", "fit"])
def test_the_best_image_is_given_back(objective: str, denoise_problem: Problem, plan_for: PlanFor, album: Any) -> None:
    # With a rate far too high the held-out error goes up and down, so that the last image is not the best.
    plan = plan_for(
        denoise_problem, objective=objective, held_out=0.2, iterations=100, learning_rate=0.05, patience=1000
    )
    fitted = fit(denoise_problem, plan, [album])
    errors = {i: step.held_out for i, step in album.steps.items() if step.held_out is not None}
    assert set(errors) == set(range(10, 101, 10))
    assert fitted.iteration_best == min(errors, key=lambda i: errors[i])
    assert fitted.held_out_error == min(errors.values())
    assert torch.equal(fitted.image, album.images[fitted.iteration_best])
    assert torch.equal(fitted.last, album.images[100])
    assert torch.equal(fitted.output, album.steps[100].output)
    assert (fitted.iterations, fitted.stop_reason) == (100, "iterations")


def test_held_out_rule_ends_the_fit(denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(
        denoise_problem, held_out=0.2, iterations=500, learning_rate=1e-9, warmup=0, patience=20, average=0.0
    )
    fitted = fit(denoise_problem, plan)
    assert fitted.stop_reason == "heldout"
    assert fitted.iterations == fitted.iteration_best + 20
    assert fitted.iterations < 500


def test_discrepancy_ends_the_fit_at_the_noise(
    flat: Tensor, generator: torch.Generator, plan_for: PlanFor, album: Any
) -> None:
    problem = denoising(flat + 25 / 255 * torch.randn(flat.shape, generator=generator), 25.0)
    plan = plan_for(problem, objective="fit", stop="discrepancy", iterations=300, learning_rate=0.01)
    fitted = fit(problem, plan, [album])
    assert fitted.stop_reason == "discrepancy"
    assert fitted.iteration_best == fitted.iterations < 300
    assert album.steps[fitted.iterations].misfit == pytest.approx((25 / 255) ** 2, rel=0.2)


def test_without_a_rule_the_last_image_is_given_back(denoise_problem: Problem, plan_for: PlanFor) -> None:
    for iterations in (1, 7, 10, 13):
        fitted = fit(denoise_problem, plan_for(denoise_problem, stop="none", iterations=iterations))
        assert (fitted.iterations, fitted.iteration_best, fitted.stop_reason) == (iterations, iterations, "iterations")
        assert torch.equal(fitted.image, fitted.last)
        assert fitted.held_out_error is None
        assert fitted.held_out_deviation is None


def test_held_out_error_and_its_deviation(denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(denoise_problem, held_out=0.1)
    fitted, held_out = fit(denoise_problem, plan), Training(denoise_problem, plan).held_out[0, 0]
    errors = (fitted.image - denoise_problem.measurement)[0].square().mean(0)[held_out].numpy()
    assert 100 < len(errors) < 300
    assert fitted.held_out_error == pytest.approx(errors.mean(), rel=1e-5)
    assert fitted.held_out_deviation == pytest.approx(errors.std(ddof=1) / len(errors) ** 0.5, rel=1e-5)


def test_discrepancy_is_refused_before_the_first_step(denoise_problem: Problem, plan_for: PlanFor) -> None:
    steps: list[Step] = []
    with pytest.raises(UsageError, match="discrepancy"):
        fit(denoise_problem, plan_for(denoise_problem, objective="blindspot", stop="discrepancy"), [steps.append])
    assert steps == []


def test_time_budget_ends_the_fit(denoise_problem: Problem, plan_for: PlanFor, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def tick(step: Step) -> None:
        now[0] += 1.0

    plan = plan_for(denoise_problem, time_budget=12.0, stop="none", iterations=40)
    fitted = fit(denoise_problem, plan, [tick])
    assert fitted.stop_reason == "time"
    assert 12 <= fitted.iterations <= 14
    assert fitted.seconds == pytest.approx(fitted.iterations)
    assert torch.equal(fitted.image, fit(denoise_problem, dataclasses.replace(plan, iterations=10)).image)


def test_a_time_budget_that_is_not_reached_changes_nothing(denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(denoise_problem)
    assert _same(fit(denoise_problem, plan), fit(denoise_problem, dataclasses.replace(plan, time_budget=1e6)))


@both_kinds
def test_observers_and_a_reference_do_not_change_the_result(
    kind: str, problems: dict[str, Problem], scene: Tensor, plan_for: PlanFor, album: Any
) -> None:
    problem = problems[kind]
    plan = plan_for(problem, held_out=0.1)
    curve = ReferenceCurve(problem, scene[None])
    worse = ReferenceCurve(problem, torch.zeros_like(scene)[None])
    plain = fit(problem, plan)
    assert _same(plain, fit(problem, plan, [album, curve]))
    assert _same(plain, fit(problem, plan, [worse]))
    assert curve.iteration == worse.iteration == plain.trace.iteration == [10, 20]


def test_steps_are_numbered_and_checked_every_ten_and_at_the_end(
    denoise_problem: Problem, plan_for: PlanFor, album: Any
) -> None:
    plan = plan_for(denoise_problem, held_out=0.1, iterations=25)
    fitted = fit(denoise_problem, plan, [album])
    assert list(album.steps) == list(range(1, 26))
    checked = [i for i, step in album.steps.items() if step.check]
    assert checked == [10, 20, 25] == fitted.trace.iteration
    assert checked == [i for i, step in album.steps.items() if step.held_out is not None]
    assert fitted.trace.held_out == [album.steps[i].held_out for i in checked]
    assert fitted.trace.loss == [album.steps[i].loss for i in checked]
    assert fitted.trace.learning_rate == [plan.learning_rate] * 3
    seconds = [step.seconds for step in album.steps.values()]
    assert seconds == sorted(seconds)
    assert fitted.seconds >= seconds[-1]


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_images_are_the_average_of_the_outputs(
    decay: float, denoise_problem: Problem, plan_for: PlanFor, album: Any
) -> None:
    fit(denoise_problem, plan_for(denoise_problem, average=decay, iterations=15, stop="none"), [album])
    average = torch.zeros_like(denoise_problem.measurement)
    for n in range(1, 16):
        d = min(decay, max(0.0, 1 - 3 / n))
        average = d * average + (1 - d) * album.steps[n].output
        torch.testing.assert_close(album.images[n], average, rtol=0, atol=1e-5)


@pytest.mark.parametrize("alone", [True, False])
def test_every_network_is_compiled_once(
    alone: bool, denoise_problem: Problem, plan_for: PlanFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[torch.nn.Module] = []

    def stand_in(network: torch.nn.Module) -> torch.nn.Module:
        compiled.append(network)
        return network

    monkeypatch.setattr(torch, "compile", stand_in)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    plans = [plan_for(denoise_problem, iterations=3, networks=2, accelerate=how) for how in ("none", "compile")]
    if alone:
        plain, accelerated = (fit(denoise_problem, plan).image for plan in plans)
    else:
        plain, accelerated = (fit_stack([denoise_problem] * 2, [plan] * 2)[1].image for plan in plans)
    assert torch.equal(plain, accelerated)
    assert len(compiled) == len({id(network) for network in compiled}) == 2


def test_what_cannot_be_accelerated_is_refused(
    denoise_problem: Problem, plan_for: PlanFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DeviceError, match="CUDA graphs, and the device is cpu"):
        plan_for(denoise_problem, accelerate="graphs")
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UsageError, match="needs a C"):
        plan_for(denoise_problem, accelerate="compile")
