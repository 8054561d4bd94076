"""Recurrent cells on the last axis, and the maps that keep their recurrences orthogonal or unitary."""

from __future__ import annotations

from restore.cells.base import Cell, SequenceModel, State, advance, project_, unroll
from restore.cells.registry import CELLS, make_cell

__all__ = ["CELLS", "Cell", "SequenceModel", "State", "advance", "make_cell", "project_", "unroll"]
