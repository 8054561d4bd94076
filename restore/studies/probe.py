"""How far a gradient travels through a recurrent cell over many steps, beside the same for the usual cells."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from restore.cells import make_cell
from restore.cells.jacobian import gradient_norms, orthogonality_error, singular_values, spectral_radius, state_norms
from restore.errors import UsageError
from restore.health import Verdict, end_to_end_ratio, verdict_of_path

__all__ = ["CONTROLS", "MatrixMeasure", "Probe", "probe_cell", "probe_with_controls"]

CONTROLS = ("rnn", "gru")


@dataclass(frozen=True)
class MatrixMeasure:
    """A matrix W (n, n) that multiplies the state.

    Attributes:
        orthogonality_error: the Frobenius norm of W^H W - I.
        spectral_radius: the largest modulus of an eigenvalue.
        constrained: whether W is orthogonal or unitary by construction.
    """

    orthogonality_error: float
    spectral_radius: float
    constrained: bool


@dataclass(frozen=True, eq=False)
class Probe:
    """What became of a gradient in T steps of a freshly made cell; everything in float64.

    Attributes:
        cell: its name. size: n. steps: T. seed: of the cell, of the drives and of v.
        gradient_norms: (T + 1,), |dL/dh_t| for t = 0..T with L = <v, h_T>.
        singular_values: of dh_T/dh_0, largest first; as many as the whole state has real components.
        state_norms: (T,), |h_t| for t = 1..T.
        matrices: of the recurrence, by their symbol in the cell's equations.
        verdict: on the gradient's way from h_T to h_0.
    """

    cell: str
    size: int
    steps: int
    seed: int
    gradient_norms: Tensor
    singular_values: Tensor
    state_norms: Tensor
    matrices: dict[str, MatrixMeasure]
    verdict: Verdict

    @property
    def ratio(self) -> float:
        """|dL/dh_0| / |dL/dh_T|."""
        return end_to_end_ratio(self.gradient_norms.tolist())

    @property
    def orthogonality_error(self) -> float | None:
        """Largest error of the matrices that are orthogonal by construction, or of all where none is."""
        constrained = [matrix for matrix in self.matrices.values() if matrix.constrained]
        errors = [matrix.orthogonality_error for matrix in constrained or self.matrices.values()]
        return max(errors, default=None)

    @property
    def spectral_radius(self) -> float | None:
        """Largest spectral radius of the matrices."""
        return max((matrix.spectral_radius for matrix in self.matrices.values()), default=None)


def probe_cell(name: str, *, size: int = 128, steps: int = 1000, seed: int = 0) -> Probe:
    """Drive a freshly made cell with noise for T = `steps` and measure the gradient of L = <v, h_T> on its way back.

    The drives and v are drawn from N(0, 1). Equal arguments give equal figures.

    Raises UsageError for an unknown cell, a size that it cannot have, fewer than one step and a negative seed.

    >>> str(probe_cell("scornn", size=8, steps=50).verdict), str(probe_cell("rnn", size=8, steps=50).verdict)
    ('healthy', 'vanishing')
    """
    if steps < 1:
        raise UsageError(f"a probe needs at least one step, got {steps}.")
    if not 0 <= seed < 2**63:
        raise UsageError(f"the seed is a whole number from 0 to 2^63 - 1, got {seed}.")
    generator = torch.Generator().manual_seed(seed)
    cell = make_cell(name, size, generator=generator, dtype=torch.float64)
    drives = torch.randn(steps, cell.drive_size, generator=generator, dtype=torch.float64)
    functional = torch.randn(cell.readout_size, generator=generator, dtype=torch.float64)
    norms = gradient_norms(cell, drives, functional)
    return Probe(
        cell=name,
        size=size,
        steps=steps,
        seed=seed,
        gradient_norms=norms,
        singular_values=singular_values(cell, drives),
        state_norms=state_norms(cell, drives),
        matrices={
            symbol: MatrixMeasure(orthogonality_error(matrix), spectral_radius(matrix), symbol in cell.orthogonal)
            for symbol, matrix in cell.matrices().items()
        },
        verdict=verdict_of_path(norms.tolist()),
    )


def probe_with_controls(
    name: str, *, size: int = 128, steps: int = 1000, seed: int = 0
) -> tuple[Probe, dict[str, Probe]]:
    """Return the probe of a cell and, by name, those of the `CONTROLS` under equal settings; raises as `probe_cell`."""
    probe = probe_cell(name, size=size, steps=steps, seed=seed)
    controls = {
        control: probe if control == name else probe_cell(control, size=size, steps=steps, seed=seed)
        for control in CONTROLS
    }
    return probe, controls
