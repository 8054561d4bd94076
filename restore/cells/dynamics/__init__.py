"""The dynamics of continuous-time cells: fixed points, limit cycles, adjoints, Lyapunov exponents, bifurcations.

Everything takes a plain function h -> dh/dt on (..., n), or a map; `autonomous` and `step_map` make them from cells.
"""

from __future__ import annotations

from restore.cells.dynamics.adjoint import adjoint_of_flow, adjoint_of_map
from restore.cells.dynamics.bifurcation import Bifurcation, Snapshot, bifurcations, locate, scan, take_snapshot
from restore.cells.dynamics.classification import FixedPoint, classify, kind_of
from restore.cells.dynamics.fixed_points import find_fixed_points, grid_starts, newton
from restore.cells.dynamics.limit_cycles import LimitCycleOrbit, find_limit_cycle, find_limit_cycles, monodromy
from restore.cells.dynamics.lyapunov import lyapunov_exponents
from restore.cells.dynamics.phase_plane import PhasePortrait, nullclines, phase_portrait
from restore.cells.dynamics.vector_field import autonomous, flow, jacobians, set_parameters_, step_map, trajectory

__all__ = [
    "Bifurcation",
    "FixedPoint",
    "LimitCycleOrbit",
    "PhasePortrait",
    "Snapshot",
    "adjoint_of_flow",
    "adjoint_of_map",
    "autonomous",
    "bifurcations",
    "classify",
    "find_fixed_points",
    "find_limit_cycle",
    "find_limit_cycles",
    "flow",
    "grid_starts",
    "jacobians",
    "kind_of",
    "locate",
    "lyapunov_exponents",
    "monodromy",
    "newton",
    "nullclines",
    "phase_portrait",
    "scan",
    "set_parameters_",
    "step_map",
    "take_snapshot",
    "trajectory",
]
