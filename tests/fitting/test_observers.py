"""What observers record of constructed steps."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor

from restore.fitting import Step, Trace
from restore.fitting.observers import ReferenceCurve
from restore.problems.problem import Problem, denoising

StepOf = Callable[..., Step]


def test_trace_records_checks_alone(step_of: StepOf) -> None:
    trace = Trace()
    for iteration in range(1, 36):
        check = iteration % 10 == 0
        trace(step_of(iteration, loss=1 / iteration, held_out=2 / iteration if check else None))
    assert trace.iteration == [10, 20, 30]
    assert trace.loss == [1 / 10, 1 / 20, 1 / 30]
    assert trace.held_out == [2 / 10, 2 / 20, 2 / 30]
    assert trace.seconds == pytest.approx([1, 2, 3])
    assert trace.learning_rate == [0.01] * 3


def test_trace_without_held_out_pixels(step_of: StepOf) -> None:
    trace = Trace()
    trace(step_of(10))
    assert (trace.iteration, trace.held_out) == ([10], [])


@pytest.mark.parametrize("kind", ["denoise", "inpaint"])
def test_reference_curve_is_the_psnr_of_what_would_be_written(
    kind: str, denoise_problem: Problem, inpaint_problem: Problem, scene: Tensor, step_of: StepOf
) -> None:
    problem = denoise_problem if kind == "denoise" else inpaint_problem
    curve = ReferenceCurve(problem, scene[None])
    generator = torch.Generator().manual_seed(0)
    image, output = (scene[None] + s * torch.randn(1, 3, 40, 50, generator=generator) for s in (0.1, 0.4))
    curve(step_of(7, image=image, output=output))
    curve(step_of(10, image=image, output=output))
    written = image.clamp(0, 1)
    if kind == "inpaint":
        written = torch.where(problem.known, scene, written)
    truth = scene.numpy()
    assert curve.iteration == [10]
    assert curve.psnr == pytest.approx([peak_signal_noise_ratio(truth, written[0].numpy(), data_range=1)], abs=1e-4)
    clipped = output[0].clamp(0, 1).numpy()
    assert curve.network == pytest.approx([peak_signal_noise_ratio(truth, clipped, data_range=1)], abs=1e-4)


def test_reference_curve_of_a_perfect_image_is_infinite(scene: Tensor, step_of: StepOf) -> None:
    curve = ReferenceCurve(denoising(scene, 25.0), scene[None])
    curve(step_of(10, image=scene[None], output=scene[None]))
    assert curve.psnr == curve.network == [math.inf]
