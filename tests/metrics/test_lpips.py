"""The suite must pass where torchvision cannot be imported, so what needs the real network also has a stand-in."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from restore.errors import InputError, UsageError
from restore.metrics import LpipsUnavailable, fetch_weights, lpips_distance, trunk_weights

ALEXNET_FILE = "alexnet-owt-7be5be79.pth"
# Channels, kernel, stride and padding of torchvision's AlexNet features, keyed by their place in the sequence.
ALEXNET = {0: (3, 64, 11, 4, 2), 3: (64, 192, 5, 1, 2), 6: (192, 384, 3, 1, 1), 8: (384, 256, 3, 1, 1)}
ALEXNET[10] = (256, 256, 3, 1, 1)


def alexnet_state(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for place, (inputs, outputs, kernel, _, _) in ALEXNET.items():
        shape = (outputs, inputs, kernel, kernel)
        state[f"features.{place}.weight"] = torch.randn(shape, generator=generator) / (inputs * kernel**2 / 2) ** 0.5
        state[f"features.{place}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    return state


def alexnet_features(image: torch.Tensor, state: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """The five activations after each rectifier, computed from the state dict without torchvision or lpips."""
    outputs = []
    for place, (_, _, _, stride, padding) in ALEXNET.items():
        if place in (3, 6):
            image = nn.functional.max_pool2d(image, 3, 2)
        weight, bias = state[f"features.{place}.weight"], state[f"features.{place}.bias"]
        image = nn.functional.conv2d(image, weight, bias, stride, padding).relu()
        outputs.append(image)
    return outputs


class _SlicedTrunk(nn.Module):
    """Layers in slices as lpips cuts torchvision's: slice k holds up to its rectifier, under the original numbers."""

    def __init__(self) -> None:
        super().__init__()
        for number, place in enumerate(ALEXNET, start=1):
            inputs, outputs, kernel, stride, padding = ALEXNET[place]
            layers = {str(place): nn.Conv2d(inputs, outputs, kernel, stride, padding), str(place + 1): nn.ReLU()}
            if place in (3, 6):
                layers = {str(place - 1): nn.MaxPool2d(3, 2), **layers}
            self.add_module(f"slice{number}", nn.Sequential())
            for name, layer in layers.items():
                self.get_submodule(f"slice{number}").add_module(name, layer)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        outputs = []
        for child in self.children():
            image = child(image)
            outputs.append(image)
        return outputs


class _Distance(nn.Module):
    """A stand-in for lpips.LPIPS with equal weights for all features."""

    def __init__(self, net: str, pnet_rand: bool, verbose: bool) -> None:
        super().__init__()
        assert pnet_rand, "a trunk that is not random would be downloaded"
        if verbose:
            print("Setting up")
        self.net = _SlicedTrunk()

    def forward(self, first: torch.Tensor, second: torch.Tensor, normalize: bool) -> torch.Tensor:
        assert normalize, "the images come in [0, 1]"
        pairs = zip(self.net(2 * first - 1), self.net(2 * second - 1), strict=True)
        return sum(
            (_unit(a) - _unit(b)).square().sum(dim=1, keepdim=True).mean(dim=(2, 3), keepdim=True) for a, b in pairs
        )


