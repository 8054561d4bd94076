"""Tiles cover a picture, none larger than asked, and their windows join them without a seam."""

from __future__ import annotations

import itertools

import pytest
import torch

from restore.fitting.tiles import Layout, Tile, make_layout, window

SIZES = [(1, 1), (7, 300), (128, 128), (129, 128), (130, 257), (300, 211), (1000, 777)]
every_size = pytest.mark.parametrize("size", SIZES)
every_side = pytest.mark.parametrize(("side", "overlap"), [(32, 1), (32, 8), (128, 32), (200, 37), (512, 64)])


def _sum_of_windows(layout: Layout) -> torch.Tensor:
    total = torch.zeros(layout.size)
    for tile in layout.tiles:
        tile.cut(total).add_(window(layout, tile))
    return total


@every_size
@every_side
def test_every_pixel_is_covered_and_no_tile_is_too_large(size: tuple[int, int], side: int, overlap: int) -> None:
    layout = make_layout(size, side, overlap)
    count = torch.zeros(size)
    for tile in layout.tiles:
        assert 0 <= tile.top <= size[0] - tile.height and 0 <= tile.left <= size[1] - tile.width
        assert (tile.height, tile.width) == layout.tile_size
        tile.cut(count).add_(1)
    assert max(layout.tile_size) <= side
    assert count.min() >= 1 and count.max() <= 4
    assert len(set(layout.tiles)) == len(layout.tiles)


@every_size
@every_side
def test_neighbours_share_what_was_asked_and_follow_each_other(size: tuple[int, int], side: int, overlap: int) -> None:
    layout = make_layout(size, side, overlap)
    for starts, length in (
        (sorted({tile.top for tile in layout.tiles}), layout.tile_size[0]),
        (sorted({tile.left for tile in layout.tiles}), layout.tile_size[1]),
    ):
        assert all(one + length - other >= overlap for one, other in itertools.pairwise(starts))
        assert all(one + length <= other for one, other in zip(starts, starts[2:], strict=False))
    for one, other in itertools.pairwise(layout.tiles):
        assert one.top == other.top or one.left == other.left


@every_size
@every_side
def test_windows_sum_to_one(size: tuple[int, int], side: int, overlap: int) -> None:
    torch.testing.assert_close(_sum_of_windows(make_layout(size, side, overlap)), torch.ones(size), atol=1e-6, rtol=0)


def test_windows_are_smooth_and_all_but_vanish_at_inner_borders() -> None:
    layout = make_layout((300, 400), 128, 32)
    for tile in layout.tiles:
        weight = window(layout, tile)
        assert weight.min() >= 0 and weight.max() <= 1
        assert max(weight.diff(dim=dim).abs().max() for dim in (0, 1)) < 1.6 / 32  # pi / 2 / n at the steepest
        if tile.left > 0:
            assert weight[:, 0].max() < 0.001
        if tile.left + tile.width < 400:
            assert weight[:, -1].max() < 0.001
    corner = window(layout, layout.tiles[0])
    assert corner[0, 0] == 1  # the picture's own border does not fade


def test_a_picture_that_fits_is_one_tile() -> None:
    layout = make_layout((100, 128), 128, 32)
    assert layout.tiles == (Tile(0, 0, 100, 128),)
    assert torch.equal(window(layout, layout.tiles[0]), torch.ones(100, 128))


def test_joining_the_parts_of_a_picture_gives_the_picture() -> None:
    picture = torch.rand(3, 211, 150, generator=torch.Generator().manual_seed(0))
    layout = make_layout((211, 150), 64, 16)
    joined = torch.zeros_like(picture)
    for tile in layout.tiles:
        tile.cut(joined).add_(window(layout, tile) * tile.cut(picture))
    torch.testing.assert_close(joined, picture)


@pytest.mark.parametrize("overlap", [0, 33])
def test_overlaps_that_windows_cannot_join(overlap: int) -> None:
    with pytest.raises(ValueError, match=f"not {overlap}"):
        make_layout((300, 300), 128, overlap)
