"""Pages in a browser: a command of its own, since it needs one that the other tests do not.

    apt-get install chromium && pip install playwright matplotlib && pytest tests/browser/pages.py

The network is off. CHROMIUM names another browser than /usr/bin/chromium.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import restore
from restore.report.page import Pair, ablation_page, run_page

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
TRIALS = 200


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small run with everything on it."""
    true = np.asarray(Image.fromarray(np.arange(96 * 96, dtype=np.float32).reshape(96, 96) / 96**2))
    noisy = (true + 0.1 * np.random.default_rng(0).standard_normal(true.shape)).astype(np.float32)
    settings: dict[str, Any] = {"network": {"channels": (8, 8), "tail": 1}, "iterations": 40, "device": "cpu"}
    result = restore.denoise(noisy, reference=true, health=True, baseline="unnormalized", cell="gru", **settings)
    path = tmp_path_factory.mktemp("run") / "run.html"
    path.write_text(run_page(result.report, result.curves(), [Pair(noisy[None], true[None])]))
    return path


@pytest.fixture(scope="module")
def ablation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an ablation of 200 trials with pictures of 128x128."""
    folder = tmp_path_factory.mktemp("ablation")
    (folder / "pictures").mkdir()
    random = np.random.default_rng(0)
    lines = ["id,variant,picture,damage,seed,psnr,ssim,seconds"]
    for trial in range(TRIALS):
        picture = random.integers(0, 255, (128, 128, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "pictures" / f"t{trial}.png")
        lines.append(f"t{trial},variant {trial % 7},camera,noise25,{trial % 3},{20 + 10 * random.random()},0.9,{trial}")
    (folder / "results.csv").write_text("\n".join(lines) + "\n")
    (folder / "summary.md").write_text("| a | b |\n|---|---|\n")
    path = folder / "report.html"
    path.write_text(ablation_page(folder))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        opened = driver.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    """Return `visit(path, width)`, the page at that width; fails on any console error or request beyond the file."""
    troubles: list[str] = []
    contexts = []

    def opened(path: Path, width: int = 1000) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: troubles.append(request.url) if not _own(request.url, path) else None)
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


def _own(url: str, path: Path) -> bool:
    return url.startswith("data:") or url == path.as_uri()


def _at(page: Any) -> float:
    return float(page.evaluate("parseFloat(document.querySelector('.compare').style.getPropertyValue('--at'))"))


def test_the_slider_moves_by_mouse_and_by_arrow_keys(visit: Any, run: Path) -> None:
    page = visit(run)
    assert _at(page) == 50
    box = page.locator(".compare").bounding_box()
    page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    moved = _at(page)
    assert 70 < moved < 90
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert _at(page) == moved - 2
    page.keyboard.press("ArrowRight")
    assert _at(page) == moved - 1
    bar = page.locator(".compare .bar").bounding_box()
    assert bar["x"] == pytest.approx(box["x"] + (moved - 1) / 100 * box["width"], abs=3)


def test_the_lens_shows_when_it_is_switched_on(visit: Any, run: Path) -> None:
    page = visit(run)
    box = page.locator(".compare").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    assert not page.locator(".lens").is_visible()
    page.locator("label.switch").click()
    box = page.locator(".compare").bounding_box()  # the click may have scrolled
    page.mouse.move(box["x"] + 60, max(1, box["y"] + 60))
    assert page.locator(".lens").is_visible()


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("which", ["run", "ablation"])
def test_pages_fit_their_window(visit: Any, which: str, width: int, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(which)
    page = visit(path, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    size = page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
    assert size >= 16
    broken = page.evaluate("[...document.images].filter(i => !i.complete || i.naturalWidth === 0).length")
    assert broken == 0
    if shots := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(shots) / f"{which}-{width}.png", full_page=which == "run")


def test_the_table_sorts_by_numbers(visit: Any, ablation: Path) -> None:
    page = visit(ablation)
    column = "[...document.querySelectorAll('table.sortable tbody tr')].map(r => Number(r.cells[6].textContent))"
    page.get_by_role("button", name="psnr").click()
    up = page.evaluate(column)
    assert up == sorted(up) and len(up) == TRIALS
    page.get_by_role("button", name="psnr").click()
    assert page.evaluate(column) == sorted(up, reverse=True)


def test_an_ablation_of_200_trials_stays_small(ablation: Path) -> None:
    assert ablation.stat().st_size < 10 * 2**20
