"""The summary of an ablation: what it says, that Markdown and LaTeX hold the same, and the drawings."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys

import numpy as np
import pytest
from PIL import Image

from restore.errors import UsageError
from restore.report.ablation import as_json, summary_markdown, summary_tex, summary_text
from restore.report.ablation_figures import draw_curves, draw_differences
from restore.report.tables import markdown
from restore.studies.ablation import Effect, Findings, VariantMean
from restore.studies.statistics import compare

PICTURES = tuple("abcdefg")


@pytest.fixture
def found() -> Findings:
    pictures = {picture: -1.234 - 0.1 * index for index, picture in enumerate(PICTURES)}
    (one,) = compare({"norm=none": pictures})
    variants = (VariantMean("norm=channel", 14, 0, 30.0, 100.0, 2.5), VariantMean("norm=none", 14, 1, None, None, None))
    effect = Effect("norm", "channel", (one,))
    return Findings(
        "a_b", "psnr", "norm=channel", 30, 28, PICTURES, variants, (effect,), (one,), {"x | y": "50 % lost"}
    )


def test_it_says_what_was_found(found: Findings) -> None:
    text = summary_markdown(found, ["figures/x.png"])
    assert "28 trials of 30; the rest has not ended, 1 failed, 7 picture(s)" in text
    assert "| norm=none | -1.53 | -1.68 to -1.38 | 0.0156 | 0/0/7 |" in text
    assert "| norm=channel | 30.00 | baseline |  |  |  | 100 | 2.5 |" in text
    assert "| x \\| y | 50 % lost |" in text
    assert "Wilcoxon's with Holm's" in text and "too few" not in text
    assert "![figures/x.png](figures/x.png)" in text


def test_it_says_why_there_is_no_p(found: Findings) -> None:
    few = compare({"norm=none": {"a": 1.0, "b": 2.0}})
    text = summary_markdown(dataclasses.replace(found, pictures=("a", "b"), effects=(), against_baseline=tuple(few)))
    assert "2 picture(s) are too few for any to be significant" in text
    assert "Wilcoxon" not in text
    assert "factor" not in text


def test_latex_is_balanced_and_escaped(found: Findings) -> None:
    text = summary_tex(found)
    assert text.count(r"\begin{") == text.count(r"\end{") == 4
    assert r"a\_b: norm" in text
    assert text.count("{") - text.count("}") == 0
    body = text.split(r"\midrule")[-1].split(r"\bottomrule")[0]
    assert all(row.count("&") == 7 for row in body.strip().splitlines())
    assert not re.search(r"(?<!\\)[_%#]", text)


def test_the_terminal_sees_the_same(found: Findings) -> None:
    text = summary_text(found)
    assert "norm=none  -1.53       -1.68 to -1.38  0.0156  0/0/7" in text
    assert "failed: x | y: 50 % lost" in text


def test_json_is_strict(found: Findings) -> None:
    value = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert value["effects"][0]["comparisons"][0]["differences"]["g"] == pytest.approx(-1.834)


def test_tables_are_rectangles() -> None:
    lines = markdown(("a", "b"), [["1|2", ""], ["x", "y"]]).splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}


def test_drawings_are_pictures(found: Findings) -> None:
    differences = np.asarray(Image.open(io.BytesIO(draw_differences(found))).convert("RGB"))
    assert differences.std() > 5
    curves = {"a": [([10, 20], [1.0, 2.0]), ([10, 20, 30], [3.0, 4.0, 5.0])], "b": [([], [])]}
    drawn = draw_curves({"norm": curves, "init": {"c": []}}, "dB", logarithmic=True)
    assert drawn is not None
    assert np.asarray(Image.open(io.BytesIO(drawn)).convert("RGB")).std() > 5
    assert draw_curves({"norm": {"b": [([], [])]}}, "dB") is None


def test_drawing_is_an_extra(found: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'restore\[plot\]'"):
        draw_differences(found)
