"""From YAML to a plan, and one sentence with file and line for whatever is wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from restore.errors import InputError, RestoreError, UsageError
from restore.runs.ablation import Ablation
from restore.runs.config import read_ablation
from restore.runs.document import parse_value, read_document

PLAIN = """\
images: [waves.png]
degradations: [{noise: 20}]
sweep:
  norm: [channel, none]
"""


@pytest.fixture
def write(tmp_path: Path, picture: Path) -> Callable[[str], Path]:
    def save(text: str) -> Path:
        (tmp_path / "plan.yaml").write_text(text)
        return tmp_path / "plan.yaml"

    return save


@pytest.fixture
def ablation(write: Callable[[str], Path]) -> Callable[..., Ablation]:
    return lambda text, *changes: read_ablation(write(text), changes)


def test_the_grid_is_the_product(ablation: Callable[..., Ablation]) -> None:
    read = ablation("""\
name: product
images: [{path: waves.png, name: left, crop: [0, 0, 24, 16]}, {path: waves.png, name: middle, crop: 16}]
degradations: [{noise: 20}, {missing: 0.5, seed: 2}]
seeds: [0, 7]
settings: {iterations: 5, network: {tail: 0}}
sweep: {norm: [channel, none], network.channels: [[4, 4], [4, 8]]}
variants: {adam: {}, sgd: {optimizer: sgd, learning_rate: 1e-1}}
baseline: {norm: none}
metric: ssim
""")
    plan = read.plan
    assert len(plan.trials) == len({trial.id for trial in plan.trials}) == 2 * 2 * 2 * 2 * 2 * 2
    assert read.variants[0] == "adam, norm=channel, network.channels=[4, 4]"
    assert read.factors == {
        "variant": ("adam", "sgd"),
        "norm": ("channel", "none"),
        "network.channels": ([4, 4], [4, 8]),
    }
    assert read.baseline == "adam, norm=none, network.channels=[4, 4]"
    assert read.metric == "ssim"
    last = plan.trials[-1]
    assert (last.picture, last.damage, last.settings.seed) == ("middle", "missing50-seed2", 7)
    assert last.source.crop == (8, 12, 16, 16)
    assert last.settings.network == {"tail": 0, "channels": [4, 8]}
    assert (last.settings.optimizer, last.settings.learning_rate, last.settings.norm) == ("sgd", 0.1, "none")


def test_controls_stand_beside_the_sweep(ablation: Callable[..., Ablation]) -> None:
    read = ablation(PLAIN + "controls: {dip: {prior: dip}, bias: {norm: bias}}\n")
    assert read.variants == ("dip", "bias", "norm=channel", "norm=none")
    assert read.factors == {"norm": ("channel", "none")}
    assert (read.baseline, read.baseline_factors) == ("dip", {"norm": "channel"})
    assert read.plan.trials[1].settings.norm == "bias"
    assert read.plan.trials[1].columns()["norm"] == "(control)"
    assert ablation(PLAIN + "controls: {dip: {prior: dip}}\nbaseline: {norm: none}\n").baseline == "norm=none"


def test_options_are_merged_and_an_empty_map_takes_them_out(ablation: Callable[..., Ablation]) -> None:
    text = PLAIN + "settings: {network: {tail: 1, channels: [4, 4]}}\n"
    text += "variants: {a: {network: {tail: 2}}, b: {network: {}}, c: {network.channels: [8]}}\n"
    networks = [trial.settings.network for trial in ablation(text).plan.trials[::2]]
    assert networks == [{"tail": 2, "channels": [4, 4]}, {}, {"tail": 1, "channels": [8]}]


def test_names_and_places_do_not_change_a_trial(
    ablation: Callable[..., Ablation], tmp_path: Path, picture: Path
) -> None:
    first = ablation(PLAIN).plan.trials[0]
    (tmp_path / "other.png").write_bytes(picture.read_bytes())
    other = ablation(PLAIN.replace("waves", "other").replace("noise: 20", "noise: 20.0")).plan.trials[0]
    assert (other.id, other.picture) == (first.id, "other")


def test_without_degradations_the_pictures_are_damaged(ablation: Callable[..., Ablation], picture: Path) -> None:
    text = "images: [{path: waves.png, reference: waves.png, sigma: 12}]\nsweep: {norm: [channel, none]}\n"
    source = ablation(text).plan.trials[0].source
    assert (source.damage, source.reference, source.sigma) == (None, str(picture), 12)


def test_numbers_and_words_are_those_of_yaml_1_2(write: Callable[[str], Path]) -> None:
    text = "a: 1e-3\nb: no\nc: 010\nd: 0x10\ne: '1'\nf: null\ng: .5\nh: true\ni: 1_0\nj: 1:30\nk: -.inf\n"
    expected = [1e-3, "no", 10, 16, "1", None, 0.5, True, "1_0", "1:30", float("-inf")]
    assert list(read_document(write(text)).value.values()) == expected
    assert parse_value("0o17") == 15


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["iterations=9"], {"iterations": 9}),
        (["settings.iterations=9"], {"iterations": 9}),
        (["network.tail=2"], {"network": {"tail": 2, "channels": [4, 4]}}),
        (["network={tail: 3}"], {"network": {"tail": 3}}),
        (["seeds=[4]"], {"seed": 4}),
        (["sweep.norm=[layer, none]"], {"norm": "layer"}),
        (["iterations=9", "iterations=10"], {"iterations": 10}),
    ],
)
def test_set_replaces(ablation: Callable[..., Ablation], changes: list[str], expected: dict[str, object]) -> None:
    text = PLAIN + "settings: {iterations: 5, network: {tail: 1, channels: [4, 4]}}\n"
    settings = ablation(text, *changes).plan.trials[0].settings
    assert {name: getattr(settings, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("iterations", "--set takes key=value"),
        ("iteratoins=3", "did you mean 'iterations'"),
        ("seed=[1]", "the seeds stand under 'seeds'"),
        ("norm=none", r"the sweep varies 'norm'; use --set 'sweep.norm=\[none\]'"),
        ("iterations=[", "is no value in YAML"),
        ("iterations=0", "plan.yaml', --set iterations=0: iterations must be a finite number above 0, not 0"),
        ("sweep.norm=[channl, none]", r"--set sweep.norm=\[channl, none\]: unknown norm 'channl': did you mean"),
    ],
)
def test_set_is_refused(ablation: Callable[..., Ablation], change: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        ablation(PLAIN, change)


LAUGHS = [f"{name}: &{name} [{', '.join([f'*{chr(ord(name) - 1)}'] * 10)}]\n" for name in "bcdefgh"]
BOMB = f"a: &a [{', '.join('1' * 10)}]\n{''.join(LAUGHS)}"

BAD = {
    "images: [waves.png\nseeds: [0]": "line 2: it is not YAML: ",
    "\t": "line 1: it is not YAML: ",
    "": "it must map keys to values",
    "- a": "line 1: it must map keys to values",
    PLAIN + "images: [waves.png]": "line 5: the key 'images' stands twice, first in line 1",
    PLAIN + "settings:\n  norm: none\n  norm: batch": "line 7: the key 'norm' stands twice, first in line 6",
    PLAIN + "seed: [1]": "line 5: unknown key 'seed': did you mean 'seeds'",
    PLAIN + "settings:\n  iteratons: 3": "line 6: unknown setting 'iteratons': did you mean 'iterations'",
    PLAIN + "settings:\n  seed: 3": "line 6: the seeds stand under 'seeds'",
    PLAIN + "settings:\n  norm.x: 3": "line 6: 'norm' has no parts",
    PLAIN + "settings:\n  preset: fst": "line 6: unknown preset 'fst': did you mean 'fast'",
    PLAIN + "settings:\n  learning_rate: 1e-3x": "line 6: learning_rate must be a number, not '1e-3x'",
    PLAIN + "settings:\n  learning_rate: '1e-3'": "line 6: learning_rate must be a number, not '1e-3'",
    PLAIN + "settings:\n  network: 3": "line 6: 'network' maps names of options to values",
    PLAIN + "settings:\n  network: {tail: 1}\n  network.tail: 2": "line 7: 'network.tail' is set twice",
    PLAIN + "seeds: [0, 0]": "line 5: a seed stands twice",
    PLAIN + "seeds: [-1]": "line 5: seed must lie between 0 and",
    PLAIN + "seeds: [a]": "line 5: 'seeds.0' should be a valid integer, not 'a'",
    PLAIN + "seeds: []": "line 5: 'seeds' is empty",
    PLAIN + "seeds: !!python/name:os.system ''": "line 5: the tag .* has no meaning",
    PLAIN + "metric: psrn": "line 5: unknown metric 'psrn': did you mean 'psnr'",
    PLAIN + "baseline: norm=nome": "line 5: unknown baseline 'norm=nome': did you mean 'norm=none'",
    PLAIN + "crop: 64": r"line 5: the crop 64 is not inside 'waves.png', which is 40x32",
    PLAIN + "crop: [1, 2]": "line 5: a crop is a size or",
    PLAIN + "  channels: [1]": "line 5: unknown setting 'channels'",
    PLAIN + "  prior: []": "line 5: the sweep of 'prior' is empty",
    PLAIN + "  init: [he, he]": "line 3: the variants 'norm=channel, init=he' and .* are the same settings",
    PLAIN + "  seed: [1, 2]": "line 5: the seeds stand under",
    PLAIN + "  init: [he, ho]": "line 5: unknown init 'ho'",
    PLAIN + "  network: [{}]\n  network.tail: [1]": "line 6: the sweep varies both 'network' and 'network.tail'",
    PLAIN + "variants:\n  a: {}\n  b:\n    norm: bias": "line 8: variant 'b' sets 'norm', which the sweep varies",
    PLAIN + "variants:\n  a: {}\n  b: {}": "line 7: the variants 'a, norm=channel' and 'b, norm=channel' are the same",
    PLAIN + "variants: {}": "line 5: 'variants' is empty: there is nothing to compare",
    PLAIN + "variants:\n  a: {iteration: 3}": "line 6: unknown setting 'iteration': did you mean 'iterations'",
    PLAIN + "controls:\n  a: {norm: nome}": "line 6: unknown norm 'nome'",
    PLAIN + "controls:\n  a: {norm: none}": "line 6: the variants 'a' and 'norm=none' are the same settings",
    PLAIN.partition("sweep")[0] + "controls: {a: {}, b: {norm: none}}": "there is nothing to compare",
    PLAIN + "variants:\n  a: 3": "line 6: 'variants.a' should be a valid dictionary, not 3",
    PLAIN.replace("waves", "wave"): "line 1: no such file: .*wave.png",
    PLAIN.replace("waves.png", "plan.yaml"): "line 1: .*plan.yaml' is not a picture",
    PLAIN.replace("[waves.png]", "[waves.png, ./waves.png]"): "line 1: two images are called 'waves'",
    PLAIN.replace("[waves.png]", "[{path: waves.png, crp: 3}]"): "line 1: unknown key 'crp': did you mean 'crop'",
    PLAIN.replace("[waves.png]", "[{name: a}]"): "line 1: the key 'path' is missing",
    PLAIN.replace("[waves.png]", "[{path: waves.png, sigma: 3}]"): "takes no mask, reference or sigma of its own",
    PLAIN.replace("[waves.png]", "[]"): "line 1: 'images' is empty",
    PLAIN.replace("images", "pictures"): "the key 'images' is missing|unknown key 'pictures'",
    PLAIN.replace("noise: 20", "nose: 20"): "line 2: unknown key 'nose': did you mean 'noise'",
    PLAIN.replace("noise: 20", "noise: 20, missing: 0.5"): "line 2: a degradation takes one of",
    PLAIN.replace("noise: 20", "missing: 50"): "line 2: 'degradations.0.missing' should be less than 1, not 50",
    PLAIN.replace("{noise: 20}", "{noise: 20}, {noise: 20}"): "line 2: the problem of 'waves' stands twice",
    PLAIN.replace("noise: 20", "missing: 0.5, sigma: 3"): "line 2: sigma belongs to a degradation by noise",
    PLAIN.replace("[channel, none]", "[]"): "line 4: the sweep of 'norm' is empty",
    PLAIN.replace("[channel, none]", "[channel]"): "there is nothing to compare",
    PLAIN.replace("[channel, none]", "channel"): "line 4: 'sweep.norm' should be a valid list, not 'channel'",
    PLAIN.replace("\n  norm: [channel, none]", " {}"): "line 3: 'sweep' is empty",
    "a: &a [*a]": "an alias in it stands for itself",
    "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    + "".join(
        f"{n}: &{n} [{', '.join([f'*{chr(ord(n) - 1)}'] * 10)}]\n" for n in "bcdefgh"
    ): "more than 100,000 values",
}


@pytest.mark.parametrize(("text", "complaint"), BAD.items(), ids=range(len(BAD)))
def test_one_sentence_with_file_and_line(ablation: Callable[..., Ablation], text: str, complaint: str) -> None:
    with pytest.raises(RestoreError, match=complaint) as caught:
        ablation(text)
    assert "plan.yaml'" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_ablation(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot read"):
        read_ablation(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: \xe9")
    with pytest.raises(UsageError, match="not text in UTF-8"):
        read_ablation(tmp_path / "latin.yaml")
