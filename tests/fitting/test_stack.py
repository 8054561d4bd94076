"""Stacks: every picture's result is that of its lone fit, whatever becomes of the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch

from restore.errors import UsageError
from restore.fitting import Fitted, Step, fit, fit_stack, make_plan
from restore.fitting.observers import ReferenceCurve
from restore.fitting.rescue import Trouble
from restore.fitting.stack import stack_key
from restore.fitting.stacked import can_be_stacked, stacked
from restore.fitting.subject import Subject
from restore.priors import initialise, make_prior
from restore.priors.normalisation import NORMALISATIONS
from restore.problems.noise_level import NoiseLevel
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import FitSettings, Plan

SMALL: dict[str, dict[str, Any]] = {
    "hourglass": {"channels": (16, 20), "tail": 1},
    "dip": {"down": (16, 20), "up": (16, 20), "skip": (4, 4)},
    "decoder": {"channels": 12, "layers": 3},
}


def _problems(count: int, size: tuple[int, int] = (32, 40), kind: str = "denoise") -> list[Problem]:
    generator = torch.Generator().manual_seed(3)
    pictures = [torch.rand(3, *size, generator=generator) for _ in range(count)]
    if kind == "denoise":
        return [denoising(picture, 25.0) for picture in pictures]
    return [inpainting(picture, torch.rand(size, generator=generator) < 0.3) for picture in pictures]


def _plans(problems: Sequence[Problem], prior: str, **values: Any) -> list[Plan]:
    fixed = {"device": "cpu", "precision": "float32", "iterations": 30, "network": SMALL[prior], "prior": prior}
    return [
        make_plan(problem, FitSettings(**{**fixed, **values, "seed": seed})) for seed, problem in enumerate(problems)
    ]


@pytest.fixture
def in_float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All tensors that a fit makes are float64, so that only a wrong formula can make a difference."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _wide(problem: Problem) -> Problem:
    return dataclasses.replace(problem, measurement=problem.measurement.double())


@pytest.mark.parametrize(
    ("prior", "objective"),
    [(prior, objective) for prior in ("hourglass", "dip") for objective in ("fit", "blindspot", "recorrupted")]
    + [("decoder", "fit")],
)
@pytest.mark.usefixtures("in_float64")
def test_in_float64_each_result_is_that_of_the_lone_fit(
    prior: str, objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = [_wide(problem) for problem in _problems(5)]
    if objective == "recorrupted":
        problems = [dataclasses.replace(problem, level=NoiseLevel((25 / 255) ** 2)) for problem in problems]
    plans = _plans(problems, prior, objective=objective, iterations=20)
    lone = [fit(problem, plan) for problem, plan in zip(problems, plans, strict=True)]
    for together in (5, 3, 1):  # networks that are made one
        monkeypatch.setattr("restore.fitting.stack._together", lambda *words, number=together: number)
        results = fit_stack(problems, plans)
        assert results[0].image.dtype == torch.float64
        for fitted, alone in zip(results, lone, strict=True):
            assert (fitted.iterations, fitted.iteration_best) == (alone.iterations, alone.iteration_best)
            torch.testing.assert_close(fitted.image, alone.image, rtol=0, atol=1e-6)
            torch.testing.assert_close(fitted.output, alone.output, rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", NORMALISATIONS)
def test_every_normalisation_acts_per_image(norm: str) -> None:
    priors = []
    for seed in range(3):
        prior = make_prior("hourglass", 3, 3, norm, SMALL["hourglass"])
        initialise(prior, "default", torch.Generator().manual_seed(seed))
        priors.append(prior.double())
    assert can_be_stacked(priors[0])
    whole = stacked(priors)
    shown = torch.rand(3, 3, 16, 24, dtype=torch.float64)
    output = whole(shown)
    for at, prior in enumerate(priors):
        torch.testing.assert_close(output[at : at + 1], prior(shown[at : at + 1]), rtol=0, atol=1e-12)
    shown[1] = 5 * torch.rand(3, 16, 24)
    torch.testing.assert_close(whole(shown)[[0, 2]], output[[0, 2]], rtol=0, atol=1e-12)
    whole(shown)[0].square().sum().backward()
    for parameter in whole.parameters():
        assert parameter.grad is not None and not parameter.grad[1:].any()


@pytest.mark.parametrize("values", [{}, {"optimizer": "sgd", "learning_rate": 0.1}])
def test_in_single_precision_the_quality_is_that_of_the_lone_fit(values: dict[str, Any]) -> None:
    problems = _problems(3, kind="inpaint")
    plans = _plans(problems, "hourglass", iterations=60, **values)
    for problem, plan, fitted in zip(problems, plans, fit_stack(problems, plans), strict=True):
        alone = fit(problem, plan)
        ours, lone = (
            (image - problem.measurement)[problem.known.expand_as(image)] for image in (fitted.image, alone.image)
        )
        difference = 10 * torch.log10(ours.square().mean() / lone.square().mean())
        assert abs(difference.item()) < 0.1
        assert fitted.parameters == alone.parameters and fitted.precision == alone.precision


@pytest.mark.usefixtures("in_float64")
def test_each_picture_has_its_own_end_and_its_own_observers() -> None:
    problems = [_wide(problem) for problem in _problems(4)]
    plans = _plans(problems, "hourglass", iterations=50)
    curves = {place: ReferenceCurve(problem, problem.measurement) for place, problem in enumerate(problems)}

    class Early:
        """Ends the fit of one picture, through its budget."""

        def __init__(self, place: int) -> None:
            self.place = place

        def __call__(self, step: Step) -> None:
            if self.place == 1 and step.iteration == 20:
                object.__setattr__(step, "seconds", 1e9)

    plans = [dataclasses.replace(plan, time_budget=1e8, stop="none") for plan in plans]
    together = fit_stack(problems, plans, lambda place: [curves[place], Early(place)])
    assert [fitted.iterations for fitted in together] == [50, 20, 50, 50]
    assert [fitted.stop_reason for fitted in together] == ["iterations", "time", "iterations", "iterations"]
    for place, fitted in enumerate(together):
        assert curves[place].iteration == fitted.trace.iteration
    alone = fit(problems[3], plans[3])
    torch.testing.assert_close(together[3].image, alone.image, rtol=0, atol=1e-6)


def test_a_picture_in_trouble_is_fitted_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = _problems(3)
    plans = _plans(problems, "decoder", objective="fit")
    troubled = Trouble.of
    seen: list[int] = []

    def of(self: Trouble, loss: float) -> str | None:
        seen.append(1)
        return "made up" if len(seen) == 3 * 4 + 2 else troubled(self, loss)  # the second picture in step 5

    undisturbed = fit_stack(problems, plans)
    monkeypatch.setattr(Trouble, "of", of)
    observed: list[int] = []

    def observe(place: int) -> list[Callable[[Step], None]]:
        observed.append(place)
        return []

    together = fit_stack(problems, plans, observe)
    assert observed == [0, 1, 2, 1]
    monkeypatch.undo()
    alone = fit(problems[1], plans[1])
    assert torch.equal(together[1].image, alone.image)
    for place in (0, 2):
        torch.testing.assert_close(together[place].image, undisturbed[place].image, rtol=0, atol=1e-4)


def test_ctrl_c_keeps_the_best_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = _problems(2)
    plans = _plans(problems, "hourglass")
    advance = Subject.advance

    def pressed(self: Subject, iteration: int, *more: Any) -> Step:
        if iteration == 12:
            raise KeyboardInterrupt
        return advance(self, iteration, *more)

    monkeypatch.setattr(Subject, "advance", pressed)
    together: list[Fitted] = fit_stack(problems, plans)
    assert [(fitted.stop_reason, fitted.iterations) for fitted in together] == [("interrupted", 11)] * 2


def test_after_ctrl_c_nothing_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = _problems(2)
    plans = _plans(problems, "decoder", objective="fit")
    seen: list[int] = []

    def of(self: Trouble, loss: float) -> str | None:
        seen.append(1)
        if len(seen) == 9:
            raise KeyboardInterrupt
        return "made up" if len(seen) == 2 else None

    monkeypatch.setattr(Trouble, "of", of)
    with pytest.raises(KeyboardInterrupt):
        fit_stack(problems, plans)
    assert len(seen) == 9


def test_what_does_not_belong_into_one_stack() -> None:
    problems = _problems(1) + _problems(1, (40, 32))
    plans = _plans(problems, "hourglass")
    with pytest.raises(UsageError, match="one size"):
        fit_stack(problems, plans)
    same = _problems(2)
    with pytest.raises(UsageError, match="settings that differ in the seed alone"):
        fit_stack(same, [*_plans(same, "hourglass")[:1], *_plans(same, "dip")[1:]])
    refined = _plans(same, "hourglass", cell="gru", refine_steps=2, refine_channels=4)
    assert stack_key(same[0], refined[0]) is None
    with pytest.raises(UsageError, match="without a cell"):
        fit_stack(same, refined)