def _unit(features: torch.Tensor) -> torch.Tensor:
    return features / (features.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


@pytest.fixture(autouse=True)
def torch_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for weights, so that no test sees or touches the user's."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    return checkpoints


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = SimpleNamespace(IMAGENET1K_V1=SimpleNamespace(url=f"https://example.org/{ALEXNET_FILE}"))
    torchvision, models, lpips = ModuleType("torchvision"), ModuleType("torchvision.models"), ModuleType("lpips")
    models.AlexNet_Weights = weights  # type: ignore[attr-defined]
    lpips.LPIPS = _Distance  # type: ignore[attr-defined]
    for module in (torchvision, models, lpips):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def images(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(shape, generator=generator)
    return x, (x + 0.2 * torch.randn(shape, generator=generator)).clamp(0, 1)


@pytest.mark.usefixtures("stand_in")
def test_distance_follows_from_the_features_of_the_loaded_trunk(torch_home: Path) -> None:
    state = alexnet_state()
    torch.save(state | {"classifier.1.weight": torch.zeros(2)}, torch_home / ALEXNET_FILE)
    x, y = images(2, 3, 40, 48)
    scores = lpips_distance(y, x)
    assert isinstance(scores, torch.Tensor)
    expected = torch.zeros(2)
    for a, b in zip(alexnet_features(2 * x - 1, state), alexnet_features(2 * y - 1, state), strict=True):
        expected += (_unit(a) - _unit(b)).square().sum(dim=1).mean(dim=(1, 2))
    torch.testing.assert_close(scores, expected)
    assert bool((scores > 0).all())
    assert not scores.requires_grad


@pytest.mark.usefixtures("stand_in")
def test_equal_images_are_at_distance_zero_and_grey_is_repeated(torch_home: Path) -> None:
    torch.save(alexnet_state(), torch_home / ALEXNET_FILE)
    x, y = images(1, 32, 32)
    grey = lpips_distance(y, x)
    assert isinstance(grey, torch.Tensor)
    assert grey.shape == ()
    same = lpips_distance(x, x)
    assert isinstance(same, torch.Tensor)
    assert float(same) == 0
    torch.testing.assert_close(grey, lpips_distance(y.expand(3, -1, -1), x.expand(3, -1, -1)))


@pytest.mark.usefixtures("stand_in")
def test_an_explicit_file_is_used_and_a_changed_one_read_again(tmp_path: Path) -> None:
    x, y = images(3, 32, 32)
    path = tmp_path / "mine.pth"
    scores = []
    for seed in (0, 1):
        torch.save(alexnet_state(seed), path)
        scores.append(lpips_distance(y, x, weights=str(path)))
    assert all(isinstance(score, torch.Tensor) for score in scores)
    assert scores[0] != scores[1]


@pytest.mark.usefixtures("stand_in")
def test_nothing_is_printed_and_the_global_generator_stays(
    torch_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(alexnet_state(), torch_home / ALEXNET_FILE)
    before = torch.random.get_rng_state()
    assert isinstance(lpips_distance(*images(3, 32, 32)), torch.Tensor)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("stand_in")
def test_absent_weights_are_named_with_their_remedy(torch_home: Path) -> None:
    answer = lpips_distance(*images(3, 32, 32))
    assert isinstance(answer, LpipsUnavailable)
    assert str(torch_home / ALEXNET_FILE) in answer.reason
    assert "restore doctor --fetch-lpips" in answer.hint
    assert trunk_weights() == answer
    assert list(torch_home.iterdir()) == []


def _broken(kind: str) -> Any:
    state: dict[str, Any] = dict(alexnet_state())
    if kind == "missing":
        del state["features.8.bias"]
    elif kind == "shape":
        state["features.3.weight"] = torch.zeros(192, 64, 3, 3)
    elif kind == "list":
        return [torch.zeros(2)]
    return state


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("missing", r"no tensor 'features\.8\.bias'"),
        ("shape", r"\(192, 64, 3, 3\), not \(192, 64, 5, 5\)"),
        ("list", "list"),
    ],
)
def test_a_file_of_other_contents_is_refused(torch_home: Path, kind: str, reason: str) -> None:
    torch.save(_broken(kind), torch_home / ALEXNET_FILE)
    answer = lpips_distance(*images(3, 32, 32))
    assert isinstance(answer, LpipsUnavailable)
    with pytest.raises(ValueError, match=reason):
        raise ValueError(answer.reason)


class _Trap:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (pytest.fail, ("a pickle in a weights file was run",))


@pytest.mark.usefixtures("stand_in")
def test_files_that_are_no_weights_are_refused_and_never_run(torch_home: Path) -> None:
    path = torch_home / ALEXNET_FILE
    for contents in (b"", b"<html>not found</html>", b"PK\x03\x04 truncated"):
        path.write_bytes(contents)
        assert isinstance(lpips_distance(*images(3, 32, 32)), LpipsUnavailable)
    torch.save({"features.0.weight": _Trap()}, path)
    assert isinstance(lpips_distance(*images(3, 32, 32)), LpipsUnavailable)


@pytest.mark.parametrize("missing", ["torchvision.models", "lpips"])
@pytest.mark.usefixtures("stand_in")
def test_missing_packages_make_it_unavailable(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    answer = lpips_distance(*images(3, 32, 32))
    assert isinstance(answer, LpipsUnavailable)
    assert missing in answer.reason
    assert "install torchvision and lpips" in answer.hint
    with pytest.raises(InputError, match="install torchvision and lpips"):
        fetch_weights()


def test_a_torchvision_of_another_torch_makes_it_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "site" / "torchvision"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    for name in [name for name in sys.modules if name.split(".")[0] in ("torchvision", "lpips")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(package.parent)
    answer = trunk_weights()
    assert isinstance(answer, LpipsUnavailable)
    assert "operator torchvision::nms does not exist" in answer.reason


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(("shape", "reason"), [((3, 30, 64), "at least 31 pixels"), ((4, 64, 64), "4 channels")])
def test_images_it_cannot_compare_give_a_reason(torch_home: Path, shape: tuple[int, ...], reason: str) -> None:
    torch.save(alexnet_state(), torch_home / ALEXNET_FILE)
    answer = lpips_distance(*images(*shape))
    assert isinstance(answer, LpipsUnavailable)
    assert reason in answer.reason


@pytest.mark.usefixtures("stand_in")
def test_the_smallest_image_allowed_does_pass_the_trunk(torch_home: Path) -> None:
    torch.save(alexnet_state(), torch_home / ALEXNET_FILE)
    score = lpips_distance(*images(3, 31, 31))
    assert isinstance(score, torch.Tensor)
    assert bool(score.isfinite())


def test_unknown_trunk_and_unequal_shapes_are_errors() -> None:
    x, y = images(3, 32, 32)
    with pytest.raises(UsageError, match="did you mean 'alex'"):
        lpips_distance(y, x, trunk="alexx")
    with pytest.raises(InputError, match="same size"):
        lpips_distance(y, x[:1])


@pytest.mark.usefixtures("stand_in")
class TestFetch:
    def test_downloads_once_with_the_checksum_of_the_name(
        self, torch_home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[str] = []

        def download(url: str, destination: str, hash_prefix: str) -> None:
            calls.append(f"{url} {hash_prefix}")
            torch.save(alexnet_state(), destination)

        monkeypatch.setattr(torch.hub, "download_url_to_file", download)
        path = fetch_weights()
        assert path == torch_home / ALEXNET_FILE
        assert calls == [f"https://example.org/{ALEXNET_FILE} 7be5be79"]
        assert isinstance(lpips_distance(*images(3, 32, 32)), torch.Tensor)

    def test_keeps_a_whole_file_and_replaces_a_damaged_one(
        self, torch_home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        contents = b"the weights"
        checksum = hashlib.sha256(contents).hexdigest()[:8]
        url = f"https://example.org/alexnet-{checksum}.pth"
        monkeypatch.setattr(sys.modules["torchvision.models"].AlexNet_Weights.IMAGENET1K_V1, "url", url)
        monkeypatch.setattr(
            torch.hub, "download_url_to_file", lambda _, destination, **__: Path(destination).write_bytes(contents)
        )
        path = torch_home / f"alexnet-{checksum}.pth"
        path.write_bytes(b"the wei")
        assert fetch_weights() == path
        assert path.read_bytes() == contents
        monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("downloaded again"))
        assert fetch_weights() == path

    def test_a_failure_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def download(*_: object, **__: object) -> None:
            raise OSError("no route to host")

        monkeypatch.setattr(torch.hub, "download_url_to_file", download)
        with pytest.raises(InputError, match=r"no route to host.*put https"):
            fetch_weights()


def test_the_room_does_not_import_torchvision_or_lpips() -> None:
    code = "import sys, restore.metrics; print({'torchvision', 'lpips', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
