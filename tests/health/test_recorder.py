"""The recorder: its norms are those of autograd, it changes nothing, and it looks only when it should."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from restore.fitting import Training, fit, make_plan
from restore.fitting.rescue import Rescue
from restore.health import HealthRecord, HealthRecorder
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import FitSettings, Plan

NETWORK = {"channels": (8, 8), "tail": 1}


@pytest.fixture
def problem() -> Problem:
    """A 32x32 colour picture of noise, to be denoised."""
    return denoising(torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)), 25.0)


def _plan(problem: Problem, **values: Any) -> Plan:
    wanted = {"device": "cpu", "precision": "float32", "network": NETWORK, "stop": "none", "iterations": 6, **values}
    return make_plan(problem, FitSettings(**wanted))


def _gradients(training: Training) -> dict[str, torch.Tensor]:
    """Return the gradients of the next step by hand, by parameter, for a training whose draws are those of its twin."""
    draw = training._objective.draw()
    image = training._objective.image(training.prior(*draw.inputs), draw)
    loss = training._objective.score(image, draw).loss
    named = dict(training.prior.named_parameters())
    return dict(zip(named, torch.autograd.grad(loss, list(named.values()), allow_unused=True), strict=True))


def _first_look(training: Training) -> HealthRecord:
    """Do one step and return what a recorder saw of it."""
    recorder = HealthRecorder()
    recorder.attach(training)
    step = training.step(1)
    assert step is not None
    recorder(step)
    return recorder.record


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_norms_are_those_of_autograd_by_hand(problem: Problem, optimizer: str) -> None:
    plan = _plan(problem, optimizer=optimizer)
    watched, twin = Training(problem, plan), Training(problem, plan)
    before = {name: p.detach().clone() for name, p in watched.prior.named_parameters()}
    gradients = _gradients(twin)
    record = _first_look(watched)
    after = dict(watched.prior.named_parameters())
    for at, layer in enumerate(record.layers):
        name = f"{layer}.weight"
        gradient, weight = gradients[name].norm().item(), before[name].norm().item()
        change = (after[name].detach() - before[name]).norm().item()
        assert record.gradient_norm[0][at] == pytest.approx(gradient, rel=1e-6)
        assert record.weight_norm[0][at] == pytest.approx(weight, rel=1e-6)
        assert record.update_ratio[0][at] == pytest.approx(change / weight, rel=1e-5)
        assert record.scaled_norm[0, at] == pytest.approx(gradient * weight, rel=1e-6)
    everything = math.sqrt(sum(g.square().sum().item() for g in gradients.values() if g is not None))
    assert record.global_norm == [pytest.approx(everything, rel=1e-6)]


def test_layers_are_all_there_in_the_order_of_the_forward_pass(problem: Problem) -> None:
    recorder = HealthRecorder()
    fitted = fit(problem, _plan(problem), [recorder])
    assert fitted.iterations == 6
    assert recorder.record.layers == [
        *("stem.0", "down.0.0.0", "down.0.1.0", "lateral.0", "up.0.0", "tail.0.0", "head"),
    ]


def test_activations_are_those_that_reach_the_next_layer(problem: Problem) -> None:
    training = Training(problem, _plan(problem))
    draw = Training(problem, _plan(problem))._objective.draw()
    with torch.no_grad():
        stem = training.prior.stem(*draw.inputs)
    record = _first_look(training)
    assert record.activation_mean[0][0] == pytest.approx(stem.mean().item(), abs=1e-6)
    assert record.activation_variance[0][0] == pytest.approx(
        stem.var(dim=(0, 2, 3), correction=0).mean().item(), rel=1e-5
    )
    assert record.dead_fraction[0][0] == 0


@pytest.mark.parametrize("cell", ["none", "scornn"])
def test_a_recorder_changes_nothing(problem: Problem, cell: str) -> None:
    plan = _plan(problem, cell=cell, iterations=30)
    alone, watched = fit(problem, plan), fit(problem, plan, [HealthRecorder(10)])
    assert torch.equal(alone.image, watched.image)
    assert alone.trace.loss == watched.trace.loss


def test_it_looks_every_k_steps_and_leaves_no_hook(problem: Problem) -> None:
    recorder = HealthRecorder(4)
    training = Training(problem, _plan(problem))
    recorder.attach(training)
    hooked = []
    for iteration in range(1, 10):
        step = training.step(iteration)
        assert step is not None
        recorder(step)
        hooked.append(any(module._forward_hooks for module in training.prior.modules()))
    assert recorder.record.iteration == [1, 5, 9]
    assert hooked == [False, False, False, True, False, False, False, True, False]
    assert recorder.record.steps == 9


def test_the_way_back_through_a_recurrence_is_recorded(problem: Problem) -> None:
    recorder = HealthRecorder(5)
    fit(problem, _plan(problem, cell="scornn", refine_steps=4, refine_channels=6, iterations=11), [recorder])
    record = recorder.record
    norms = np.asarray(record.recurrent_norm)
    assert norms.shape == (3, 4)
    assert not norms[0].any()  # the gain is 0
    assert (norms[1:] > 0).all()
    # Each h_t reaches the loss through h_{t+1} alone, and every step's Jacobian has a norm of at most 1.
    assert (norms[1:, :-1] <= norms[1:, 1:] * (1 + 1e-5)).all()
    assert max(record.orthogonality_error) < 1e-5


@pytest.mark.parametrize("cell", ["none", "scornn"])
def test_what_a_fit_looks_at_after_a_step_is_not_recorded(scene: Tensor, cell: str) -> None:
    hole = torch.rand(scene.shape[1:], generator=torch.Generator().manual_seed(3)) < 0.5
    values = {} if cell == "none" else {"refine_steps": 4, "refine_channels": 6}
    plan = _plan(inpainting(scene, hole), cell=cell, iterations=11, **values)
    norms = []
    for looks in (True, False):
        recorder = HealthRecorder(10)  # looks at the last step, after which an inpainting fit looks at its picture
        training = Training(inpainting(scene, hole), plan)
        recorder.attach(training)
        if not looks:
            training.looks = lambda iteration: []  # type: ignore[method-assign]
        for iteration in range(1, 12):
            step = training.step(iteration)
            assert step is not None
            recorder(step)
        norms.append(recorder.record.arrays())
    for name, recorded in norms[0].items():
        np.testing.assert_array_equal(recorded, norms[1][name], err_msg=name)


def test_spikes_and_losses_that_are_not_finite_are_counted(problem: Problem) -> None:
    recorder = HealthRecorder(1000)
    training = Training(problem, _plan(problem))
    recorder.attach(training)
    step = training.step(1)
    assert step is not None
    for loss in (1.0, 1.0, 10.0, 1.0, math.nan, math.inf):
        recorder(type(step)(**{**vars(step), "loss": loss}))
    assert (recorder.record.spikes, recorder.record.nonfinite, recorder.record.steps) == (1, 2, 6)


def test_the_arrays_can_be_written_and_read(problem: Problem, tmp_path: Any) -> None:
    recorder = HealthRecorder(2)
    fit(problem, _plan(problem), [recorder])
    np.savez(tmp_path / "health.npz", **recorder.record.arrays())
    read = np.load(tmp_path / "health.npz", allow_pickle=False)
    assert read["health_gradient_norm"].shape == (len(read["health_iteration"]), len(read["health_layers"]))
    assert (read["health_steps"], read["health_spikes"], read["health_nonfinite"]) == (6, 0, 0)


def test_dead_units_are_those_that_do_not_vary(problem: Problem) -> None:
    training = Training(problem, _plan(problem, norm="none"))
    stem = training.prior.stem
    with torch.no_grad():
        stem[0].weight[:3] = 0
    assert isinstance(stem[0], nn.Conv2d)
    assert _first_look(training).dead_fraction[0][0] == pytest.approx(3 / 8)


@pytest.mark.parametrize("cell", ["none", "gru"])
def test_a_look_at_a_step_that_is_set_back_is_put_off(
    cell: str, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(1, 100))
    monkeypatch.setattr(Rescue, "trouble", lambda self, loss: "made up" if next(calls) == 5 else None)
    recorder = HealthRecorder(4)
    steps = 3 if cell != "none" else None
    fit(problem, _plan(problem, cell=cell, refine_steps=steps, iterations=14, networks=1), [recorder])
    record = recorder.record
    assert record.iteration == [1, 7, 9, 13]  # step 5 was set back, step 6 began with its hooks
    assert all(len(row) == 3 for row in record.recurrent_norm)
    assert record.arrays()["health_update_ratio"].shape == (4, len(record.layers))
