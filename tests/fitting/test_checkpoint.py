"""Checkpoints: a fit that goes on from one is the fit that was never interrupted, bit for bit."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from restore.errors import InputError, OutputError, UsageError
from restore.fitting import Checkpoint, Fitted, Step, fit, make_plan
from restore.fitting import checkpoint as module
from restore.fitting.observers import ReferenceCurve
from restore.fitting.rescue import Rescue
from restore.fitting.state_file import read_state, write_state
from restore.fitting.stopping import WindowedVariance
from restore.health import HealthRecorder
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import FitSettings, Plan

SMALL = {"network": {"channels": (6, 6), "tail": 1}, "device": "cpu", "iterations": 44}


@pytest.fixture
def noisy(noisy_scene: torch.Tensor) -> Problem:
    return denoising(noisy_scene, 25.0)


@pytest.fixture
def holed(scene: torch.Tensor) -> Problem:
    return inpainting(scene, torch.rand(scene.shape[1:], generator=torch.Generator().manual_seed(1)) < 0.3)


def _plan(problem: Problem, **values: Any) -> Plan:
    return make_plan(problem, FitSettings(**{**SMALL, **values}))


def _watching(problem: Problem) -> tuple[ReferenceCurve, HealthRecorder]:
    return ReferenceCurve(problem, problem.measurement), HealthRecorder(7)


class _Interrupt:
    """Ends the fit in the middle of the given step."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, step: Step) -> None:
        if step.iteration == self.after:
            raise KeyboardInterrupt


class _CtrlC:
    """Presses Ctrl-C so often in the middle of the given step, and notes the last step that was seen."""

    def __init__(self, at: int, times: int = 1) -> None:
        self.at, self.times = at, times
        self.seen = 0

    def __call__(self, step: Step) -> None:
        self.seen = step.iteration
        if step.iteration == self.at:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


def _resumed(problem: Problem, plan: Plan, path: Path, stops: Sequence[int]) -> tuple[Fitted, Any]:
    """Fit with an interruption after each of these steps, every time from what the file holds."""
    for stop in stops:
        fitted = fit(problem, plan, [*_watching(problem), _Interrupt(stop)], Checkpoint(path, every=0))
        assert fitted.stop_reason == "interrupted" and path.exists()
    watching = _watching(problem)
    checkpoint = Checkpoint(path, every=0)
    fitted = fit(problem, plan, watching, checkpoint)
    assert checkpoint.resumed == stops[-1] - 1  # the step of the interruption was not over
    return fitted, watching


