"""Maps that are made anew on the way back: the same numbers, fewer of them kept."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restore.priors import Hourglass, HourglassOptions, recomputation

NORMS = ["channel", "bias", "none", "group"]


def _kept_and_gradients(network: Hourglass, shown: Tensor, precision: torch.dtype) -> tuple[int, list[Tensor]]:
    """Return the bytes of the maps that are kept for the way back, and the gradients of image and weights."""
    kept: dict[int, int] = {}

    def see(tensor: Tensor) -> Tensor:
        if tensor.dim() == 4 and tensor.shape[0] == 1:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor),
        torch.autocast("cpu", precision, enabled=precision != torch.float32),
    ):
        image = network(shown)
    network.zero_grad()
    image.float().square().mean().backward()
    return sum(kept.values()), [
        image,
        *(weight.grad.clone() for weight in network.parameters() if weight.grad is not None),
    ]


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("norm", NORMS)
def test_numbers_are_the_same(norm: str, precision: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = Hourglass(3, 3, norm, HourglassOptions((16, 24, 32)))
    shown = torch.rand(1, 3, 32, 48)
    before, expected = _kept_and_gradients(network, shown, precision)
    monkeypatch.setattr(recomputation, "LARGE", 1)
    after, found = _kept_and_gradients(network, shown, precision)
    assert len(found) == 1 + len(list(network.parameters()))
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)
    assert after <= before
    if norm == "channel":
        assert after < 0.7 * before


def test_hooks_see_every_layer_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Hourglass(3, 3, options=HourglassOptions((4, 6)))
    monkeypatch.setattr(recomputation, "LARGE", 1)
    seen: list[str] = []
    leaves = {name: module for name, module in network.named_modules() if not list(module.children())}
    for name, module in leaves.items():
        module.register_forward_hook(lambda module, inputs, output, name=name: seen.append(name))
    network(torch.rand(1, 3, 16, 16)).mean().backward()
    assert sorted(seen) == sorted(leaves)


def test_small_pictures_and_looks_keep_what_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not recomputation.is_large(torch.empty(1, 3, 512, 512))
    assert recomputation.is_large(torch.empty(1, 3, 1024, 1024))
    assert not recomputation.is_large(torch.empty(1, 3, 1024, 1024, device="meta"))
    with torch.no_grad():
        assert not recomputation.is_large(torch.empty(1, 3, 1024, 1024))
