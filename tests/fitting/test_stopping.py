"""Stopping rules on constructed sequences of steps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from restore.errors import UsageError
from restore.fitting import Step
from restore.fitting.stopping import RULES, Discrepancy, HeldOut, Never, Verdict, WindowedVariance, make_rule
from restore.problems.noise_level import NoiseLevel
from restore.problems.problem import Problem
from restore.settings import CHOICES, Plan

StepOf = Callable[..., Step]
PlanFor = Callable[..., Plan]


def test_names_are_those_of_the_settings() -> None:
    assert set(RULES) == set(CHOICES["stop"]) - {"auto"}


def test_never_keeps_the_image_of_every_check(step_of: StepOf) -> None:
    rule = Never()
    for iteration in range(1, 51):
        assert rule(step_of(iteration)) == Verdict(best=iteration % 10 == 0)


def _held_out(step_of: StepOf, errors: Sequence[float], warmup: int, patience: int) -> tuple[list[int], int | None]:
    """Return at which steps the rule saw the best image so far, and when it stopped; one error a check of 10 steps."""
    rule, best = HeldOut(warmup, patience), []
    for iteration in range(1, 10 * len(errors) + 1):
        check = iteration % 10 == 0
        verdict = rule(step_of(iteration, held_out=errors[iteration // 10 - 1] if check else None))
        if verdict.best:
            best.append(iteration)
        if verdict.stop:
            assert verdict.stop == "heldout"
            return best, iteration
    return best, None


def test_held_out_stops_after_its_patience(step_of: StepOf) -> None:
    errors = [9, 7, 5, 6, 4, 5, 5, 4, 5, 5, 5]
    assert _held_out(step_of, errors, warmup=0, patience=40) == ([10, 20, 30, 50], 90)


def test_held_out_waits_anew_from_every_minimum(step_of: StepOf) -> None:
    errors = [9, 9, 9, 8, 9, 9, 7, 9, 9, 9]
    assert _held_out(step_of, errors, warmup=0, patience=30) == ([10, 40, 70], 100)


def test_held_out_does_not_stop_during_the_warmup(step_of: StepOf) -> None:
    errors = [1, *[2] * 20]
    assert _held_out(step_of, errors, warmup=0, patience=20) == ([10], 30)
    assert _held_out(step_of, errors, warmup=100, patience=20) == ([10], 110)


def test_held_out_goes_on_while_the_error_falls(step_of: StepOf) -> None:
    assert _held_out(step_of, [1 / n for n in range(1, 40)], warmup=0, patience=10)[1] is None


def test_held_out_is_not_deceived_by_an_error_that_is_no_number(step_of: StepOf) -> None:
    assert _held_out(step_of, [3, math.nan, 2, math.nan, math.nan], warmup=0, patience=50)[0] == [10, 30]


def test_held_out_without_an_error_says_nothing(step_of: StepOf) -> None:
    rule = HeldOut(0, 10)
    assert all(rule(step_of(i)) == Verdict(best=False) for i in range(1, 200))


def _variance_verdicts(
    outputs: np.ndarray, misfits: Sequence[float], warmup: int, patience: int, level: float, window: int
) -> list[Verdict]:
    """Judge by the definition: the variance of each window is computed anew."""
    verdicts: list[Verdict] = []
    least, found = math.inf, 0
    for iteration in range(1, len(outputs) + 1):
        last = outputs[max(0, iteration - window) : iteration]
        counts = len(last) == window and iteration > warmup and misfits[iteration - 1] <= level
        variance = np.mean([((x - last.mean(0)) ** 2).mean() for x in last])
        if not counts:
            verdicts.append(Verdict(best=iteration % 10 == 0 and not found))
        elif variance < least:
            least, found = float(variance), iteration
            verdicts.append(Verdict(best=True))
        else:
            verdicts.append(Verdict(best=False, stop="variance" if iteration - found >= patience else None))
            if verdicts[-1].stop:
                break
    return verdicts


def _valley(steps: int, bottom: int) -> np.ndarray:
    """Return outputs of changing spread, least around step `bottom`, which drift besides."""
    rng = np.random.default_rng(0)
    shape = (steps, 1, 1, 1, 1)
    spread = (0.05 + np.abs(np.arange(steps) - bottom) / steps).reshape(shape)
    drift = np.linspace(0, 0.5, steps).reshape(shape)
    return 0.5 + drift + spread * rng.normal(size=(steps, 1, 3, 8, 9))


@pytest.mark.parametrize("window", [5, 20])
@pytest.mark.parametrize("warmup", [0, 60, 130])
@pytest.mark.parametrize("level", [0.5, math.inf])
def test_variance_agrees_with_its_definition(step_of: StepOf, window: int, warmup: int, level: float) -> None:
    outputs = _valley(steps=260, bottom=110).astype(np.float32)
    misfits = np.where(np.arange(260) % 7 == 3, 0.6, 0.4) * np.where(np.arange(260) < 40, 2, 1)
    expected = _variance_verdicts(outputs.astype(np.float64), misfits.tolist(), warmup, 40, level, window)
    rule = WindowedVariance(warmup, 40, level, window)
    verdicts = []
    for iteration, (output, misfit) in enumerate(zip(torch.from_numpy(outputs), misfits.tolist(), strict=True), 1):
        verdicts.append(rule(step_of(iteration, output=output, misfit=misfit)))
        if verdicts[-1].stop:
            break
    assert verdicts == expected
    assert verdicts[-1].stop == "variance"


def test_variance_is_not_deceived_by_an_early_valley(step_of: StepOf) -> None:
    # An output that hardly moves before the network has begun: the least variance of all, at a large misfit.
    outputs = _valley(steps=260, bottom=150)
    outputs[:40] = 0.5
    misfits = [1.0] * 60 + [0.01] * 200

    def stop(warmup: int, level: float) -> int:
        rule = WindowedVariance(warmup, 50, level, window=10)
        for iteration, (output, misfit) in enumerate(zip(outputs, misfits, strict=True), 1):
            if rule(step_of(iteration, output=torch.from_numpy(output), misfit=misfit)).stop:
                return iteration
        return 0

    assert stop(warmup=0, level=math.inf) < 100
    assert 190 < stop(warmup=60, level=math.inf) < 230
    assert 190 < stop(warmup=0, level=0.02) < 230


def test_variance_may_look_at_a_part_of_the_pixels(step_of: StepOf) -> None:
    outputs = _valley(steps=200, bottom=80)

    def minimum(pixels: int) -> int:
        rule, best = WindowedVariance(0, 60, math.inf, window=10, pixels=pixels), 0
        for iteration, output in enumerate(outputs, 1):
            verdict = rule(step_of(iteration, output=torch.from_numpy(output)))
            best = iteration if verdict.best else best
        return best

    assert minimum(pixels=70) == pytest.approx(minimum(pixels=216), abs=15)


def test_variance_keeps_no_hold_of_the_outputs(step_of: StepOf) -> None:
    outputs = torch.from_numpy(_valley(steps=120, bottom=60)).float()
    buffer = torch.empty_like(outputs[0])
    kept, reused = (WindowedVariance(0, 30, math.inf, window=10) for _ in range(2))
    for iteration, output in enumerate(outputs, 1):
        buffer.copy_(output)  # an output that is overwritten by the next must give the same verdict
        assert kept(step_of(iteration, output=output)) == reused(step_of(iteration, output=buffer))


def test_discrepancy_stops_at_the_level(step_of: StepOf) -> None:
    level, misfits = 0.01, [0.1 * 0.9**n for n in range(100)]
    rule, smooth, stopped = Discrepancy(level), misfits[0], None
    for iteration, misfit in enumerate(misfits, 1):
        smooth = 0.9 * smooth + 0.1 * misfit
        verdict = rule(step_of(iteration, misfit=misfit))
        assert verdict.best == (iteration % 10 == 0 or smooth <= level)
        if verdict.stop:
            stopped = iteration
            break
        assert smooth > level
    assert stopped is not None
    assert verdict == Verdict(best=True, stop="discrepancy")
    assert smooth <= level


def test_one_lucky_step_does_not_stop_the_discrepancy(step_of: StepOf) -> None:
    rule = Discrepancy(0.01)
    for iteration in range(1, 60):
        assert rule(step_of(iteration, misfit=0.001 if iteration == 30 else 0.05)).stop is None


@pytest.mark.parametrize(
    ("stop", "kind"),
    [("heldout", HeldOut), ("variance", WindowedVariance), ("discrepancy", Discrepancy), ("none", Never)],
)
def test_rules_by_name(stop: str, kind: type, denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(denoise_problem, objective="fit", stop=stop, held_out=0.1, warmup=17, patience=23)
    rule = make_rule(plan, 25.0)
    assert type(rule) is kind
    if isinstance(rule, HeldOut | WindowedVariance):
        assert (rule.warmup, rule.patience) == (17, 23)
    if isinstance(rule, Discrepancy):
        assert rule.level == pytest.approx((25 / 255) ** 2)


def test_variance_has_the_published_window_and_a_guard_at_twice_the_noise(
    denoise_problem: Problem, plan_for: PlanFor
) -> None:
    plan = plan_for(denoise_problem, objective="fit", stop="variance")
    rule, without_noise = make_rule(plan, 25.0), make_rule(plan, 0.0)
    assert isinstance(rule, WindowedVariance)
    assert isinstance(without_noise, WindowedVariance)
    assert rule.window == 100
    assert rule.level == pytest.approx(2 * (25 / 255) ** 2)
    assert without_noise.level == math.inf


@pytest.mark.parametrize(("objective", "factor"), [("blindspot", 2), ("recorrupted", 2 + 1 / 0.49)])
def test_the_guard_counts_the_noise_of_what_the_image_is_compared_with(
    objective: str, factor: float, denoise_problem: Problem, plan_for: PlanFor
) -> None:
    """A perfect image is a minimum of the variance under every objective; one as wrong as the noise is none."""
    problem = dataclasses.replace(denoise_problem, level=NoiseLevel((25 / 255) ** 2))
    plan = plan_for(problem, objective=objective, stop="variance")
    rule, linked = make_rule(plan, 25.0), make_rule(plan, 25.0, correlated=True)
    assert isinstance(rule, WindowedVariance) and isinstance(linked, WindowedVariance)
    assert rule.level == pytest.approx(factor * (25 / 255) ** 2)
    assert linked.level == pytest.approx((3 if objective == "recorrupted" else 2) * (25 / 255) ** 2)


def test_discrepancy_is_refused_without_noise(denoise_problem: Problem, plan_for: PlanFor) -> None:
    plan = plan_for(denoise_problem, objective="fit", stop="discrepancy")
    for sigma in (0.0, math.nan):
        with pytest.raises(UsageError, match="sigma is 0"):
            make_rule(plan, sigma)


def test_discrepancy_is_refused_on_hidden_pixels(denoise_problem: Problem, plan_for: PlanFor) -> None:
    with pytest.raises(UsageError, match="--objective fit"):
        make_rule(plan_for(denoise_problem, objective="blindspot", stop="discrepancy"), 25.0)
