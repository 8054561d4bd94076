"""LPIPS with the installed torchvision and lpips; where they cannot be imported, that this is what is said."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from restore.metrics import LpipsUnavailable, lpips_distance, trunk_weights
from restore.metrics.lpips import TRUNKS


def installed(name: str) -> Any:
    """Return a module, or None where it cannot be imported, be it absent or built for another torch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except (ImportError, RuntimeError):
            return None


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor] | None:
    """A random AlexNet of torchvision's, saved where torchvision would keep the trained one."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    models, lpips = installed("torchvision.models"), installed("lpips")
    if models is None or lpips is None:
        answer = trunk_weights()
        assert isinstance(answer, LpipsUnavailable)
        assert "cannot be imported" in answer.reason
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        features = models.alexnet(weights=None).features.state_dict()
    state = {f"features.{name}": value for name, value in features.items()}
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.save(state, checkpoints / Path(models.AlexNet_Weights.IMAGENET1K_V1.url).name)
    return state


def rederived(first: torch.Tensor, second: torch.Tensor, state: dict[str, torch.Tensor]) -> torch.Tensor:
    """LPIPS 0.1 of two RGB stacks in [0, 1], from its definition, with the learned factors of the lpips package."""
    package = Path(installed("lpips").__file__).parent
    factors = torch.load(package / "weights" / "v0.1" / "alex.pth", map_location="cpu", weights_only=True)
    shift = torch.tensor([-0.030, -0.088, -0.188])[:, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450])[:, None, None]
    a, b = ((2 * image - 1 - shift) / scale for image in (first, second))
    total = torch.zeros(len(first))
    for layer, (place, stride, padding) in enumerate([(0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)]):
        if place in (3, 6):
            a, b = functional.max_pool2d(a, 3, 2), functional.max_pool2d(b, 3, 2)
        weight, bias = state[f"features.{place}.weight"], state[f"features.{place}.bias"]
        a, b = (functional.conv2d(image, weight, bias, stride, padding).relu() for image in (a, b))
        difference = functional.normalize(a, dim=1, eps=1e-10) - functional.normalize(b, dim=1, eps=1e-10)
        factor = factors[f"lin{layer}.model.1.weight"]
        total += (factor * difference.square()).sum(dim=1).mean(dim=(1, 2))
    return total


def test_distance_equals_its_rederivation(
    state: dict[str, torch.Tensor] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(2, 3, 48, 40, generator=generator)
    y = (x + 0.2 * torch.randn(x.shape, generator=generator)).clamp(0, 1)
    scores, same = lpips_distance(y, x), lpips_distance(x, x)
    assert capsys.readouterr().out == ""
    if state is None:
        assert isinstance(scores, LpipsUnavailable)
        return
    assert isinstance(scores, torch.Tensor)
    assert isinstance(same, torch.Tensor)
    assert bool((scores > 0).all())
    assert same.tolist() == [0, 0]
    torch.testing.assert_close(scores, rederived(y, x, state), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("trunk", "layers"), [("alex", 12), ("vgg", 30), ("squeeze", 13)])
def test_least_side_is_the_smallest_that_passes_the_trunk(trunk: str, layers: int) -> None:
    models = installed("torchvision.models")
    if models is None:
        assert isinstance(trunk_weights(trunk), LpipsUnavailable)
        return
    build = {"alex": models.alexnet, "vgg": models.vgg16, "squeeze": models.squeezenet1_1}[trunk]
    side = TRUNKS[trunk].least_side
    with torch.device("meta"):
        features = build(weights=None).features[:layers]
        assert min(features(torch.zeros(1, 3, side, side)).shape) >= 1
        with pytest.raises(RuntimeError):
            features(torch.zeros(1, 3, side - 1, side))
