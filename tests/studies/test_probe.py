"""The probe against the measures' own inequalities, and on what is known of the cells."""

from __future__ import annotations

import pytest
import torch

from restore.cells import CELLS
from restore.errors import UsageError
from restore.studies.probe import CONTROLS, probe_cell, probe_with_controls

every_cell = pytest.mark.parametrize("name", CELLS)


@every_cell
def test_gradient_is_within_the_singular_values(name: str) -> None:
    """dL/dh_0 = J^T dL/dh_T, so that the ratio of their norms is between the extreme singular values of J."""
    probe = probe_cell(name, size=6, steps=5)
    largest, smallest = probe.singular_values[0].item(), probe.singular_values[-1].item()
    assert smallest * (1 - 1e-9) <= probe.ratio <= largest * (1 + 1e-9)


@every_cell
def test_shapes(name: str) -> None:
    probe = probe_cell(name, size=6, steps=5)
    assert probe.gradient_norms.shape == (6,)
    assert probe.state_norms.shape == (5,)
    assert len(probe.singular_values) >= 6
    for tensor in (probe.gradient_norms, probe.state_norms, probe.singular_values):
        assert tensor.dtype == torch.float64
        assert tensor.isfinite().all()


@pytest.mark.parametrize("name", ["scornn", "scurnn", "restart-orth"])
def test_orthogonal_cells_are_bounded(name: str) -> None:
    probe = probe_cell(name, size=12, steps=300)
    assert probe.verdict == "healthy"
    assert probe.orthogonality_error is not None
    assert probe.orthogonality_error < 1e-12
    assert probe.spectral_radius == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("name", ["scornn", "scurnn"])
def test_no_direction_grows(name: str) -> None:
    assert probe_cell(name, size=12, steps=300).singular_values[0] <= 1 + 1e-9


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_vanish(name: str) -> None:
    probe = probe_cell(name, size=12, steps=300)
    assert probe.verdict == "vanishing"
    assert probe.singular_values[0] < 1e-6


def test_functional_is_drawn_from_the_standard_normal_distribution() -> None:
    """Of scornn the readout is the state: |dL/dh_T| = |v|, chi-distributed with n degrees of freedom."""
    squares = [probe_cell("scornn", size=64, steps=1, seed=seed).gradient_norms[-1] ** 2 for seed in range(10)]
    assert torch.stack(squares).mean().item() == pytest.approx(64, rel=0.15)


def test_matrices() -> None:
    probe = probe_cell("enrnn", size=8, steps=3)
    assert {symbol: matrix.constrained for symbol, matrix in probe.matrices.items()} == {"W^L": True, "W^S": False}
    assert probe.orthogonality_error == probe.matrices["W^L"].orthogonality_error
    assert probe.spectral_radius == max(matrix.spectral_radius for matrix in probe.matrices.values())
    gru = probe_cell("gru", size=8, steps=3)
    assert gru.orthogonality_error == max(matrix.orthogonality_error for matrix in gru.matrices.values())
    hopf = probe_cell("limitcycle", size=8, steps=3)
    assert (hopf.orthogonality_error, hopf.spectral_radius) == (None, None)


def test_seed_decides() -> None:
    first, again, other = (probe_cell("gru", size=6, steps=5, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(first.gradient_norms, again.gradient_norms)
    assert torch.equal(first.singular_values, again.singular_values)
    assert not torch.equal(first.gradient_norms, other.gradient_norms)


def test_probe_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    probe_cell("rnn", size=4, steps=2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_controls_are_probed_alike() -> None:
    probe, controls = probe_with_controls("scornn", size=6, steps=5, seed=2)
    assert (probe.cell, probe.size, probe.steps, probe.seed) == ("scornn", 6, 5, 2)
    assert tuple(controls) == CONTROLS
    for name, control in controls.items():
        assert torch.equal(control.gradient_norms, probe_cell(name, size=6, steps=5, seed=2).gradient_norms)
    probe, controls = probe_with_controls("gru", size=6, steps=5)
    assert controls["gru"] is probe


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "scorn"}, "did you mean 'scornn'"),
        ({"name": "rnn", "steps": 0}, "at least one step, got 0"),
        ({"name": "rnn", "size": 0}, "size of at least 1, got 0"),
        ({"name": "limitcycle", "size": 5}, "even size; got 5"),
        ({"name": "rnn", "seed": -1}, "got -1"),
        ({"name": "rnn", "seed": 2**64}, "seed"),
    ],
)
def test_misuse(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        probe_cell(**settings)  # type: ignore[arg-type]
