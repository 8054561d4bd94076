"""The deep decoder against an independent derivation from the paper's description."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from restore.errors import UsageError
from restore.priors import DeepDecoder


@pytest.mark.parametrize(("k", "count"), [(32, 6_624), (64, 25_536), (128, 100_224), (256, 397_056)])
def test_published_parameter_counts(k: int, count: int) -> None:
    assert sum(p.numel() for p in DeepDecoder(3, channels=k).parameters()) == count == 6 * k**2 + 12 * k + 3 * k


@pytest.mark.parametrize(("layers", "outputs"), [(1, 1), (3, 3), (5, 4)])
def test_parameters_and_layers_of_other_depths(layers: int, outputs: int) -> None:
    network, k = DeepDecoder(outputs, channels=10, layers=layers), 10
    assert sum(p.numel() for p in network.parameters()) == (layers + 1) * (k**2 + 2 * k) + k * outputs
    kinds = Counter(type(m).__name__ for m in network.modules())
    assert kinds["Conv2d"] == layers + 2
    assert kinds["ReLU"] == kinds["ChannelNorm"] == layers + 1
    assert kinds["Upsample"] == layers


@pytest.mark.parametrize("upsample", ["bilinear", "nearest"])
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_forward_pass_is_the_papers(layers: int, upsample: str, blocks_of: Any, generator: torch.Generator) -> None:
    network = DeepDecoder(3, channels=6, layers=layers, upsample=upsample).double()
    blocks = blocks_of(network)
    code = torch.rand(1, 6, 2, 3, generator=generator, dtype=torch.float64)
    x = code[0].numpy()
    for level in range(layers + 1):
        x = blocks.conv(x, bias=False)
        if level < layers:
            x = blocks.twice(x, upsample)
        x = blocks.norm(np.maximum(x, 0))
    expected = blocks.sigmoid(blocks.conv(x, bias=False))
    blocks.finish()
    np.testing.assert_allclose(network.features(code)[0].detach().numpy(), x, atol=1e-10)
    np.testing.assert_allclose(network(code)[0].detach().numpy(), expected, atol=1e-10)
    assert expected.shape == (3, 2 * 2**layers, 3 * 2**layers)


@pytest.mark.parametrize("layers", [2, 5])
def test_code_is_as_many_times_smaller_as_layers_double(layers: int, generator: torch.Generator) -> None:
    network = DeepDecoder(1, channels=4, layers=layers)
    assert network.code((128, 256), generator).shape == (1, 4, 128 // 2**layers, 256 // 2**layers)
    assert network(network.code((128, 256), generator)).shape == (1, 1, 128, 256)


@pytest.mark.parametrize("options", [{"channels": 0}, {"layers": 0}, {"upsample": "bicubic"}])
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="decoder"):
        DeepDecoder(3, **options)
