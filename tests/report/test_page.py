"""Pages stand alone, escape what they show, and say what happened; the command makes them of what is on disk."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import restore
from restore.errors import InputError
from restore.report.findings import findings
from restore.report.page import Pair, ablation_page, claims_page, run_page
from restore.report.pictures import difference, shrunk

REPORT: dict[str, Any] = {
    **{"command": "denoise", "input": "a.png", "output": "b.png", "prior": "hourglass", "norm": "channel"},
    **{"objective": "blindspot", "seconds": 3.0, "device": "cpu", "precision": "float32", "arguments": None},
    **{"iterations": 512, "iteration_best": 412, "stop_reason": "heldout", "preset": "balanced", "seed": 0},
    **{"psnr": None, "psnr_input": None, "psnr_peak": None, "psnr_final": None, "psnr_estimate": None},
    **{"psnr_estimate_error": None, "gradient_health": None, "baseline": None, "warnings": []},
}


Run = Callable[..., subprocess.CompletedProcess[str]]


class Reader(html.parser.HTMLParser):
    """Collects the tags, the addresses and the text of a page, and checks that tags are closed."""

    VOID = ("meta", "img", "input", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _check(page: str) -> Reader:
    reader = Reader(page)
    assert all(address.startswith(("data:", "#")) for address in reader.addresses)
    assert not re.search(r"(?:src|href)=.https?:|url\(.?https?:|@import", page)
    return reader


def _pair(seed: int = 0) -> Pair:
    drawn = np.random.default_rng(seed).random((2, 3, 12, 16)).astype(np.float32)
    return Pair(drawn[0], drawn[1])


def test_a_page_carries_its_pictures_and_nothing_else() -> None:
    reader = _check(run_page(REPORT, {}, [_pair()]))
    assert reader.tags.count("img") == 3
    first = base64.b64decode(reader.addresses[0].partition(",")[2])
    with Image.open(io.BytesIO(first)) as picture:
        assert np.array_equal(np.moveaxis(np.asarray(picture), -1, 0), np.rint(255 * _pair().after))


def test_what_is_shown_is_escaped() -> None:
    evil = "<script>alert(1)</script>.png"
    page = run_page({**REPORT, "output": evil, "warnings": [evil]}, {}, [])
    reader = _check(page)
    assert reader.tags.count("script") == 1  # its own
    assert "alert(1)" in "".join(reader.text)


def test_curves_of_a_real_run_are_drawn(noisy_scene: Any) -> None:
    picture = noisy_scene.permute(1, 2, 0).numpy()
    settings: dict[str, Any] = {"network": {"channels": (8, 8), "tail": 1}, "iterations": 30, "device": "cpu"}
    result = restore.denoise(picture, reference=picture, health=True, baseline="unnormalized", cell="gru", **settings)
    reader = _check(run_page(result.report, result.curves(), []))
    text = "".join(reader.text)
    for words in ("Loss", "PSNR of the averaged picture", "layer by layer", "way back through the recurrence"):
        assert words in text
    assert "The twin 'bias'" in text and "The twin 'none'" in text
    without = restore.denoise(picture, **settings)
    assert "PSNR of the averaged" not in run_page(without.report, without.curves(), [])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {},
            "ended at step 512: the error on the held-out pixels had not improved since step 412. The picture",
        ),
        ({"stop_reason": "iterations", "iteration_best": 512}, "ended at step 512: these were all the steps"),
        ({"stop_reason": "time"}, "the time was up"),
        ({"psnr": 31.0, "psnr_input": 20.5, "psnr_peak": 31.2, "psnr_final": 30.9}, "PSNR of 31.00 dB, from 20.50 dB"),
        ({"psnr_estimate": 30.0, "psnr_estimate_error": 0.4}, "estimated at 30.0 +- 0.4 dB"),
        ({"warnings": ["the noise is correlated"]}, "Warning: the noise is correlated"),
    ],
)
def test_findings_say_what_happened(values: dict[str, Any], words: str) -> None:
    assert words in " ".join(findings({**REPORT, **values}))


def test_findings_tell_of_the_twin() -> None:
    side = {"change": "bias", "iterations": 3000, "psnr": 20.0, "gradient_health": {"verdict": "vanishing"}}
    baseline = {
        **{**side, "speedup": None, "normalized": {"psnr": 31.0}},
        "beside": [{**side, "change": "none", "speedup": 4.0}],
    }
    told = findings({**REPORT, "baseline": baseline})
    assert any("'bias' never reached 90 % of the fall in the loss in 3000 steps" in sentence for sentence in told)
    assert any("'none' took 4.00 times as many steps" in sentence for sentence in told)
    assert any("its gradients: vanishing" in sentence for sentence in told)


def test_the_difference_is_around_grey() -> None:
    before = np.full((3, 10, 10), 0.5, np.float32)
    change, reach = difference(before, before)
    assert (change == 0.5).all() and reach == 1
    after = before.copy()
    after[:, :5] += 10 / 255
    change, reach = difference(before, after)
    assert reach == 10
    assert np.allclose(change[0, :5], 1) and np.allclose(change[0, 5:], 0.5)


def test_large_pictures_are_shrunk() -> None:
    assert shrunk(np.zeros((1, 40, 80), np.float32), 20).size == (20, 10)
    assert shrunk(np.zeros((1, 4, 8), np.float32), 20).size == (8, 4)


def test_an_ablation_has_a_table_and_thumbnails(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("id,norm,psnr\nab,channel,31.5\ncd,<b>,9\n")
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (200, 100)).save(tmp_path / "pictures" / "ab.png")
    reader = _check(ablation_page(tmp_path))
    assert reader.tags.count("img") == 1 and reader.tags.count("b") == 0
    assert {"31.5", "<b>"} <= set(reader.text)
    with pytest.raises(InputError, match=r"holds no results.csv"):
        ablation_page(tmp_path / "pictures")


def test_claims_have_a_page(tmp_path: Path) -> None:
    claim = {"name": "x", "claim": "X & Y.", "source": "arXiv:0", "published": None, "measured": {"a": 1.5}}
    (tmp_path / "x.json").write_text(
        json.dumps({**claim, "threshold": "t", "verdict": "met", "note": "", "seconds": 1})
    )
    reader = _check(claims_page(tmp_path))
    assert "1 of 1 are met" in "".join(reader.text)


def test_the_commands_write_pages_and_overwrite_none(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24), dtype=np.uint8)).save(path)
    done = run("denoise", str(path), "--iterations", "10", "--curves", "--report", "-q")
    assert done.returncode == 0, done.stderr
    page = tmp_path / "a.restored.png.html"
    text = "".join(_check(page.read_text()).text)
    assert f"restore denoise {path} --iterations 10 --curves --report -q" in text
    again = run("report", str(tmp_path / "a.restored.png"))
    assert again.returncode == 2 and page.name in again.stderr
    named = run("report", str(tmp_path / "a.restored.png.json"), "-o", str(tmp_path / "b.html"))
    assert named.returncode == 0, named.stderr
    assert _check((tmp_path / "b.html").read_text()).tags.count("img") == 3 + 1  # pictures, loss
    refused = run("denoise", str(path), "-o", str(tmp_path / "c.png"), "--report", str(tmp_path / "b.html"))
    assert refused.returncode == 2 and "b.html" in refused.stderr and not (tmp_path / "c.png").exists()
    missing = run("report", str(path))
    assert missing.returncode == 2 and "there is no" in missing.stderr and "Traceback" not in missing.stderr


def test_folders_of_results_get_their_page_when_asked(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "claims"
    done = run("reproduce", "modrelu-gradient", "-o", str(folder), "--report", "--json")
    assert done.returncode == 0, done.stderr
    assert "modrelu-gradient" in "".join(_check((folder / "report.html").read_text()).text)
    there = tmp_path / "mine.html"
    there.write_text("mine")
    refused = run("reproduce", "modrelu-gradient", "-o", str(folder), "--report", str(there))
    assert refused.returncode == 2 and there.read_text() == "mine"
    assert "name one with -o" in run("reproduce", "modrelu-gradient", "--report").stderr
    path = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24), dtype=np.uint8)).save(path)
    config = tmp_path / "plan.yaml"
    lines = ("images: [a.png]", "degradations: [{noise: 25}]", "settings: {iterations: 2}")
    config.write_text("\n".join([*lines, "sweep: {norm: [channel, none]}", ""]))
    results = tmp_path / "results"
    done = run("ablate", str(config), "-o", str(results), "--report", "-q", "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "2 trials have ended" in "".join(_check((results / "report.html").read_text()).text)
