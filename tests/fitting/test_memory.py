"""What is granted, and when a picture is fitted on tiles."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from restore.errors import UsageError
from restore.fitting import bounded, make_plan, memory
from restore.fitting.bounded import bounded_plan
from restore.fitting.forecast import forecast
from restore.fitting.tiles import make_layout
from restore.problems.problem import Problem, denoising, inpainting
from restore.settings import FitSettings, Plan

CPU = {"device": "cpu", "precision": "float32"}


def _planned(problem: Problem, settings: FitSettings) -> Plan:
    return bounded_plan(problem, make_plan(problem, settings), settings)


@pytest.fixture
def large() -> Problem:
    return denoising(torch.zeros(3, 1500, 2000), 25.0)


@pytest.mark.parametrize("free", [2**40, None], ids=["much", "not told"])
@pytest.mark.parametrize(
    "asked",
    [
        {"max_memory": "900GiB"},
        {"iterations": 100},
        {"optimizer": "adam"},
        {"objective": "fit"},
        {"prior": "decoder"},
        {"preset": "paper"},
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_a_picture_that_fits_is_planned_as_ever(
    large: Problem, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], free: int | None
) -> None:
    monkeypatch.setattr(bounded, "granted", lambda device, share: free)
    settings = FitSettings(**CPU, **asked)
    assert _planned(large, settings) == make_plan(large, settings)


@pytest.mark.parametrize("free", [2**40, None], ids=["much", "not told"])
def test_the_default_takes_tiles_of_large_pictures_though_the_memory_allows_a_whole_fit(
    large: Problem, monkeypatch: pytest.MonkeyPatch, free: int | None
) -> None:
    monkeypatch.setattr(bounded, "granted", lambda device, share: free)
    settings = FitSettings(**CPU)
    whole = make_plan(large, settings)
    plan = _planned(large, settings)
    assert plan == bounded.tile_plan(large, whole, settings, 640)
    assert forecast(large, plan).seconds < 0.6 * forecast(large, whole).seconds
    # What looks into the network needs a whole fit, and a small picture or one on a GPU is better so.
    assert bounded_plan(large, whole, settings, diagnosed=True) == whole
    small = large.part(large.measurement[..., :512, :1024], large.known[..., :512, :1024])
    assert _planned(small, settings) == make_plan(small, settings)
    strong = dataclasses.replace(large, sigma=50.0)
    anew = _planned(strong, settings)
    assert (anew.tile_side, anew.tile_iterations) == (640, 0) and anew.warm_start > 0
    assert forecast(large, whole).memory_mb > forecast(strong, anew).memory_mb
    on_gpu = dataclasses.replace(whole, device="cuda")
    assert bounded_plan(large, on_gpu, settings) == on_gpu
    monkeypatch.setattr(bounded, "granted", lambda device, share: 1)
    assert bounded_plan(large, whole, settings, diagnosed=True).tile_side == bounded.SIDES[-1]


def test_scattered_holes_take_tiles_too_and_strokes_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "granted", lambda device, share: 2**40)
    settings = FitSettings(**CPU)
    picture = torch.zeros(3, 768, 1024)
    by_chance = torch.rand(768, 1024, generator=torch.Generator().manual_seed(0)) < 0.5
    scattered = inpainting(picture, by_chance)
    plan = _planned(scattered, settings)
    tile = make_layout(scattered.size, 640, plan.tile_overlap).tiles[0]
    own = make_plan(inpainting(tile.cut(picture), tile.cut(by_chance).contiguous()), settings)
    assert (plan.tile_side, plan.warm_start, plan.learning_rate) == (640, 0, own.learning_rate)
    assert (plan.iterations, plan.tile_iterations) == (round(0.4 * own.iterations), round(0.2 * own.iterations))
    strokes = torch.zeros(768, 1024, dtype=torch.bool)
    strokes[::64, :900] = True
    assert _planned(inpainting(picture, strokes), settings).tile_side == 0
    by_chance[100:105, 50:450] = True  # too few pixels to matter to the whole, but not to one of the tiles
    mixed = inpainting(picture, by_chance)
    assert make_plan(mixed, settings).hidden_spread > 0 and _planned(mixed, settings).tile_side == 0


def test_tiles_without_a_hole_cost_nothing() -> None:
    settings = FitSettings(**CPU)
    picture, hole = torch.zeros(1, 600, 900), torch.zeros(600, 900, dtype=torch.bool)
    hole[5:60:6, 5:60:6] = True
    one = inpainting(picture, hole)
    plan = bounded.tile_plan(one, make_plan(one, settings), settings, 256)
    tile = make_layout(one.size, 256, plan.tile_overlap).tiles[0]
    alone = one.part(tile.cut(one.measurement), tile.cut(one.known).contiguous())
    own = make_plan(alone, settings)
    assert plan.iterations == own.iterations  # nobody comes after it
    assert forecast(one, plan).seconds == pytest.approx(forecast(alone, own).seconds, rel=1e-6)


@pytest.mark.parametrize("limit", ["1.2GiB", "2GiB", "3GiB", "4GiB"])
def test_the_largest_tiles_that_stay_below_the_limit(large: Problem, limit: str) -> None:
    settings = FitSettings(**CPU, max_memory=limit)
    plan = _planned(large, settings)
    assert settings.memory_limit is not None
    assert forecast(large, plan).memory_mb * 2**20 <= settings.memory_limit
    assert plan.tile_side in bounded.SIDES
    larger = [side for side in bounded.SIDES if side > plan.tile_side]
    for side in larger:
        tried = bounded.tile_plan(large, make_plan(large, settings), settings, side)
        assert forecast(large, tried).memory_mb * 2**20 > settings.memory_limit
    tile = make_layout(large.size, plan.tile_side, plan.tile_overlap).tiles[0]
    own = make_plan(large.part(tile.cut(large.measurement), tile.cut(large.known)), settings).iterations
    assert own > make_plan(large, settings).iterations
    # The first has another turn, and the others begin with what it has learned.
    assert plan.iterations == round(own / 2) and 0 < plan.tile_iterations < plan.iterations


def test_little_free_memory_takes_the_smallest_tiles_and_a_low_limit_is_refused(
    large: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded, "granted", lambda device, share: 1)
    assert _planned(large, FitSettings(**CPU)).tile_side == bounded.SIDES[-1]
    with pytest.raises(UsageError, match=r"--max-memory.* 500 MiB.*128x128"):
        _planned(large, FitSettings(**CPU, max_memory="500MiB"))


def test_prepared_fills_are_counted() -> None:
    picture = torch.zeros(3, 1024, 2048)
    by_chance = torch.rand(1024, 2048, generator=torch.Generator().manual_seed(0)) < 0.5
    strokes = by_chance[::4, ::4].repeat_interleave(4, 0).repeat_interleave(4, 1)
    settings = FitSettings(**CPU, max_memory="3GiB")
    noisy = denoising(picture, 25.0)

    def beyond(hole: torch.Tensor) -> float:
        holed = inpainting(picture, hole)
        plan = _planned(holed, settings)
        assert plan.tile_side > 0
        same = bounded.tile_plan(noisy, make_plan(noisy, settings), settings, plan.tile_side)
        return forecast(holed, plan).memory_mb - forecast(noisy, same).memory_mb

    assert beyond(strokes) > 50
    assert abs(beyond(by_chance)) < 10  # these are filled in every step


def test_tiles_with_strokes_count_beside_fuller_ones_without() -> None:
    picture = torch.zeros(3, 1024, 2048)
    hole = torch.rand(1024, 2048, generator=torch.Generator().manual_seed(0)) < 0.5
    hole[:, 1024:] = False
    hole[500:506, 1100:2000] = True
    holed, settings = inpainting(picture, hole), FitSettings(**CPU, max_memory="3GiB")
    plan = _planned(holed, settings)
    tiles = make_layout(holed.size, plan.tile_side, plan.tile_overlap).tiles
    parts = [holed.part(tile.cut(holed.measurement), tile.cut(holed.known)) for tile in tiles]
    taken = [forecast(part, make_plan(part, settings)).memory_mb * 2**20 for part in parts]
    assert max(taken) <= 3 * 2**30
    assert taken.index(max(taken)) not in (0, len(taken) // 2)  # a tile on the right, with a stroke


def test_what_is_granted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 1000)
    monkeypatch.setattr(memory, "resident", lambda: 50)
    assert memory.granted("cpu") == 850
    assert memory.granted("cpu", share=0.5) == 450
    monkeypatch.setattr(memory, "available", lambda device: None)
    assert memory.granted("cpu") is None


def test_a_container_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    without = memory.available("cpu")
    for name, text in (
        ("memory.max", "5000\n"),
        ("memory.current", "3000\n"),
        ("memory.stat", "anon 7\ninactive_file 400\n"),
    ):
        (tmp_path / name).write_text(text)
    assert memory.available("cpu") == 2400
    (tmp_path / "memory.max").write_text("max\n")
    assert without is None or abs(memory.available("cpu") - without) < 2**32


def test_errors_of_memory_are_told_from_others() -> None:
    assert memory.is_out_of_memory(MemoryError())
    assert memory.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert memory.is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not memory.is_out_of_memory(RuntimeError("shapes do not match"))
    assert not memory.is_out_of_memory(ValueError("out of memory"))
