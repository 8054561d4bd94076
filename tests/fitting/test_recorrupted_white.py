"""White noise of known strength: the picture is shown with more of it, and held-out pixels tell the error."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from restore.errors import UsageError
from restore.fitting import Training, fit, make_plan
from restore.fitting.judge import Fitted
from restore.fitting.network import build_prior
from restore.fitting.plan import is_narrow
from restore.fitting.recorrupted import WHITE_RECORRUPTION, Recorrupted
from restore.fitting.shrinkage import kept_share
from restore.fitting.subject import Subject
from restore.fitting.trace import Step, Trace
from restore.fitting.warm_start import warm_plan
from restore.problems.noise_level import NoiseLevel
from restore.problems.padding import Padding
from restore.problems.problem import Problem, denoising
from restore.settings import FitSettings, Plan

SIGMA = 25.5
ASKED = FitSettings(objective="recorrupted")


def problem_of(measurement: Tensor, level: NoiseLevel | None = None) -> Problem:
    return denoising(measurement, SIGMA, level=level or NoiseLevel((SIGMA / 255) ** 2))


def scene(side: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A smooth grey picture (1, side, side) and the same with noise, unclipped and far from the ends."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.linspace(0, 3, side)
    clean = (0.5 + 0.1 * torch.sin(rows)[:, None] * torch.cos(2 * rows)[None])[None]
    return clean, clean + SIGMA / 255 * torch.randn(clean.shape, generator=generator)


def blurred(image: Tensor) -> Tensor:
    kernel = torch.tensor([[0.0, 0.1, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.0]])[None, None]
    return F.conv2d(F.pad(image, (1, 1, 1, 1), mode="reflect"), kernel)


def test_auto_takes_it_where_the_noise_is_known() -> None:
    problem = problem_of(scene(64)[1])
    plan = make_plan(problem, FitSettings())
    assert (plan.objective, plan.stop, plan.optimizer) == ("recorrupted", "heldout", "muon")
    assert make_plan(dataclasses.replace(problem, level=None), FitSettings()).objective == "blindspot"
    grows = NoiseLevel(0.0, 0.02)
    assert make_plan(dataclasses.replace(problem, level=grows), FitSettings()).objective == "blindspot"  # and is strong
    weak = dataclasses.replace(problem, level=grows, sigma=12.0)
    assert make_plan(weak, FitSettings()).objective == "recorrupted"
    assert make_plan(dataclasses.replace(problem, sigma=0.0), FitSettings()).objective == "blindspot"
    assert make_plan(problem, FitSettings(prior="dip")).objective == "blindspot"
    assert make_plan(problem, FitSettings(cell="scornn")).objective == "blindspot"
    assert make_plan(problem, FitSettings(optimizer="adam")).networks == 1
    with pytest.raises(UsageError, match="strength could be estimated"):
        make_plan(dataclasses.replace(problem, level=None), ASKED)


@pytest.mark.parametrize(("preset", "networks", "steps"), [("fast", 2, 130), ("balanced", 3, 260), ("best", 16, 325)])
@pytest.mark.parametrize("side", [64, 600])
def test_networks_are_narrow_and_many_unless_others_are_asked_for(
    preset: str, networks: int, steps: int, side: int
) -> None:
    problem = problem_of(torch.zeros(1, side, side))
    asked = FitSettings(preset=preset, device="cpu")
    plan = make_plan(problem, asked)
    assert is_narrow(plan) and (plan.networks, plan.iterations, plan.learning_rate) == (networks, steps, 0.045)
    begun = warm_plan(problem, plan, asked)
    assert begun.learning_rate == plan.learning_rate  # blind-spot fits are slower then
    assert begun.iterations == (round(0.65 * steps) if side == 600 else steps)
    own = make_plan(problem, dataclasses.replace(asked, networks=1, learning_rate=0.02, iterations=7))
    assert is_narrow(own) and (own.networks, own.iterations, own.learning_rate) == (1, 7, 0.02)


@pytest.mark.parametrize(
    ("sigma", "side", "narrow"), [(19.9, 256, False), (20.0, 256, True), (15.0, 160, False), (15.0, 128, True)]
)
def test_weak_noise_keeps_the_width_of_the_prior(sigma: float, side: int, narrow: bool) -> None:
    problem = dataclasses.replace(problem_of(torch.zeros(1, side, side)), sigma=sigma)
    plan = make_plan(problem, FitSettings(device="cpu"))
    assert plan.objective == "recorrupted" and is_narrow(plan) == narrow
    assert (plan.networks, plan.learning_rate) == ((3, 0.045) if narrow else (2, 0.03))


def test_networks_of_another_width_do_not_begin_on_the_middle() -> None:
    """Its own plan has narrow networks here, the whole's has not."""
    problem = dataclasses.replace(problem_of(torch.zeros(1, 136, 1000)), sigma=19.8)
    asked = FitSettings(device="cpu")
    plan = make_plan(problem, asked)
    assert not is_narrow(plan) and warm_plan(problem, plan, asked) == plan
    weaker = dataclasses.replace(problem, sigma=19.0)
    assert warm_plan(weaker, make_plan(weaker, asked), asked).warm_start > 0


