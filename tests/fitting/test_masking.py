"""Maskings: a hidden pixel must not show, and a held-out one must neither show nor count."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from restore.fitting.fills import fill_biharmonic
from restore.fitting.masking import Masking, PreparedFills, RandomPixels

SIZE = (20, 23)
Make = Callable[[Tensor, int], Masking]


def _picture(channels: int = 3) -> Tensor:
    return torch.rand(1, channels, *SIZE, generator=torch.Generator().manual_seed(0))


def _chosen(fraction: float, seed: int) -> Tensor:
    return torch.rand(1, 1, *SIZE, generator=torch.Generator().manual_seed(seed)) < fraction


@pytest.fixture
def known() -> Tensor:
    known = ~_chosen(0.3, 1)
    known[..., 8:12, 3:18] = False
    return known


@pytest.fixture
def held_out(known: Tensor) -> Tensor:
    return known & _chosen(0.1, 2)


@pytest.fixture(params=["random", "scattered", "strokes"])
def make(request: pytest.FixtureRequest, known: Tensor, held_out: Tensor) -> Make:
    """Return `make(measurement, seed)`, a masking with its own generator."""

    def masking(measurement: Tensor, seed: int) -> Masking:
        generator = torch.Generator().manual_seed(seed)
        if request.param == "random":
            return RandomPixels(measurement, known, held_out, 0.2, generator)
        if request.param == "scattered":
            return RandomPixels(measurement, known, held_out, (0.1, 0.8), generator, fill_biharmonic)
        return PreparedFills(measurement, known, held_out, 0.2, 3, generator)

    return masking


def _replaced(picture: Tensor, where: Tensor, seed: int = 9) -> Tensor:
    return torch.where(where, torch.rand(picture.shape, generator=torch.Generator().manual_seed(seed)), picture)


def test_known_pixels_are_held_out_visible_or_scored(make: Make, known: Tensor, held_out: Tensor) -> None:
    masking = make(_picture(), 0)
    for _ in range(10):
        masked = masking()
        assert masked.visible.shape == masked.scored.shape == (1, 1, *SIZE)
        assert set(masked.visible.unique().tolist()) <= {0.0, 1.0}
        assert torch.equal(masked.visible + masked.scored, (known & ~held_out).float())
        assert bool(masked.scored.any())
        assert bool(masked.visible.any())


def test_visible_pixels_are_shown_as_measured_and_all_is_filled(make: Make) -> None:
    picture, masking = _picture(), make(_picture(), 0)
    masked = masking()
    seen = masked.visible.bool().expand_as(picture)
    assert torch.equal(masked.shown[seen], picture[seen])
    assert not torch.isclose(masked.shown[~seen], picture[~seen]).all()
    assert masked.shown.min() >= 0
    assert masked.shown.max() <= 1


def test_held_out_and_unknown_pixels_never_show(make: Make, known: Tensor, held_out: Tensor) -> None:
    picture = _picture()
    ours, theirs = make(picture, 0), make(_replaced(picture, held_out | ~known), 0)
    for _ in range(10):
        assert torch.equal(ours().shown, theirs().shown)


def test_scored_pixels_do_not_show(make: Make) -> None:
    picture = _picture()
    for seed in range(5):
        masked = make(picture, seed)()
        again = make(_replaced(picture, masked.scored.bool()), seed)()
        assert torch.equal(again.scored, masked.scored)
        assert torch.equal(again.shown, masked.shown)


def test_maskings_change_and_repeat_with_the_seed(make: Make) -> None:
    first, again, other = (make(_picture(), seed) for seed in (0, 0, 1))
    drawn = [first().scored for _ in range(12)]
    assert all(torch.equal(scored, again().scored) for scored in drawn)
    assert not all(torch.equal(scored, drawn[0]) for scored in drawn)
    assert not all(torch.equal(scored, other().scored) for scored in drawn)


@pytest.mark.parametrize("hidden", [0.1, 0.2, 0.5])
def test_random_pixels_hides_the_fraction_asked_for(hidden: float) -> None:
    everything = torch.ones(1, 1, 100, 100, dtype=torch.bool)
    picture = torch.rand(1, 1, 100, 100, generator=torch.Generator().manual_seed(0))
    masking = RandomPixels(picture, everything, ~everything, hidden, torch.Generator().manual_seed(0))
    shares = torch.tensor([masking().scored.mean() for _ in range(20)])
    assert shares.mean().item() == pytest.approx(hidden, rel=0.03)


@pytest.mark.parametrize("strokes", [False, True])
def test_strokes_hide_copies_of_the_hole(strokes: bool) -> None:
    known = torch.ones(1, 1, *SIZE, dtype=torch.bool)
    known[..., 8:12, 3:15] = False
    generator, picture = torch.Generator().manual_seed(0), _picture()
    masking: Masking = RandomPixels(picture, known, ~known, 0.2, generator)
    if strokes:
        masking = PreparedFills(picture, known, ~known, 0.2, 8, generator)
    missed = torch.stack([F.max_pool2d(1 - masking().scored, (4, 6), 1).amin() for _ in range(40)])
    # Most copies of a hole of 4 x 12 hide a window of 4 x 6 throughout; random pixels do with probability 0.2^24.
    assert bool((missed == 0).any()) == strokes


def test_a_masking_scores_something_however_large_the_hole() -> None:
    known = torch.zeros(1, 1, *SIZE, dtype=torch.bool)
    known[..., 7:13, 8:15] = True
    masking = PreparedFills(_picture(1), known, ~known & False, 0.2, 12, torch.Generator().manual_seed(0))
    for _ in range(60):
        masked = masking()
        assert bool(masked.scored.any())
        assert bool(masked.visible.any())


def test_the_share_that_is_hidden_is_drawn_from_the_whole_range() -> None:
    everything = torch.ones(1, 1, 100, 100, dtype=torch.bool)
    masking = RandomPixels(everything.float(), everything, ~everything, (0.1, 0.8), torch.Generator().manual_seed(0))
    shares = torch.stack([masking().scored.mean() for _ in range(200)])
    assert shares.min().item() == pytest.approx(0.1, abs=0.03)
    assert shares.max().item() == pytest.approx(0.8, abs=0.03)
    assert shares.mean().item() == pytest.approx(0.45, abs=0.05)


def test_whole_shows_all_but_what_is_unknown_or_held_out(make: Make, known: Tensor, held_out: Tensor) -> None:
    picture, masking = _picture(), make(_picture(), 0)
    whole = masking.whole()
    assert torch.equal(whole.visible.bool(), known & ~held_out)
    seen = whole.visible.bool().expand_as(picture)
    assert torch.equal(whole.shown[seen], picture[seen])
    other = make(_replaced(picture, held_out | ~known), 0).whole()
    assert torch.equal(other.shown, whole.shown)
    assert not bool(whole.scored.any())


def test_random_pixels_are_not_all_hidden() -> None:
    known = torch.zeros(1, 1, *SIZE, dtype=torch.bool)
    known[..., 3, 5] = known[..., 9, 9] = True
    masking = RandomPixels(_picture(), known, ~known & False, 0.8, torch.Generator().manual_seed(0), fill_biharmonic)
    for _ in range(20):
        masked = masking()
        assert bool(masked.visible.any())
        assert bool(masked.shown.isfinite().all())
