"""The ablations that come with the project: their plans can be made and begun."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from restore.runs.config import read_ablation
from restore.runs.estimate import look_ahead

CONFIGS = sorted(Path(__file__).parents[2].joinpath("configs").glob("ablation-*.yaml"))


def test_the_one_in_the_documentation_is_one(tmp_path: Path) -> None:
    document = Path(__file__).parents[2] / "docs" / "ablations.md"
    (tmp_path / "example.yaml").write_text(document.read_text().split("```yaml\n")[1].split("```")[0])
    for name in ("camera", "astronaut"):
        Image.new("L", (256, 200), len(name)).save(tmp_path / f"{name}.png")
    ablation = read_ablation(tmp_path / "example.yaml")
    assert ablation.variants[0] == "published"
    assert ablation.baseline == "adam, norm=none, network.channels=[16, 32]"
    assert len(ablation.plan.trials) == (1 + 2 * 2 * 2) * 2 * 2 * 2


def test_they_are_there() -> None:
    assert [path.stem.removeprefix("ablation-") for path in CONFIGS] == [
        f"{name}{form}" for name in ("depth", "normalization", "refinement") for form in ("-quick", "")
    ]


@pytest.mark.parametrize("path", [path for path in CONFIGS if "quick" in path.stem], ids=lambda path: path.stem)
def test_the_quick_ones_can_be_begun(path: Path) -> None:
    ablation = read_ablation(path)
    pictures = {trial.picture for trial in ablation.plan.trials}
    assert len(ablation.plan.trials) == len(ablation.variants) * len(pictures) <= 100
    assert len(pictures) >= 6  # enough for a p-value of a comparison of two
    for trial in {trial.variant: trial for trial in ablation.plan.trials}.values():
        plan, cost = look_ahead(trial)
        assert plan.stop == "none"
        assert cost.flops * plan.iterations < 3e12


@pytest.mark.parametrize("path", [path for path in CONFIGS if "quick" not in path.stem], ids=lambda path: path.stem)
def test_the_long_ones_name_what_exists(path: Path) -> None:
    ablation = read_ablation(path)
    assert len(ablation.plan.trials) == len(ablation.variants) * 8
    look_ahead(ablation.plan.trials[-1])


def test_the_headline_compares_every_normalisation_under_each_prior_and_objective() -> None:
    headline, rates = (read_ablation(CONFIGS[0].with_name(f"{name}.yaml")) for name in ("headline", "headline-rates"))
    ones = {trial.variant: trial for trial in headline.plan.trials}
    plans = {variant: look_ahead(trial)[0] for variant, trial in ones.items()}
    kinds = {(plan.prior, plan.objective, plan.networks, plan.norm) for plan in plans.values()}
    assert len({kind[:3] for kind in kinds}) == 7
    assert len(kinds) == 21 == (len(rates.plan.trials) - 6) / 4  # two more rates of the default