def _same(one: Fitted, other: Fitted) -> None:
    for name in ("image", "last", "output"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    for name in ("iterations", "iteration_best", "stop_reason", "held_out_error", "precision", "set_back", "warnings"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("iteration", "loss", "learning_rate", "held_out"):
        assert getattr(one.trace, name) == getattr(other.trace, name), name
    assert other.trace.seconds == sorted(other.trace.seconds)


CASES: dict[str, dict[str, Any]] = {
    "blind spot": {},
    "bfloat16": {"precision": "bfloat16"},
    "fixed code, perturbed": {"objective": "fit"},
    "deep decoder": {"prior": "decoder", "network": {"channels": 16}},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.1},
    "variance": {"objective": "fit", "stop": "variance"},
    "discrepancy": {"objective": "fit", "stop": "discrepancy", "learning_rate": 1e-4},
    "refined": {"cell": "scornn", "refine_steps": 2, "refine_channels": 4},
    "complex refined": {"cell": "scurnn", "refine_steps": 2, "refine_channels": 4},
    "refined estimate": {"cell": "gru", "refine": "estimate", "refine_steps": 2, "refine_channels": 4},
    "generator": {"cell": "adam-rnn", "refine": "generator", "refine_channels": 4, "network": {}, "iterations": 40},
}


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_fit_is_the_uninterrupted_one(noisy: Problem, case: str, tmp_path: Path) -> None:
    plan = _plan(noisy, **CASES[case])
    watching = _watching(noisy)
    whole = fit(noisy, plan, watching)
    fitted, watched = _resumed(noisy, plan, tmp_path / "fit.safetensors", (5, 23, 36))
    _same(whole, fitted)
    assert watched[0].psnr == watching[0].psnr and watched[0].network == watching[0].network
    assert watched[1].record == watching[1].record
    assert len(watching[1].record.iteration) > 3


def test_prepared_fills_are_drawn_on(holed: Problem, tmp_path: Path) -> None:
    plan = _plan(holed)
    _same(fit(holed, plan), _resumed(holed, plan, tmp_path / "fit.safetensors", (9, 30))[0])


def test_a_rescue_goes_on(noisy: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made_up(self: Rescue, loss: float) -> str | None:
        steps = max((int(state["step"]) for state in self._optimizer.state.values()), default=0)
        return "made up" if self.rewinds < 2 and steps in (55, 66) else None

    monkeypatch.setattr(Rescue, "trouble", made_up)
    plan = _plan(noisy, iterations=90)
    whole = fit(noisy, plan)
    assert len(whole.set_back) == 2
    _same(whole, _resumed(noisy, plan, tmp_path / "fit.safetensors", (54, 59, 75))[0])


def test_a_window_of_outputs_goes_on(noisy: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = dataclasses.replace(_plan(noisy, objective="fit", stop="variance"), warmup=5, patience=6)
    monkeypatch.setattr(
        "restore.fitting.judge.make_rule",
        lambda plan, sigma, correlated: WindowedVariance(plan.warmup, 6, 1.0, window=8, pixels=100),
    )
    whole = fit(noisy, plan)
    assert whole.iteration_best > 8
    _same(whole, _resumed(noisy, plan, tmp_path / "fit.safetensors", (12, 20))[0])


def test_keeping_checkpoints_changes_nothing(noisy: Problem, tmp_path: Path) -> None:
    plan = _plan(noisy)
    path = tmp_path / "fit.safetensors"
    _same(fit(noisy, plan), fit(noisy, plan, (), Checkpoint(path, every=0)))
    assert path.exists()  # until the result is safe
    _same(fit(noisy, plan), fit(noisy, plan, (), Checkpoint(path, every=0)))
    fit(noisy, plan, (), Checkpoint(tmp_path / "seldom.safetensors", every=1000))
    assert [file.name for file in tmp_path.iterdir()] == ["fit.safetensors"]


def test_seconds_go_on(noisy: Problem, tmp_path: Path) -> None:
    path = tmp_path / "fit.safetensors"
    fit(noisy, _plan(noisy), [_Interrupt(20)], Checkpoint(path, every=0))
    state = read_state(path)
    state["parts"]["training"]["seconds"] = state["seconds"] = 1000.0
    write_state(path, state)
    fitted = fit(noisy, _plan(noisy, time_budget=1000.0), (), Checkpoint(path))
    assert fitted.stop_reason == "time" and fitted.iterations == 20 and fitted.seconds >= 1000


def test_another_fit_is_refused_and_the_difference_named(noisy: Problem, tmp_path: Path) -> None:
    path = tmp_path / "fit.safetensors"
    fit(noisy, _plan(noisy), [_Interrupt(5)], Checkpoint(path, every=0))
    with pytest.raises(UsageError, match=r"learning_rate was 0.03 and is 0.01\): delete it, or name another file"):
        fit(noisy, _plan(noisy, learning_rate=0.01), (), Checkpoint(path))
    other = denoising(noisy.measurement[0] + 0.01, 25.0)
    with pytest.raises(UsageError, match="picture was "):
        fit(other, _plan(other), (), Checkpoint(path))
    anew = fit(other, _plan(other), (), Checkpoint(path, strict=False))
    assert "started anew" in anew.warnings[0] and torch.equal(anew.image, fit(other, _plan(other)).image)


def test_another_pytorch_is_warned_of(noisy: Problem, tmp_path: Path) -> None:
    path = tmp_path / "fit.safetensors"
    fit(noisy, _plan(noisy), [_Interrupt(5)], Checkpoint(path, every=0))
    state = read_state(path)
    state["fingerprint"]["torch"] = "1.0"
    write_state(path, state)
    fitted = fit(noisy, _plan(noisy), (), Checkpoint(path))
    assert "begun with torch 1.0" in fitted.warnings[0]


@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_file_is_told_and_kept(noisy: Problem, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "fit.safetensors"
    fit(noisy, _plan(noisy), [_Interrupt(5)], Checkpoint(path, every=0))
    data = {"cut": path.read_bytes()[:-100], "text": b"no checkpoint at all", "empty": b""}[damage]
    path.write_bytes(data)
    with pytest.raises(InputError, match="delete it to start anew"):
        fit(noisy, _plan(noisy), (), Checkpoint(path))
    assert path.read_bytes() == data


def test_a_file_whose_states_do_not_fit_is_told(noisy: Problem, tmp_path: Path) -> None:
    path = tmp_path / "fit.safetensors"
    fit(noisy, _plan(noisy), [_Interrupt(5)], Checkpoint(path, every=0))
    state = read_state(path)
    state["parts"]["training"]["networks"].popitem()
    write_state(path, state)
    with pytest.raises(InputError, match=r"is of another version of restore .* delete it to start anew"):
        fit(noisy, _plan(noisy), (), Checkpoint(path))


def test_ctrl_c_waits_for_the_step_and_keeps_it(noisy: Problem, tmp_path: Path) -> None:
    plan, path = _plan(noisy), tmp_path / "fit.safetensors"
    before = signal.getsignal(signal.SIGINT)
    fitted = fit(noisy, plan, [*_watching(noisy), _CtrlC(17)], Checkpoint(path, every=1000))
    assert fitted.stop_reason == "interrupted" and fitted.iterations == 17
    assert fitted.image.shape == noisy.measurement.shape
    assert signal.getsignal(signal.SIGINT) is before
    watching, whole, resumed = _watching(noisy), _watching(noisy), Checkpoint(path, every=1000)
    assert resumed.found(noisy, plan) == 17
    _same(fit(noisy, plan, whole), fit(noisy, plan, watching, resumed))
    assert resumed.resumed == 17 and resumed.earlier == pytest.approx(fitted.seconds, abs=1)
    assert watching[0].psnr == whole[0].psnr and watching[1].record == whole[1].record


def test_a_second_ctrl_c_does_not_wait(noisy: Problem, tmp_path: Path) -> None:
    path = tmp_path / "fit.safetensors"
    late = _CtrlC(9, times=0)
    fitted = fit(noisy, _plan(noisy), [_CtrlC(9, times=2), late], Checkpoint(path, every=1000))
    assert fitted.stop_reason == "interrupted" and late.seen == 8 and not path.exists()


def test_ctrl_c_at_the_very_end_is_not_lost(noisy: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = dataclasses.replace(_plan(noisy), time_budget=1e-9)  # the first step ends it
    fitted = fit(noisy, plan, [_CtrlC(1)], Checkpoint(tmp_path / "fit.safetensors"))
    assert fitted.stop_reason == "interrupted" and fitted.iterations == 1


def test_who_looks_on_may_leave_but_not_come(noisy: Problem, tmp_path: Path) -> None:
    path, plan = tmp_path / "fit.safetensors", _plan(noisy)
    curve, recorder = _watching(noisy)
    fit(noisy, plan, [curve, recorder, _Interrupt(20)], Checkpoint(path, every=0))
    data = path.read_bytes()
    alone, whole = HealthRecorder(7), HealthRecorder(7)
    _same(fit(noisy, plan, [whole]), fit(noisy, plan, [alone], Checkpoint(path)))
    assert alone.record == whole.record
    other = ReferenceCurve(noisy, noisy.measurement + 0.01)
    with pytest.raises(UsageError, match="measured against another reference"):
        fit(noisy, plan, [other], Checkpoint(path))
    path.unlink()
    fit(noisy, plan, [recorder, _Interrupt(20)], Checkpoint(path, every=0))
    assert path.read_bytes() != data
    with pytest.raises(UsageError, match=r"begun without ReferenceCurve, .* go on without it, or delete"):
        fit(noisy, plan, _watching(noisy), Checkpoint(path))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OutputError("cannot write: No space left on device."), "cannot write: No space left on device."),
        (MemoryError(), "not enough memory."),
    ],
)
def test_a_full_disk_does_not_end_the_fit(
    noisy: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def full(path: Path, state: Any) -> None:
        raise error

    monkeypatch.setattr(module, "write_state", full)
    fitted = fit(noisy, _plan(noisy), (), Checkpoint(tmp_path / "fit.safetensors", every=0))
    assert fitted.warnings == (f"no checkpoint could be kept: {told}",)
    assert torch.equal(fitted.image, fit(noisy, _plan(noisy)).image)


def test_a_full_disk_at_ctrl_c_is_told_too(noisy: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    fitted = fit(noisy, _plan(noisy), [_CtrlC(9)], Checkpoint(tmp_path / "fit.safetensors", every=1000))
    assert fitted.stop_reason == "interrupted" and fitted.iterations == 9
    (warning,) = fitted.warnings
    assert "no checkpoint could be kept" in warning and "No space left on device" in warning
    assert list(tmp_path.iterdir()) == []


def test_a_state_keeps_its_layout_and_its_numbers(tmp_path: Path) -> None:
    weights = torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)
    state = {
        "weights": weights,
        0: (1, [float("inf"), -0.1, None], {"a": True}),
        "complex": torch.randn(3, dtype=torch.complex64),
        "expanded": torch.ones(1).expand(2, 2),
        "every second": torch.arange(12.0).view(3, 4)[:, ::2],
        "scalar": torch.tensor(2.5, dtype=torch.float64),
    }
    write_state(tmp_path / "s", state)
    read = read_state(tmp_path / "s")
    assert torch.equal(read["weights"], weights) and read["weights"].stride() == weights.stride()
    assert read[0] == state[0] and list(read) == list(state)
    for name in ("expanded", "every second", "complex"):
        assert torch.equal(read[name], state[name]), name
    assert read["scalar"].dtype == torch.float64
