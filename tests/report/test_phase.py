"""The drawing of a phase plane, and the curve as a line of text."""

from __future__ import annotations

import io
import itertools
import math
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from restore.cells.dynamics import PhasePortrait, kind_of, phase_portrait
from restore.errors import UsageError
from restore.report.phase import CYCLE, FIRST, MARKERS, SECOND, draw_phase_portrait
from restore.report.sparkline import BLOCKS, sparkline


def _radial(h: Tensor) -> Tensor:
    """A limit cycle of radius 1 round an unstable focus."""
    return h * (1 - h.square().sum(-1, keepdim=True)) + torch.stack((-h[..., 1], h[..., 0]), -1)


@pytest.fixture(scope="module")
def portrait() -> PhasePortrait:
    return phase_portrait(_radial, resolution=21, per_axis=2)


def _pixels(content: bytes, colour: str) -> int:
    with Image.open(io.BytesIO(content)) as image:
        array = np.asarray(image.convert("RGB")).astype(int)
    wanted = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)])
    return int((np.abs(array - wanted).max(axis=-1) <= 8).sum())


def test_drawing_shows_everything(portrait: PhasePortrait) -> None:
    content = draw_phase_portrait(portrait, "radial")
    assert content.startswith(b"\x89PNG")
    assert all(_pixels(content, colour) > 300 for colour in (FIRST, SECOND, CYCLE))


def test_drawing_without_cycle_has_less_of_its_colour(portrait: PhasePortrait) -> None:
    bare = PhasePortrait(
        portrait.axis, portrait.velocity, portrait.nullclines, portrait.orbits, portrait.fixed_points, []
    )
    assert _pixels(draw_phase_portrait(bare), CYCLE) < _pixels(draw_phase_portrait(portrait), CYCLE) - 500


def test_drawing_is_repeatable(portrait: PhasePortrait) -> None:
    assert draw_phase_portrait(portrait) == draw_phase_portrait(portrait)


def test_every_kind_has_a_marker() -> None:
    parts = (-1.0, 0.0, 1.0)
    real = [torch.tensor(pair, dtype=torch.complex128) for pair in itertools.product(parts, parts)]
    pairs = [torch.tensor([part + 1j, part - 1j], dtype=torch.complex128) for part in parts]
    assert {kind_of(eigenvalues) for eigenvalues in real + pairs} == set(MARKERS)


def test_missing_matplotlib_is_one_sentence(portrait: PhasePortrait, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="matplotlib"):
        draw_phase_portrait(portrait)


def test_sparkline_levels_are_decades() -> None:
    assert sparkline([10.0**decade for decade in range(-4, 4)]) == BLOCKS
    assert sparkline([1e-300, 0.0, 1e300, math.inf]) == "▁▁██"
    assert sparkline([math.nan, 1.0]) == " ▅"
    assert sparkline([]) == ""


@pytest.mark.parametrize("length", [1, 59, 60, 61, 119, 1001])
def test_sparkline_fits(length: int) -> None:
    tail = -(-length // 60)
    line = sparkline([1.0] * (length - tail) + [1e-9] * tail, width=60)
    assert len(line) == min(length, 60)
    assert set(line[:-2]) <= {"▅"}
    assert line[-1] == "▁"


def test_sparkline_columns_are_geometric_means() -> None:
    assert sparkline([1e-4, 1e2] * 60, width=60) == "▄" * 60
