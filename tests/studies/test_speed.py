"""The speed study counts what can be counted by hand, and its figures follow from each other."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from restore.settings import FitSettings
from restore.studies.growth import Growth, Variant, exponents, measure_growth, variants
from restore.studies.peaks import PeakSizes, PeakTimer
from restore.studies.speed import Stepper, measure_speed
from restore.studies.step_cost import peak_bytes

Run = Callable[..., subprocess.CompletedProcess[str]]

TINY = PeakSizes(channels=8, pixels=16, rows=32, numbers=1024)
SMALL = FitSettings(optimizer="adam", device="cpu", precision="float32", network={"channels": (8, 8), "tail": 0})


def test_operations_of_a_step_are_those_counted_by_hand() -> None:
    pixels = 32 * 32
    # per pixel of the picture: stem 3x3 3 -> 8, up 3x3 8 -> 8, head 1x1 8 -> 3; at a quarter: two 3x3 and a 1x1, 8 -> 8
    others = 9 * 8 * 8 + 8 * 3 + (2 * 9 * 8 * 8 + 8 * 8) // 4
    stem = 9 * 3 * 8
    # backward once for the weights and once for the input, which the stem's is not; each is as much as forward
    assert Stepper(SMALL, (32, 32)).cost().flops == 2 * pixels * (3 * others + 2 * stem)


def test_what_is_kept_is_halved_by_bfloat16_and_quartered_with_the_area() -> None:
    large, half = (Stepper(replace(SMALL, precision=name), (128, 128)).cost() for name in ("float32", "bfloat16"))
    small = Stepper(SMALL, (64, 64)).cost()
    assert large.weight_bytes == half.weight_bytes == small.weight_bytes
    assert half.kept_bytes == pytest.approx(large.kept_bytes / 2, rel=0.15)  # the image and its loss stay float32
    assert small.kept_bytes == pytest.approx(large.kept_bytes / 4, rel=0.02)
    assert large.traffic_bytes == 4 * large.kept_bytes + 8 * large.weight_bytes


def test_bytes_at_once_are_those_alive() -> None:
    def work() -> None:
        first = torch.zeros(1000)
        second = first + 1  # 8000 bytes here
        second.add_(1)
        second.view(10, 100)
        del first
        torch.zeros(500)

    assert peak_bytes(work, torch.device("cpu")) == 8000


def test_a_step_holds_at_least_what_it_keeps() -> None:
    stepper = Stepper(SMALL, (64, 64))
    kept = stepper.cost().kept_bytes
    assert kept < peak_bytes(stepper.step, torch.device("cpu")) < 3 * kept


def test_the_peak_is_the_faster_one() -> None:
    rates = PeakTimer(("float32", "bfloat16"), torch.device("cpu"), TINY)()
    for precision in ("float32", "bfloat16"):
        assert rates.peak(precision) >= max(rates.convolution[precision], rates.product[precision]) > 0
    assert rates.bandwidth > 0


def test_figures_follow_from_each_other() -> None:
    fits = [SMALL, replace(SMALL, prior="decoder", network={"channels": 8, "layers": 2})]
    peaks, speeds = measure_speed(fits, size=(32, 32), rounds=1, sizes=TINY)
    (peak,) = peaks
    assert [each.prior for each in speeds] == ["hourglass", "decoder"]
    for each in speeds:
        compute = each.flops / max(peak.convolution, peak.product)
        memory = each.traffic_bytes / peak.bandwidth
        assert each.flops_per_second == pytest.approx(1e3 * each.flops / each.milliseconds)
        assert each.fraction == pytest.approx(each.flops_per_second / max(peak.convolution, peak.product))
        assert each.roofline_milliseconds == pytest.approx(1e3 * max(compute, memory))
        assert each.bound == ("compute" if compute > memory else "memory")
        assert each.over_roofline == pytest.approx(each.milliseconds / each.roofline_milliseconds)


def test_memory_grows_with_the_area_and_with_t() -> None:
    recurrent = replace(SMALL, prior="recurrent", cell="scornn", refine_channels=8, network={})
    fits = [Variant("area", side * side, SMALL, (side, side)) for side in (64, 128)]
    fits += [Variant("T", steps, replace(recurrent, refine_steps=steps), (32, 32)) for steps in (2, 4, 8)]
    slopes = exponents(measure_growth(fits, rounds=1))
    assert slopes["area"][1] == pytest.approx(1, abs=0.05)
    assert 0.7 < slopes["T"][1] < 1.1


def test_exponents_are_those_of_a_power_law() -> None:
    grown = [Growth("area", n, "float32", 3 * n**1.5, round(7 * n**0.5 * 1e6)) for n in (100, 400, 900)]
    assert exponents(grown)["area"] == pytest.approx((1.5, 0.5), abs=1e-6)


def test_variants_differ_in_one_thing() -> None:
    found = variants(128)
    assert {each.of for each in found} == {"area", "channels", "T"}
    assert [each.value for each in found if each.of == "area"] == [64 * 64, 96 * 96, 128 * 128]
    assert len({each.size for each in found if each.of != "area"}) == 1


def test_the_command_prints_one_json_object(run: Run) -> None:
    words = ("--size", "64", "--rounds", "1", "--precision", "float32", "--device", "cpu", "--threads", "1", "--json")
    done = run("bench", "speed", *words)
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    assert [each["precision"] for each in printed["peaks"]] == ["float32"]
    assert [each["prior"] for each in printed["steps"]] == ["hourglass", "dip", "decoder", "recurrent"]
    assert {each["of"] for each in printed["growth"]} == set(printed["exponents"]) == {"area", "channels", "T"}
    assert all(0 < each["fraction"] < 1 for each in printed["steps"])


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--size", "100"), "multiple of 64"), (("--precision", "bfloat"), "bfloat16"), (("--device", "cuda:99"), "cuda")],
)
def test_what_it_cannot_do_is_said_in_a_sentence(words: tuple[str, ...], said: str, run: Run) -> None:
    done = run("bench", "speed", *words)
    assert done.returncode != 0 and said in done.stderr
    assert "Traceback" not in done.stderr and not done.stdout