@pytest.mark.parametrize(
    "words",
    [
        {"network": {"channels": (32, 48)}},
        {"prior": "dip"},
        {"cell": "scornn", "optimizer": "muon"},
        {"optimizer": "adam"},
        {"objective": "blindspot"},
    ],
)
def test_other_networks_keep_their_schedule(words: dict[str, Any]) -> None:
    plan = make_plan(problem_of(scene(64)[1]), FitSettings(**{"objective": "recorrupted", **words}))
    assert not is_narrow(plan) and plan.learning_rate <= 0.03 and plan.networks <= 2
    assert plan.network.get("channels") in (None, (32, 48))


def test_what_is_asked_for_knows_nothing_of_what_is_shown() -> None:
    level = NoiseLevel(0.0, 0.02)  # grows with the light
    light = torch.linspace(0.3, 0.7, 64)[None, :, None].expand(1, 64, 64)
    products, shown_power, asked_power = [], [], []
    for seed in range(80):
        noise = torch.randn(light.shape, generator=torch.Generator().manual_seed(seed)) * (0.02 * light).sqrt()
        problem = problem_of(light + noise, level)
        plan = make_plan(problem, ASKED)
        nobody = torch.zeros_like(problem.known)
        objective = Recorrupted(
            problem, plan, Padding((64, 64), 16, 32), nobody, torch.Generator().manual_seed(1000 + seed)
        )
        draw = objective.draw()
        assert draw.target is not None
        shown, asked = draw.input[0] - light, draw.target[0] - light
        products.append(shown * asked)
        shown_power.append(shown.square())
        asked_power.append(asked.square())
    for half in (slice(0, 32), slice(32, 64)):  # in the dark and in the light
        power = float((0.02 * light[:, half]).mean())
        assert abs(float(torch.stack(products)[:, :, half].mean())) < 0.05 * power
        for values, tau in ((shown_power, WHITE_RECORRUPTION), (asked_power, 1 / WHITE_RECORRUPTION)):
            assert float(torch.stack(values)[:, :, half].mean()) == pytest.approx(power * (1 + tau**2), rel=0.05)


def filtered(problem: Problem, plan: Plan, steps: int, better_by: float = 0.0) -> tuple[Subject, list[Step]]:
    """A fixed filter stands for the network: its true error is known, and so is its covariance with the noise.

    With `better_by` it is that much too bright before the last step, for every step that is left.
    """
    subject = Subject(problem, plan, build_prior(problem, plan))
    taken = []
    for iteration in range(1, steps + 1):
        draw = subject.draw()
        image, score = subject.score(blurred(draw.input) + better_by * (steps - iteration), draw)
        if looks := subject.looks(iteration):
            subject.look([blurred(look.input) for look in looks], looks)
        taken.append(subject.advance(iteration, image, score.loss.item(), score.misfit.item(), 0.0, 0.0))
    return subject, taken


