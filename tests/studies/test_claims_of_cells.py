"""The claims about cells: what each measures, against closed forms and the same in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from restore.cells.cayley import rotation_blocks
from restore.cells.draws import orthogonal
from restore.errors import InputError
from restore.studies.claims import Conditions, Verdict
from restore.studies.reproductions import (
    digits,
    gru_dynamics,
    limit_cycle_adjoint,
    long_memory,
    modrelu_gradient,
    momentum_vanishing,
    neumann_order,
    orthogonality,
    rflo_sequence,
    sbo_stability,
    spectral_normalisation,
)
from restore.studies.sequence_tasks import make_task
from restore.studies.sequence_training import Learned, Recipe, learn


@pytest.mark.parametrize("mu, s", [(0.0, 1.0), (0.9, 0.1)])
def test_the_gradients_of_a_momentum_cell_follow_its_jacobian(mu: float, s: float) -> None:
    hidden, velocity = momentum_vanishing.adjoints(mu, s, seed=3)
    size, steps = momentum_vanishing.SIZE, momentum_vanishing.STEPS
    generator = torch.Generator().manual_seed(3)
    U = 0.9 * orthogonal(size, size, generator).double().numpy()
    drives = torch.randn(steps, size, generator=generator, dtype=torch.float64).numpy() * 0.3 * (1 - mu**2) ** 0.5 / s
    back = torch.randn(size, generator=generator, dtype=torch.float64).numpy()
    h, v, slopes = np.zeros(size), np.zeros(size), []
    for drive in drives:
        v = mu * v + s * drive
        h = np.tanh(U @ h + v)
        slopes.append(1 - h**2)
    later = np.zeros(size)
    for at in reversed(range(steps)):
        later = slopes[at] * back + mu * later
        assert hidden[at] == pytest.approx(np.linalg.norm(back), rel=1e-9)
        assert velocity[at] == pytest.approx(np.linalg.norm(later), rel=1e-9)
        back = U.T @ (slopes[at] * back)


def test_momentum_eases_only_where_it_is_above_the_contraction() -> None:
    outcome = momentum_vanishing.measure(Conditions())
    lost = outcome.measured["decades_lost_to_inputs"]
    assert lost["momentum 0.9"] == pytest.approx(-99 * math.log10(0.9), abs=0.5)
    assert lost["momentum 0.6"] == pytest.approx(lost["without momentum"], abs=0.5)
    assert min(outcome.measured["decades_lost_through_h"].values()) > 9
    assert outcome.verdict is Verdict.met
    assert momentum_vanishing.decades([1e-3, 5.0, 1.0]) == pytest.approx(3)


def test_an_input_stays_where_the_radius_is_one() -> None:
    turn = rotation_blocks(8, torch.Generator().manual_seed(0))
    rotation = torch.linalg.matrix_exp(turn)
    assert spectral_normalisation.left_of_an_input(rotation, 1000, seed=0) == pytest.approx(1)
    assert spectral_normalisation.left_of_an_input(rotation / 2, 10, seed=0) == pytest.approx(2**-10)


def test_the_normalised_recurrence_reaches_a_radius_of_one_and_no_more() -> None:
    found = [np.abs(np.linalg.eigvals(matrix.numpy())).max() for matrix in spectral_normalisation.trained(80, seed=1)]
    assert found[0] < 1 and found[-1] == pytest.approx(1, abs=1e-9) and max(found) < 1 + 1e-9


@pytest.mark.parametrize("name", orthogonality.CASES)
def test_a_matrix_in_training_stays_orthogonal(name: str) -> None:
    errors = orthogonality.drift(name, 8, 40, seed=0)
    assert len(errors) == 4
    assert 0 < max(errors) < 1e-5


def test_the_series_is_the_truncated_inverse() -> None:
    generator = torch.Generator().manual_seed(5)
    start = rotation_blocks(neumann_order.SIZE, generator).double().numpy()
    noise = torch.randn(*start.shape, generator=generator, dtype=torch.float64).numpy()
    direction = (noise - noise.T) / np.linalg.norm(noise - noise.T)
    identity = np.eye(len(start))
    inverse = np.linalg.inv(identity + start)
    for order in (1, 2):
        expected = []
        for change in neumann_order.CHANGES:
            skew = start + change * direction
            M = inverse @ (start - skew)
            series = sum((np.linalg.matrix_power(M, power) for power in range(order + 1)), np.zeros_like(M))
            rest = (series @ inverse - np.linalg.inv(identity + skew)) @ (identity - skew)
            expected.append(np.linalg.norm(rest))
        assert neumann_order.series_errors(order, 5) == pytest.approx(expected, rel=1e-4)


def test_the_gain_of_modrelu_is_one_plus_b_over_z() -> None:
    outcome = modrelu_gradient.measure(Conditions())
    assert outcome.measured["gain_at_1e-3"] == pytest.approx(1 + 0.01 / 1e-3)
    assert outcome.measured["gain_at_1e-5"] == pytest.approx(1 + 0.01 / 1e-5)
    assert outcome.measured["largest_gain_with_the_released_smoothing"] < 1 + 0.01 / math.sqrt(1e-5) + 1e-9


def test_the_gradient_along_a_cycle_is_that_of_the_euler_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit_cycle_adjoint, "STEPS", 60)
    found = limit_cycle_adjoint.adjoint_norms(1.5, 0.5, seed=2)
    W = 1.5 * np.array([[math.cos(0.5), -math.sin(0.5)], [math.sin(0.5), math.cos(0.5)]])
    h, jacobians = np.array([0.3, 0.1]), []
    for _ in range(120):
        slope = 1 - np.tanh(W @ h) ** 2
        jacobians.append(0.9 * np.eye(2) + 0.1 * slope[:, None] * W)
        h = 0.9 * h + 0.1 * np.tanh(W @ h)
    generator = torch.Generator().manual_seed(2)
    limit_cycle_adjoint.LimitCycle(2, form="tanh", dt=0.1, generator=generator, dtype=torch.float64)
    expected = np.zeros(61)
    for functional in torch.randn(8, 2, generator=generator, dtype=torch.float64).numpy():
        back = functional / np.linalg.norm(functional)
        for at in range(60, -1, -1):
            expected[at] += np.linalg.norm(back) / 8
            back = jacobians[59 + at].T @ back
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_census_counts_kinds_and_cycles() -> None:
    points = [
        SimpleNamespace(kind=kind, eigenvalues=torch.tensor(eigenvalues, dtype=torch.complex128))
        for kind, eigenvalues in [
            ("stable focus", [-1 + 2j, -1 - 2j]),
            ("stable node", [-3, -0.25]),
            ("saddle", [-2, 0.5]),
            ("unstable node", [1, 2]),
        ]
    ]
    found: Any = SimpleNamespace(fixed_points=points, cycles=["one"])
    counts, least = gru_dynamics.census(found)
    assert counts == {"stable": 2, "saddles": 1, "unstable": 1, "cycles": 1}
    assert least == pytest.approx(0.25)


def test_the_small_claims_are_met() -> None:
    for measure in (sbo_stability.measure, rflo_sequence.measure):
        assert measure(Conditions(quick=True)).verdict is Verdict.met


def test_digits_differ_and_are_told_apart_by_their_pixels() -> None:
    pictures = digits.drawn_digits(14)
    assert pictures.shape == (10, 14, 14) and float(pictures.min()) == 0 and float(pictures.max()) > 0.5
    assert not bool(pictures[:, 0].any()) and not bool(pictures[:, :, 0].any())
    inputs, labels = digits.digits_task(14).batch(200, torch.Generator().manual_seed(0))
    assert inputs.shape == (200, 196, 1)
    shifted = torch.stack([pictures.roll((i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    nearest = torch.cdist(inputs[..., 0], shifted.flatten(2).flatten(0, 1)).argmin(1) % 10
    assert float((nearest == labels).float().mean()) > 0.95
    task = digits.digits_task(8)
    assert float(task.loss(torch.zeros(4, 64, 10), torch.arange(4))) == pytest.approx(task.baseline)


def _answers(solved: Callable[[str], bool]) -> Callable[..., Learned]:
    return lambda task, recipe, **rest: Learned([0.1], 1.0, solved(recipe.cell), 1)


@pytest.mark.parametrize(
    ("quick", "lstm", "verdict"),
    [(False, False, Verdict.met), (False, True, Verdict.not_reproduced), (True, True, Verdict.met)],
)
def test_copying_is_met_only_where_the_lstm_fails(
    quick: bool, lstm: bool, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_memory, "learn", _answers(lambda cell: cell != "lstm" or lstm))
    assert long_memory.measure("copying", Conditions(quick=quick)).verdict is verdict
    monkeypatch.setattr(long_memory, "learn", _answers(lambda cell: cell not in ("lstm", "enrnn")))
    assert long_memory.measure("adding", Conditions(quick=quick)).verdict is Verdict.not_reproduced


@pytest.mark.parametrize("content", [b"", b"not a state", {"model": {}}, [1]])
def test_a_foreign_state_is_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(InputError, match="is not a state of this training"):
        learn(make_task("adding", 4), Recipe("rnn", 4), threshold=0.0, cap=1e9, most=1, state=path)
