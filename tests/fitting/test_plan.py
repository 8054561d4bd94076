"""Plans: every choice is made from the problem and what was asked for. Tuned values are not repeated here."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from restore.errors import DeviceError, UsageError
from restore.fitting import fit, make_plan
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import FitSettings, Plan


def _plan(problem: Problem, **settings: Any) -> Plan:
    return make_plan(problem, FitSettings(**{"device": "cpu", "precision": "float32", **settings}))


def _noise(height: int, width: int, sigma: float = 25.0) -> Problem:
    return denoising(torch.full((1, height, width), 0.5), sigma)


def _holed(hole: Tensor) -> Problem:
    return inpainting(torch.full((3, *hole.shape), 0.5), hole)


def _random_pixels(size: int = 96) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((size, size)) < 0.5)


def _block(width: int, size: int = 128) -> Tensor:
    hole = torch.zeros(size, size, dtype=torch.bool)
    start = (size - width) // 2
    hole[start : start + width, start : start + width] = True
    return hole


def test_denoising_hides_pixels_from_the_hourglass_and_stops_by_held_out_ones() -> None:
    plan = _plan(_noise(96, 96))
    assert (plan.prior, plan.norm, plan.objective, plan.stop) == ("hourglass", "channel", "blindspot", "heldout")
    assert 0 < plan.hidden < 1
    assert 0 < plan.held_out < 0.1
    assert 0 < plan.average < 1


def test_missing_pixels_and_strokes_are_inpainted_blindspot() -> None:
    strokes = torch.zeros(96, 96, dtype=torch.bool)
    strokes[10:80:12, 8:90] = strokes[11:80:12, 8:90] = strokes[12:80:12, 8:90] = True
    for hole, stop in ((_random_pixels(), "heldout"), (strokes, "none")):
        plan = _plan(_holed(hole))
        assert (plan.prior, plan.objective, plan.stop) == ("hourglass", "blindspot", stop)


def test_a_wide_hole_takes_a_fixed_code_of_itself_but_not_against_the_users_word() -> None:
    region = _holed(_block(60))
    assert _plan(region).objective == "fit"
    assert _plan(region, objective="blindspot").objective == "blindspot"
    assert _plan(region, prior="hourglass").prior == "hourglass"
    assert _plan(_holed(_block(8))).objective == "blindspot"


def test_the_decoder_takes_a_fixed_code_of_itself() -> None:
    plan = _plan(_noise(96, 96), prior="decoder")
    assert (plan.prior, plan.objective, plan.code_noise) == ("decoder", "fit", 0.0)


@pytest.mark.parametrize("problem", [_noise(128, 128), _holed(_random_pixels(128)), _holed(_block(60))])
@pytest.mark.parametrize("preset", ["fast", "balanced", "best", "paper"])
def test_what_the_user_says_holds(problem: Problem, preset: str) -> None:
    said = {"norm": "group", "init": "he", "optimizer": "sgd", "learning_rate": 0.007, "iterations": 77, "seed": 5}
    plan = _plan(problem, preset=preset, objective="fit", stop="variance", time_budget=3.5, **said)
    assert {name: getattr(plan, name) for name in said} == said
    assert (plan.objective, plan.stop, plan.time_budget, plan.held_out) == ("fit", "variance", 3.5, 0.0)
    assert (plan.device, plan.precision) == ("cpu", "float32")


@pytest.mark.parametrize("preset", ["balanced", "paper"])
def test_a_rule_that_the_user_names_is_not_dropped(preset: str) -> None:
    plan = _plan(_noise(96, 96), preset=preset, objective="fit", stop="heldout")
    assert plan.stop == "heldout"
    assert plan.held_out > 0


def test_options_of_the_network_are_laid_over_the_presets() -> None:
    plan = _plan(_noise(64, 64), preset="paper:jpeg", network={"skip": (4, 4, 4, 4, 4), "pool": "average"})
    assert plan.network["down"] == (8, 16, 32, 64, 128)
    assert plan.network["skip"] == (4, 4, 4, 4, 4)
    assert plan.network["pool"] == "average"
    assert "pool" not in _plan(_noise(64, 64), preset="paper:jpeg").network


@pytest.mark.parametrize("settings", [{}, {"prior": "dip"}, {"prior": "decoder"}, {"objective": "fit"}])
def test_presets_are_ordered_by_their_work(settings: dict[str, Any]) -> None:
    fast, balanced, best = (
        _plan(_noise(256, 256), preset=preset, **settings).iterations for preset in ("fast", "balanced", "best")
    )
    assert 0 < fast < balanced < best


def test_larger_pictures_take_fewer_steps_but_never_fewer_than_fifty() -> None:
    steps = [_plan(_noise(n, n)).iterations for n in (64, 256, 512, 1024)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == steps[1] > steps[2] > steps[3]
    assert _plan(_noise(4096, 4096), preset="fast").iterations >= 50


def test_steps_depend_on_the_area_alone() -> None:
    sizes = ((256, 1024), (1024, 256), (512, 512))
    assert len({_plan(_noise(*size)).iterations for size in sizes}) == 1


def test_a_tiny_picture_holds_nothing_out() -> None:
    for size in ((1, 1), (8, 8), (30, 30)):
        plan = _plan(_noise(*size))
        assert (plan.held_out, plan.stop) == (0.0, "none")
    known = ~_block(124)  # a large picture of which little is known
    assert int(known.sum()) < 1280
    assert _plan(_holed(~known), objective="blindspot").held_out == 0.0


def test_small_pictures_hold_out_a_larger_share() -> None:
    shares = {n: _plan(_noise(n, n)).held_out for n in (40, 64, 90, 128, 512)}
    assert shares[40] == shares[64] == 0.05
    assert shares[90] * 90 * 90 == pytest.approx(250)
    assert shares[128] == shares[512] == 0.02


def test_no_clock_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_clock() -> float:
        raise AssertionError("a plan must not depend on a clock")

    for name in ("time", "perf_counter", "monotonic", "process_time"):
        monkeypatch.setattr(time, name, no_clock)
    assert _plan(_noise(96, 96), time_budget=60.0) == _plan(_noise(96, 96), time_budget=60.0)


def test_blindspot_is_refused_where_it_cannot_be() -> None:
    problem = _noise(64, 64)
    with pytest.raises(UsageError, match=r"paper.*blindspot"):
        _plan(problem, preset="paper", objective="blindspot")
    with pytest.raises(UsageError, match="'decoder' only takes a small code"):
        fit(problem, _plan(problem, prior="decoder", objective="blindspot", iterations=1))


def test_published_settings_exist_for_two_priors() -> None:
    with pytest.raises(UsageError, match="no published settings for the prior 'hourglass'"):
        _plan(_noise(64, 64), preset="paper", prior="hourglass")
    with pytest.raises(UsageError, match="setting of the prior dip"):
        _plan(_noise(64, 64), preset="paper:kate", prior="decoder")


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="cuda"):
        _plan(_noise(64, 64), device="cuda")


def test_device_and_precision_are_settled() -> None:
    plan = make_plan(_noise(64, 64), FitSettings(device="cpu"))
    assert plan.device == "cpu"
    assert plan.precision in ("float32", "bfloat16")
    assert not math.isnan(plan.learning_rate)


def test_strokes_are_filled_to_the_end_and_single_pixels_are_not() -> None:
    strokes = torch.zeros(128, 128, dtype=torch.bool)
    strokes[20:24, 10:110] = True
    single = torch.rand(128, 128, generator=torch.Generator().manual_seed(0)) < 0.1
    assert _plan(_holed(strokes)).stop == "none"
    assert _plan(_holed(single)).stop == "heldout"
    noisy = inpainting(torch.full((1, 128, 128), 0.5), strokes, 25.0)  # noise can be learned by heart
    assert _plan(noisy).stop == "heldout"
    assert _plan(_holed(strokes), stop="heldout").stop == "heldout"
