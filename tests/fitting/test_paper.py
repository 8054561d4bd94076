"""The published settings, item by item, as the authors' notebooks have them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from restore.fitting import build_prior, fit, make_plan
from restore.fitting.paper import DIP_SETTINGS, choose
from restore.priors import DIPOptions
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import PAPER_PRESETS, FitSettings, Plan

# Channels down and up, skip, kernels down and up, upsampling, last 1x1, downsampling; code, its channels and noise;
# rate, steps, decay of the average. Denoising and decompression average their outputs, the others take the last one.
FIVE, SIX = (128,) * 5, (16, 32, 64, 128, 128, 128)
RISING = (8, 16, 32, 64, 128)
TABLE: dict[str, tuple[Any, ...]] = {
    "f16": (FIVE, (4,) * 5, 3, 3, "bilinear", True, "stride", "noise", 32, 1 / 30, 0.01, 3000, 0.99),
    "jpeg": (RISING, (0, 0, 0, 4, 4), 3, 3, "bilinear", True, "stride", "noise", 3, 1 / 30, 0.01, 2400, 0.99),
    "vase": (FIVE, (0,) * 5, 3, 3, "nearest", True, "stride", "meshgrid", 2, 0.03, 0.01, 5001, 0.0),
    "kate": (FIVE, FIVE, 3, 3, "nearest", True, "stride", "noise", 32, 0.03, 0.01, 6001, 0.0),
    "library": (SIX, (0,) * 6, 5, 3, "nearest", False, "stride", "noise", 1, 0.0, 0.01, 3001, 0.0),
    "pixels": (FIVE, (4,) * 5, 3, 3, "bilinear", True, "stride", "noise", 32, 0.03, 0.001, 11000, 0.0),
    "kate98": ((16, 32, 64, 128, 128), (0,) * 5, 3, 3, "bilinear", True, "average", "noise", 32, 0.0, 0.01, 1000, 0.0),
}
every_preset = pytest.mark.parametrize("name", PAPER_PRESETS)


def _plan(problem: Problem, preset: str, **settings: Any) -> Plan:
    return make_plan(problem, FitSettings(preset=preset, device="cpu", precision="float32", **settings))


def _problem(size: int = 64, channels: int = 3) -> Problem:
    picture = torch.rand(channels, size, size, generator=torch.Generator().manual_seed(0))
    return inpainting(picture, torch.rand(size, size, generator=torch.Generator().manual_seed(1)) < 0.5)


def test_every_name_has_settings() -> None:
    assert set(PAPER_PRESETS) == set(DIP_SETTINGS) == set(TABLE)


@every_preset
def test_plan_is_the_published_one(name: str) -> None:
    plan = _plan(_problem(), f"paper:{name}")
    o = DIPOptions(**plan.network)
    assert o.up == o.down
    assert set(o.upsample_modes) <= {"bilinear", "nearest"}
    (mode,) = set(o.upsample_modes)
    assert (
        *(o.down, o.skip, o.kernel_down, o.kernel_up, mode, o.pointwise_up, o.pool),
        *(plan.code, plan.code_channels, plan.code_noise, plan.learning_rate, plan.iterations, plan.average),
    ) == TABLE[name]


@every_preset
def test_what_all_published_fits_share(name: str) -> None:
    plan = _plan(_problem(), f"paper:{name}")
    assert (plan.prior, plan.norm, plan.init) == ("dip", "channel", "default")
    assert (plan.objective, plan.loss) == ("fit", "squared")
    assert (plan.optimizer, plan.beta2, plan.stop, plan.held_out, plan.rewind_rate) == ("adam", 0.999, "none", 0.0, 1.0)
    assert not plan.residual
    assert plan.clipping == "keep"  # the published figures are of what the network made


@every_preset
def test_runs_at_its_smallest_size(name: str) -> None:
    problem = _problem(192 if name == "library" else 64)
    plan = dataclasses.replace(_plan(problem, f"paper:{name}"), iterations=1)
    prior = build_prior(problem, plan)
    assert prior.minimum == problem.size[0]
    fitted = fit(problem, plan)
    assert fitted.image.shape == problem.measurement.shape
    assert 0 < fitted.image.min() < fitted.image.max() < 1
    assert fitted.parameters == sum(p.numel() for p in prior.parameters())


@pytest.mark.parametrize(("name", "count"), [("f16", 2_217_831), ("kate", 3_002_627)])
def test_parameters_as_published(name: str, count: int) -> None:
    problem = _problem()
    assert sum(p.numel() for p in build_prior(problem, _plan(problem, f"paper:{name}")).parameters()) == count


def test_published_decoder() -> None:
    problem = denoising(torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)), 25.0)
    plan = _plan(problem, "paper", prior="decoder")
    assert (plan.objective, plan.code, plan.code_noise, plan.learning_rate, plan.iterations) == (
        *("fit", "noise", 0.0, 0.01, 1900),
    )
    assert (plan.norm, plan.init, plan.loss, plan.beta2, plan.stop, plan.average) == (
        *("channel", "default", "squared", 0.999, "none", 0.0),
    )
    assert sum(p.numel() for p in build_prior(problem, plan).parameters()) == 100_224
    assert fit(problem, dataclasses.replace(plan, iterations=2)).image.shape == (1, 3, 64, 64)


@pytest.mark.parametrize(("sigma", "noise"), [(15, 1 / 30), (25, 1 / 30), (50, 1 / 20), (75, 1 / 20)])
def test_strong_noise_takes_a_noisier_code(sigma: float, noise: float) -> None:
    assert _plan(denoising(torch.full((3, 64, 64), 0.5), sigma), "paper").code_noise == noise


def _hole(rows: slice, columns: slice) -> Tensor:
    hole = torch.zeros(96, 96, dtype=torch.bool)
    hole[rows, columns] = True
    return hole


def _share(missing: float) -> Tensor:
    return torch.rand(96, 96, generator=torch.Generator().manual_seed(0)) < missing


@pytest.mark.parametrize(
    ("hole", "name"),
    [
        (_hole(slice(0, 96, 3), slice(0, 96, 3)), "pixels"),
        (_share(0.98), "kate98"),
        (_hole(slice(40, 45), slice(10, 80)), "kate"),
        (_hole(slice(20, 70), slice(20, 70)), "vase"),
    ],
)
def test_paper_alone_picks_by_the_hole(hole: Tensor, name: str) -> None:
    problem = inpainting(torch.full((3, 96, 96), 0.5), hole)
    assert choose(problem) == name
    assert _plan(problem, "paper") == _plan(problem, f"paper:{name}")


def test_paper_alone_denoises_with_the_denoising_settings() -> None:
    problem = denoising(torch.full((3, 64, 64), 0.5), 25.0)
    assert _plan(problem, "paper") == _plan(problem, "paper:f16")
