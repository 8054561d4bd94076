"""Tables and races of a benchmark, from records and curves made up for it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from restore.report.quality import draw_pareto, quality_markdown
from restore.runs.ablation import Ablation
from restore.runs.trial import Damage, Source, Trial, TrialPlan
from restore.settings import FitSettings
from restore.studies.quality import Curve, pareto_front, races, rows, seconds_to

METHODS = ("ours", "paper", "nlm")
PSNR = {"ours": 31.0, "paper": 30.0, "nlm": 28.0}


@pytest.fixture
def ablation() -> Ablation:
    trials = [
        Trial(
            Source(picture, {"image": picture}, damage=Damage("noise", noise)),
            FitSettings(seed=seed, preset="paper" if method == "paper" else "balanced"),
            method,
            picture,
            {"variant": method},
            peer="nlm" if method == "nlm" else None,
        )
        for method in METHODS
        for noise in (15.0, 25.0)
        for picture in ("a", "b")
        for seed in (0, 1)
    ]
    return Ablation(TrialPlan("made up", tuple(trials)), METHODS, {}, "ours", {}, "psnr")


def record(trial: Trial) -> dict[str, Any]:
    psnr = PSNR[trial.variant] + (trial.picture == "b") + trial.settings.seed
    fit = trial.peer is None
    return {
        "status": "done",
        "psnr_input": 20.0,
        "psnr": psnr,
        "psnr_peak": psnr + 0.25 if fit else None,
        "psnr_final": psnr - 0.5 if fit else None,
        "ssim": 0.9,
        "lpips": None,
        "seconds": 10.0 if fit else 0.5,
        "iterations": 100 if fit else None,
        "peak_memory_mb": 1000.0,
    }


def test_rows_are_means_over_pictures(ablation: Ablation) -> None:
    records = {trial.id: record(trial) for trial in ablation.plan.trials}
    gone = next(trial for trial in ablation.plan.trials if trial.variant == "ours" and trial.picture == "b")
    records[gone.id] = {**records[gone.id], "status": "failed"}  # seed 0 of b at noise 15: only seed 1 is left
    found = rows(ablation, records)
    assert [(row.damage, row.method) for row in found] == list(itertools.product(("noise15", "noise25"), METHODS))
    first, _, peer = found[:3]
    assert (first.trials, first.failed) == (4, 1)
    assert first.psnr == pytest.approx((31.5 + 33.0) / 2)
    assert found[3].psnr == pytest.approx((31.5 + 32.5) / 2)
    assert first.stopping_loss == pytest.approx(0.25)
    assert first.lpips is None
    assert (peer.psnr_peak, peer.iterations, peer.stopping_loss) == (None, None, None)
    text = quality_markdown("made up", found, [], ["By hand."])
    assert "| ours | 4, 1 failed | 32.25 |" in text
    assert text.count("## noise") == 2


def test_races_end_where_the_rival_is_best(ablation: Ablation) -> None:
    curves: dict[str, Curve] = {}
    for trial in ablation.plan.trials:
        if trial.variant == "ours":
            curves[trial.id] = Curve([1.0, 2.0, 3.0], [20.0, 29.0, 31.0])
        elif trial.variant == "paper":
            top = 30.0 if trial.picture == "a" else 35.0  # which ours never reaches
            curves[trial.id] = Curve([10.0, 20.0, 30.0], [21.0, top, 25.0])
    found = races(ablation, curves, "paper")
    assert [(race.damage, race.method) for race in found] == [("noise15", "ours"), ("noise25", "ours")]
    for race in found:
        assert (race.runs, race.reached) == (4, 2)
        assert (race.seconds, race.rival_seconds) == (3.0, 20.0)
        assert race.ratio == pytest.approx(20 / 3)
        assert race.target == pytest.approx(32.5)
    enough = races(ablation, curves, "paper", ceiling=28.0)[0]
    assert (enough.reached, enough.seconds, enough.rival_seconds) == (4, 2.0, 20.0)
    assert races(ablation, curves, "nlm") == []


def test_nothing_on_the_front_is_beaten() -> None:
    points = [tuple(point) for point in np.random.default_rng(0).random((40, 2))]
    front = pareto_front(points)
    for index, (seconds, quality) in enumerate(points):
        beaten = any(s <= seconds and q >= quality and (s, q) != (seconds, quality) for s, q in points)
        assert (index in front) is not beaten


def test_a_curve_that_never_gets_there() -> None:
    assert seconds_to(Curve([1.0], [20.0]), 21) is None


def test_the_drawing_is_a_picture(ablation: Ablation) -> None:
    records = {trial.id: record(trial) for trial in ablation.plan.trials}
    assert (draw_pareto(rows(ablation, records)) or b"").startswith(b"\x89PNG")
    assert draw_pareto([]) is None
