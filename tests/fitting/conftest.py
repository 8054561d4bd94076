"""Small problems, and plans of small networks that fit them in a blink."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from restore.fitting import Step, make_plan
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import FitSettings, Plan

NETWORKS: dict[str, dict[str, Any]] = {
    "hourglass": {"channels": (8, 8, 8), "tail": 1},
    "dip": {"down": (8, 8), "up": (8, 8), "skip": (4, 4)},
    "decoder": {"channels": 16, "layers": 3},
    "recurrent": {},
}
SETTINGS = {field.name for field in dataclasses.fields(FitSettings)}


class Album:
    """An observer that keeps all steps, and copies of their averaged images."""

    def __init__(self) -> None:
        self.steps: dict[int, Step] = {}
        self.images: dict[int, Tensor] = {}

    def __call__(self, step: Step) -> None:
        self.steps[step.iteration] = step
        self.images[step.iteration] = step.image.clone()


@pytest.fixture
def album() -> Album:
    """An observer that keeps all steps, and copies of their averaged images."""
    return Album()


@pytest.fixture
def denoise_problem(noisy_scene: Tensor) -> Problem:
    """Gaussian noise of sigma 25 on a 50x40 colour picture."""
    return denoising(noisy_scene, 25.0)


@pytest.fixture
def hole() -> Tensor:
    """Random pixels and one bar of 3x20, bool (40, 50)."""
    hole = torch.rand(40, 50, generator=torch.Generator().manual_seed(3)) < 0.3
    hole[10:13, 5:25] = True
    return hole


@pytest.fixture
def inpaint_problem(scene: Tensor, hole: Tensor) -> Problem:
    """A 50x40 colour picture with that hole."""
    return inpainting(scene, hole)


@pytest.fixture
def problems(denoise_problem: Problem, inpaint_problem: Problem) -> dict[str, Problem]:
    """Both problems by their kind."""
    return {"denoise": denoise_problem, "inpaint": inpaint_problem}


@pytest.fixture
def plan_for() -> Callable[..., Plan]:
    """Return `plan_for(problem, **values)`, a float32 plan of a small network on the CPU.

    Values are settings; those that are only a plan's are set in it afterwards. A plan for a picture this small holds
    nothing out of itself, so that `held_out` also takes the rule `heldout`.
    """

    def make(problem: Problem, **values: Any) -> Plan:
        wanted: dict[str, Any] = {"device": "cpu", "precision": "float32", "prior": "hourglass", "iterations": 20}
        wanted |= {name: value for name, value in values.items() if name in SETTINGS}
        if not wanted.get("preset", "").startswith("paper"):
            wanted.setdefault("network", NETWORKS[wanted["prior"]])
        plan = make_plan(problem, FitSettings(**wanted))
        if "held_out" in values:
            values.setdefault("stop", "heldout")
            plan = dataclasses.replace(plan, stop=values["stop"])
        return dataclasses.replace(plan, **{name: value for name, value in values.items() if name not in SETTINGS})

    return make


@pytest.fixture
def step_of() -> Callable[..., Step]:
    """Return `step_of(iteration, **values)`, a step with everything else made up."""

    def make(iteration: int, **values: Any) -> Step:
        blank = torch.zeros(1, 1, 4, 4)
        made_up: dict[str, Any] = {
            "seconds": 0.1 * iteration,
            "loss": 1.0,
            "misfit": 1.0,
            "learning_rate": 0.01,
            "output": blank,
            "image": blank,
            "held_out": None,
            "check": iteration % 10 == 0,
        }
        return Step(iteration=iteration, **{**made_up, **values})

    return make