def rough(side: int) -> tuple[Tensor, Tensor]:
    """A picture whose pixels say nothing of their neighbours, and the same with noise."""
    clean = 0.5 + 0.3 * torch.sign(torch.randn(1, side, side, generator=torch.Generator().manual_seed(5)))
    return clean, clean + SIGMA / 255 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(6))


def test_the_held_out_error_is_that_of_an_image_that_knows_the_noise() -> None:
    clean, noisy = rough(256)
    problem = problem_of(noisy)
    subject, taken = filtered(problem, dataclasses.replace(make_plan(problem, ASKED), held_out=0.1), 40)
    variance = (SIGMA / 255) ** 2
    assert subject.covariance == pytest.approx(0.6 * variance, rel=0.03)
    error, _ = subject.held_out_error(taken[-1].image)
    assert error is not None
    wrong = (taken[-1].image - clean).square()
    true = float(wrong[subject.held_out].mean())
    assert error - variance == pytest.approx(true, rel=0.06)
    # Looks show the held-out pixels, so they are nearly as good as the others; as they were filled in, they are not.
    assert true == pytest.approx(float(wrong[~subject.held_out].mean()), rel=0.1)
    assert subject.average.image is not None
    assert float((subject.average.image - clean).square()[subject.held_out].mean()) > 2 * true


def test_looks_are_not_shown_where_filled_pixels_are_better() -> None:
    """This filter keeps 0.6 of the noise that it is shown, and on a smooth picture neighbours are all that it needs."""
    clean, noisy = scene(256)
    problem = problem_of(noisy)
    subject, taken = filtered(problem, dataclasses.replace(make_plan(problem, ASKED), held_out=0.1), 40)
    assert torch.equal(taken[-1].image, subject.average.image) and subject.covariance == 0
    error, _ = subject.held_out_error(taken[-1].image)
    assert error is not None
    true = float((taken[-1].image - clean).square()[subject.held_out].mean())
    variance, count = (SIGMA / 255) ** 2, int(subject.held_out.sum())
    assert error - variance == pytest.approx(true, abs=3 * variance * (2 / count) ** 0.5)  # chi squared of the noise


@pytest.mark.parametrize("varies", [False, True])
def test_a_smooth_picture_is_stopped_by_filled_pixels_and_their_leverage(varies: bool) -> None:
    clean, noisy = scene(256)
    level = NoiseLevel(0.0, 0.03)
    if varies:  # its root mean square is not the deviation that the problem names
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
        noisy = clean + (0.03 * clean).sqrt() * noise
    problem = problem_of(noisy, level if varies else None)
    subject, taken = filtered(problem, dataclasses.replace(make_plan(problem, ASKED), held_out=0.1), 40)
    assert subject.average.image is not None
    # The filter keeps 0.6 of a pixel and takes 0.4 of its neighbours, which is all that there is when it is filled.
    variance = 0.03 * float(clean.mean()) if varies else (SIGMA / 255) ** 2
    blind = float((subject.average.image - clean).square()[subject.held_out].mean())
    expected = 0.4**2 * blind + 0.6**2 * variance
    assert taken[-1].held_out is not None
    assert taken[-1].held_out - (SIGMA / 255) ** 2 == pytest.approx(expected, rel=0.06)
    assert [step.iteration for step in taken if step.held_out is not None] == [10, 20, 30, 40]


def test_a_rough_picture_is_stopped_by_steins_estimate() -> None:
    problem = problem_of(rough(256)[1])
    subject, taken = filtered(problem, dataclasses.replace(make_plan(problem, ASKED), held_out=0.1), 10)
    assert taken[-1].held_out == subject.held_out_error(taken[-1].image)[0]
    assert subject.covariance > 0


