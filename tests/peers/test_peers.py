"""What the peers do, and that none is needed."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from restore.errors import UsageError
from restore.peers import PEERS, Task, missing_packages
from restore.runs.peer_work import check_peer
from restore.runs.trial import Damage, Source

Array = NDArray[np.float64]

SIGMA = 25 / 255
NOISY = Source("a.png", {}, damage=Damage("noise", 25))
HOLED = Source("a.png", {}, damage=Damage("missing", 0.5))


@pytest.fixture(params=["grey", "colour"])
def true(request: pytest.FixtureRequest) -> Array:
    rows, columns = np.mgrid[0:48, 0:56] / 48
    grey = 0.5 + 0.2 * np.sin(5 * columns) + 0.2 * np.cos(4 * rows)
    return grey if request.param == "grey" else np.stack([grey, grey**2, 1 - grey], axis=-1)


def error(restored: NDArray[Any], true: Array) -> float:
    return float(np.square(restored - true).mean())


@pytest.mark.parametrize("name", ["nlm", "tv", "wavelet"])
def test_denoisers_take_most_of_the_noise(name: str, true: Array) -> None:
    noisy = np.clip(true + np.random.default_rng(0).normal(0, SIGMA, true.shape), 0, 1)
    before = noisy.copy()
    restored = PEERS[name].run(Task(noisy, sigma=SIGMA))
    assert restored.shape == true.shape
    assert error(restored, true) < 0.4 * error(noisy, true)
    np.testing.assert_array_equal(noisy, before)


def test_the_biharmonic_fill_is_right_inside_the_hole(true: Array) -> None:
    hole = np.random.default_rng(0).random(true.shape[:2]) < 0.3
    holed = np.where(hole if true.ndim == 2 else hole[..., None], 0, true)
    restored = PEERS["biharmonic"].run(Task(holed, hole=hole))
    assert error(restored, true) < 1e-3
    np.testing.assert_array_equal(restored[~hole], true[~hole])


def test_bm3d_is_called_by_the_number_of_channels(true: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[tuple[str, tuple[int, ...], float]] = []
    module = ModuleType("bm3d")

    def stand_in(name: str) -> Any:
        def denoise(picture: Array, sigma: float) -> Array:
            called.append((name, picture.shape, sigma))
            return picture[..., None] if picture.ndim == 2 else picture  # as the package does for grey ones

        return denoise

    monkeypatch.setattr(module, "bm3d", stand_in("bm3d"), raising=False)
    monkeypatch.setattr(module, "bm3d_rgb", stand_in("bm3d_rgb"), raising=False)
    monkeypatch.setitem(sys.modules, "bm3d", module)
    restored = PEERS["bm3d"].run(Task(true, sigma=SIGMA))
    assert called == [("bm3d" if true.ndim == 2 else "bm3d_rgb", true.shape, SIGMA)]
    np.testing.assert_array_equal(restored, true)
    white = np.ones_like(true) - 0.3989 * SIGMA  # the mean of clipped noise around white
    np.testing.assert_allclose(PEERS["bm3d-unclipped"].run(Task(white, sigma=SIGMA)), 1, atol=1e-3)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert missing_packages(PEERS["bm3d"]) == ["bm3d"]
    assert missing_packages(PEERS["nlm"]) == []
    with pytest.raises(UsageError, match=r"needs bm3d: pip install 'restore\[peers\]'"):
        check_peer("bm3d", [NOISY])


@pytest.mark.parametrize(
    ("name", "source", "why"),
    [
        ("nlm", HOLED, "does not inpaint; these do: biharmonic, deepinv"),
        ("biharmonic", NOISY, "does not denoise; these do: "),
        ("nlm", Source("a.png", {}), "is told the noise, so it needs degradations"),
        ("nml", NOISY, "did you mean 'nlm'"),
    ],
)
def test_what_a_peer_cannot_do_is_refused(name: str, source: Source, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        check_peer(name, [source])
