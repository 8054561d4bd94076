"""Claims: their registry, the tasks and trainings behind them, and the command that measures them again."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from restore.errors import UsageError
from restore.report.claims import draw_claim
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Result, Verdict, all_claims, choose, reproduce
from restore.studies.reproductions import long_memory, rflo_learning
from restore.studies.sequence_tasks import make_task
from restore.studies.sequence_training import Recipe, learn

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_every_claim_says_what_and_where() -> None:
    claims = all_claims()
    assert len({claim.name for claim in claims}) == len(claims) >= 3
    sources = ("arXiv:", "doi:", "NeurIPS")
    assert all(claim.text.endswith(".") for claim in claims)
    assert all(any(mark in claim.source for mark in sources) for claim in claims)
    assert all(claim.expected in (Verdict.met, Verdict.refuted) for claim in claims)
    assert choose(["all"]) == claims


def test_every_claim_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "claims.md").read_text()
    missing = [claim.name for claim in all_claims() if claim.name not in page]
    assert not missing


def test_an_unknown_claim_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'copying'"):
        choose(["copyin"])


@pytest.mark.parametrize(
    ("found", "expected", "failed"),
    [
        (Verdict.met, Verdict.met, False),
        (Verdict.refuted, Verdict.refuted, False),
        (Verdict.not_reproduced, Verdict.met, True),
        (Verdict.met, Verdict.refuted, True),
        (Verdict.refuted, Verdict.met, True),
    ],
)
def test_a_claim_fails_when_it_is_not_met_or_the_verdict_has_changed(
    found: Verdict, expected: Verdict, failed: bool
) -> None:
    claim = Claim("x", "X.", "arXiv:0", None, expected, lambda conditions: Outcome({"a": 1}, "a above 0", found))
    result = reproduce(claim, Conditions())
    assert result.failed is failed
    assert result.row()["verdict"] == str(found)


def test_copying_is_laid_out_as_described() -> None:
    task = make_task("copying", 6)
    inputs, targets = task.batch(4, torch.Generator().manual_seed(0))
    shown = inputs.argmax(-1)
    assert inputs.shape == (4, 26, 10) and bool((inputs.sum(-1) == 1).all())
    assert bool(((shown[:, :10] >= 1) & (shown[:, :10] <= 8)).all())
    assert shown[:, 10:].tolist() == [[0] * 5 + [9] + [0] * 10] * 4
    assert torch.equal(targets[:, -10:], shown[:, :10]) and not bool(targets[:, :-10].any())


def test_the_baselines_are_those_of_answers_without_memory() -> None:
    task = make_task("copying", 6)
    _, targets = task.batch(50, torch.Generator().manual_seed(0))
    logits = torch.full((50, 26, 9), -50.0)
    logits[:, :16, 0] = 50.0
    logits[:, 16:, 1:] = 0.0
    assert float(task.loss(logits, targets)) == pytest.approx(task.baseline, rel=1e-5)
    assert task.baseline == pytest.approx(10 * math.log(8) / 26)
    task = make_task("adding", 20)
    inputs, sums = task.batch(40_000, torch.Generator().manual_seed(0))
    assert float(task.loss(torch.ones(40_000, 20, 1), sums)) == pytest.approx(task.baseline, rel=0.02)
    marks = inputs[..., 1]
    assert bool((marks[:, :10].sum(1) == 1).all()) and bool((marks[:, 10:].sum(1) == 1).all())
    assert torch.allclose(inputs.prod(-1).sum(-1), sums)


RECIPE = Recipe("scornn", 12, rate=3e-3, batch=16)


def test_a_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    task = make_task("adding", 8)
    whole = learn(task, RECIPE, threshold=0.0, cap=1e9, most=30)
    state = tmp_path / "state.pt"
    first = learn(task, RECIPE, threshold=0.0, cap=1e9, most=13, state=state)
    both = learn(task, RECIPE, threshold=0.0, cap=1e9, most=30, state=state)
    assert len(first.losses) == 13
    assert both.losses == whole.losses
    assert both.seconds > first.seconds


def test_a_training_learns_and_ends_at_its_threshold() -> None:
    learned = learn(make_task("adding", 8), RECIPE, threshold=0.12, cap=1e9, most=2000)
    assert learned.solved and len(learned.losses) < 2000
    assert np.mean(learned.losses[-50:]) < 0.12 < np.mean(learned.losses[:50])


def test_a_cap_ends_a_training() -> None:
    learned = learn(make_task("adding", 8), RECIPE, threshold=0.0, cap=1e-9)
    assert len(learned.losses) == 1 and not learned.solved


def test_recipes_are_the_papers_or_the_default_and_unknown_cells_are_refused() -> None:
    assert long_memory.recipe_of("copying", "scornn", Conditions(seed=3)).options == {"negatives": 95}
    assert long_memory.recipe_of("copying", "scornn", Conditions(seed=3)).seed == 3
    assert long_memory.recipe_of("adding", "sbornn", Conditions()).size == long_memory.DEFAULT_SIZE
    with pytest.raises(UsageError, match="did you mean 'scornn'"):
        long_memory.recipe_of("adding", "scorn", Conditions())


def test_the_outcome_tells_of_every_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_memory, "QUICK", 4)
    monkeypatch.setattr(long_memory, "QUICK_SIZE", 6)
    said: list[str] = []
    conditions = Conditions(quick=True, cells=("rnn",), folder=tmp_path, cap=0.2, say=said.append)
    outcome = long_memory.measure("adding", conditions)
    assert set(outcome.measured) == {"length", "baseline", "rnn", "lstm"}
    assert [curve.name for curve in outcome.curves] == ["rnn", "lstm", "baseline", "threshold"]
    assert outcome.verdict is (Verdict.met if outcome.measured["rnn"]["solved"] else Verdict.not_reproduced)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adding-lstm-quick-0.pt", "adding-rnn-quick-0.pt"]
    assert len(said) == 2


def test_the_local_rule_follows_its_equations_on_the_sine() -> None:
    # The released form, in NumPy: p is the eligibility of W, eta / T its share in a step.
    errors, _ = rflo_learning.train(2, seed=4)
    generator = torch.Generator().manual_seed(4)
    cell = rflo_learning.RFLO(50, learning_rule="rflo", generator=generator, dtype=torch.float64)
    network = rflo_learning.RFLONetwork(cell, 1, 1, generator=generator)
    W, W_out, B = (x.detach().numpy().copy() for x in (cell.W, network.readout.weight, network.readout.B))
    h, p, first = np.full(50, 0.1), np.zeros((50, 50)), 0.0
    dW, dW_out = np.zeros_like(W), np.zeros_like(W_out)
    for target in rflo_learning.sine_target().numpy():
        phi = np.tanh(W @ h)
        p = 0.9 * p + 0.1 * np.outer(1 - phi**2, h)
        h = 0.9 * h + 0.1 * phi
        error = target - W_out @ h
        first += float(error[0] ** 2) / 100
        dW += (B @ error)[:, None] * p * 0.03 / 100
        dW_out += np.outer(error, h) * 0.03 / 100
    W, W_out, h, second = W + dW, W_out + dW_out, np.full(50, 0.1), 0.0
    for target in rflo_learning.sine_target().numpy():
        h = 0.9 * h + 0.1 * np.tanh(W @ h)
        second += float((target - W_out @ h)[0] ** 2) / 100
    assert errors == pytest.approx([first, second], rel=1e-9)


def test_the_figure_shows_every_curve() -> None:
    curves = [Curve("a", [1, 2], [1.0, 2.0]), Curve("limit", [1, 2], [1.5, 1.5], dashed=True)]
    claim = Claim("x", "X.", "arXiv:0", None, Verdict.met, lambda conditions: Outcome({}, "", Verdict.met, curves))
    picture = draw_claim(reproduce(claim, Conditions()))
    assert picture.startswith(b"\x89PNG")
    assert draw_claim(Result(claim, Outcome({}, "", Verdict.met), 0.0)) == b""


def test_the_command_lists_and_refuses(run: Run) -> None:
    listed = run("reproduce")
    assert listed.returncode == 0 and "copying" in listed.stdout and "arXiv:1707.09520" in listed.stdout
    unknown = run("reproduce", "copyin")
    assert unknown.returncode == 2 and "did you mean 'copying'" in unknown.stderr and "Traceback" not in unknown.stderr
    needless = run("reproduce", "rflo-learning", "--cell", "gru")
    assert needless.returncode == 2 and "does not apply" in needless.stderr
    cell = run("reproduce", "digits", "--quick", "--cell", "scorn")
    assert cell.returncode == 2 and "did you mean 'scornn'" in cell.stderr and "Traceback" not in cell.stderr


def test_the_command_measures_writes_and_tells_by_its_exit_status(tmp_path: Path, run: Run) -> None:
    run = run("reproduce", "adding", "--quick", "--cell", "scornn", "--cap", "1", "--json", "-o", str(tmp_path / "new"))
    (row,) = json.loads(run.stdout)
    required = {"claim", "source", "published", "measured", "threshold", "verdict"}
    assert required <= set(row)
    assert run.returncode == (0 if row["verdict"] == "met" else 1)
    written: dict[str, Any] = json.loads((tmp_path / "new" / "adding.json").read_text())
    assert written["measured"] == row["measured"] and written["curves"]
    assert (tmp_path / "new" / "adding.png").read_bytes().startswith(b"\x89PNG")