@pytest.mark.parametrize("better_by", [0.0, 0.05])
def test_looks_say_nothing_while_the_average_lags(better_by: float) -> None:
    """Of networks that get better with every step, the average of their images is worse than the last one."""
    problem = problem_of(rough(256)[1])
    plan = dataclasses.replace(make_plan(problem, ASKED), held_out=0.1)
    subject, taken = filtered(problem, plan, 10, better_by)
    lags = better_by > 0
    assert (subject.covariance == 0) == lags == torch.equal(taken[-1].image, subject.average.image)


def test_a_network_that_knows_the_picture_is_looked_at_after_one_step() -> None:
    """As a whole that begins on its middle: a single image lags behind nothing."""
    problem = problem_of(rough(256)[1])
    plan = dataclasses.replace(make_plan(problem, ASKED), held_out=0.1, iterations=1)
    subject, taken = filtered(problem, plan, 1)
    assert subject.covariance > 0 and not torch.equal(taken[-1].image, subject.average.image)


@pytest.mark.parametrize("impulses", [0.0, 0.2])
def test_held_out_pixels_teach_nothing(impulses: float) -> None:
    noisy = scene(64)[1]
    known = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(3)) >= impulses
    problem = dataclasses.replace(problem_of(noisy), known=known)
    plan = dataclasses.replace(make_plan(problem, ASKED), held_out=0.1, iterations=12, precision="float32")
    plan = dataclasses.replace(plan, network={"channels": (8, 8), "tail": 1})
    held_out = Training(problem, plan).held_out
    other = dataclasses.replace(problem, measurement=torch.where(held_out, 0.3, problem.measurement))
    first, second = fit(problem, plan), fit(other, plan)
    assert first.trace.loss == second.trace.loss
    assert torch.equal(first.output, second.output)
    assert torch.equal(first.last[~held_out], second.last[~held_out])  # the one that is kept is chosen by them
    assert first.trace.held_out != second.trace.held_out  # but they are shown in looks, and judge


def test_what_fills_an_impulse_knows_no_more_than_its_neighbours() -> None:
    """The fill has their noise, and what is asked of them must have nothing to do with it."""
    known = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(3)) >= 0.2
    lone = torch.zeros_like(known)
    lone[..., ::2, ::2] = ~known[..., ::2, ::2]
    products = []
    for seed in range(60):
        noise = SIGMA / 255 * torch.randn(1, 64, 64, generator=torch.Generator().manual_seed(seed))
        problem = dataclasses.replace(problem_of(0.5 + noise), known=known)
        objective = Recorrupted(
            problem,
            make_plan(problem, ASKED),
            Padding((64, 64), 16, 32),
            torch.zeros_like(known),
            torch.Generator().manual_seed(1000 + seed),
        )
        draw = objective.draw()
        assert draw.target is not None
        shown, asked = draw.input - 0.5, draw.target - 0.5
        products.append((shown * torch.roll(asked, 1, -1))[lone & torch.roll(known, 1, -1)])
    assert abs(float(torch.cat(products).mean())) < 0.03 * (SIGMA / 255) ** 2


def test_a_look_that_is_not_finite_is_not_taken_in() -> None:
    problem = problem_of(scene(64)[1])
    subject = Subject(problem, make_plan(problem, ASKED), build_prior(problem, make_plan(problem, ASKED)))
    looks = subject.looks(10)
    subject.look([torch.full_like(looks[0].input, float("nan"))] * 2, looks)
    step = subject.advance(10, problem.measurement, 0.0, 0.0, 0.0, 0.0)
    assert torch.equal(step.image, problem.measurement) and subject.covariance == 0
    assert step.held_out is not None and np.isfinite(step.held_out)


def test_clipped_values_do_not_judge() -> None:
    clean, _ = scene(64)
    dark = torch.cat([clean[:, :32], torch.zeros_like(clean[:, 32:])], dim=1)
    noisy = (dark + SIGMA / 255 * torch.randn(dark.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    problem = problem_of(noisy)
    plan = make_plan(problem, ASKED)
    tenth = torch.rand(problem.known.shape, generator=torch.Generator().manual_seed(1)) < 0.1
    objective = Recorrupted(problem, plan, Padding((64, 64), 16, 32), tenth, torch.Generator())
    assert not objective.judged[..., 36:, :].any()
    assert torch.equal(objective.judged[..., :28, :], tenth[..., :28, :])
    assert objective.variance is not None
    assert float(objective.variance[..., 36:, :].mean()) < 0.5 * float(objective.variance[..., :28, :].mean())


def test_clipped_values_have_a_say_in_the_stop() -> None:
    """Noise is learned by heart in black and white first; pixels that were not clipped do not show it."""
    clean, _ = scene(64)
    dark = torch.cat([clean[:, :32], torch.zeros_like(clean[:, 32:])], dim=1)
    noisy = (dark + SIGMA / 255 * torch.randn(dark.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    problem = problem_of(noisy)
    plan = dataclasses.replace(make_plan(problem, ASKED), held_out=0.1, device="cpu")
    worse = dark.clone()
    worse[:, 36:] += 0.2
    told = []
    for image in (dark[None], worse[None]):
        subject = Subject(problem, plan, build_prior(problem, plan))
        looks = subject.looks(10)
        subject.look([image, image], looks)  # the same for opposite noise: no leverage
        told.append((subject.advance(10, image, 0.0, 0.0, 0.0, 0.0).held_out, subject.held_out_error(image)[0]))
    (best, judged), (stopping, still) = told
    assert judged == still
    wrong = (worse[None] - problem.measurement).square() - (dark[None] - problem.measurement).square()
    assert stopping - best == pytest.approx(float(wrong[subject.held_out].mean()), rel=1e-3)
    assert stopping > 1.2 * best


def fitted_with(error: float | None, covariance: float) -> Fitted:
    image = torch.zeros(1, 1, 2, 2)
    return Fitted(
        image, image, image, 1, 1, "iterations", 0.0, error, 0.0, 0, "float32", (), (), Trace(),
        held_out_covariance=covariance,
    )  # fmt: skip


def test_how_much_of_the_measurement_is_kept() -> None:
    noisy = scene(64)[1]
    problem, variance = problem_of(noisy), (SIGMA / 255) ** 2
    plan = make_plan(problem, FitSettings(device="cpu"))
    assert kept_share(problem, plan, fitted_with(1.2 * variance, 0.0)) == 0.0  # a good image of a noisy picture
    clean = dataclasses.replace(problem, sigma=0.1, level=NoiseLevel((0.1 / 255) ** 2))
    assert kept_share(clean, plan, fitted_with(1e-3, 0.0)) == pytest.approx(1, abs=1e-3)
    assert kept_share(dataclasses.replace(clean, level=None), plan, fitted_with(1e-3, 0.0)) == 0.0
    assert kept_share(clean, plan, fitted_with(None, 0.0)) == 0.0
    nothing = dataclasses.replace(problem, sigma=0.0, level=None)
    assert kept_share(nothing, plan, fitted_with(None, 0.0)) == 1.0
    assert kept_share(nothing, dataclasses.replace(plan, objective="fit"), fitted_with(None, 0.0)) == 0.0
    # An image that is the measurement itself is not to be changed, and nothing overflows.
    assert 0 <= kept_share(problem, plan, fitted_with(2 * variance, variance)) <= 1


def test_the_best_weight_is_kept_where_the_image_is_bad() -> None:
    """The least error over all weights, by trying them, lies at v; the weight taken is 2 v - 1."""
    clean, noisy = scene(256)
    problem = problem_of(noisy)
    plan = make_plan(problem, FitSettings(device="cpu"))
    bad = torch.full_like(clean, 0.5) + 0.3  # 0.3 off everywhere: much worse than the noise
    error = float((bad - noisy).square().mean())
    weights = np.linspace(0, 1, 201)
    best = weights[np.argmin([float((bad + w * (noisy - bad) - clean).square().mean()) for w in weights])]
    assert kept_share(problem, plan, fitted_with(error, 0.0)) == pytest.approx(2 * best - 1, abs=0.02)
