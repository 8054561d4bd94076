"""The default prior against an independent derivation from its description."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from restore.errors import UsageError
from restore.priors import Hourglass, HourglassOptions


@pytest.mark.parametrize("upsample", ["bilinear", "nearest"])
@pytest.mark.parametrize(("channels", "tail"), [((5,), 1), ((4, 6), 0), ((4, 6, 7), 2)])
def test_forward_pass_is_its_description(
    channels: tuple[int, ...], tail: int, upsample: str, blocks_of: Any, generator: torch.Generator
) -> None:
    network = Hourglass(3, 2, options=HourglassOptions(channels, tail, upsample)).double()
    blocks = blocks_of(network)

    def block(x: Any, stride: int = 1) -> Any:
        return blocks.leaky(blocks.norm(blocks.conv(x, stride, "constant", bias=False)), 0.1)

    size = network.minimum, network.minimum + network.multiple
    shown = torch.rand(1, 3, *size, generator=generator, dtype=torch.float64)
    encoded = [block(shown[0].numpy())]
    for _ in channels[1:]:
        encoded.append(block(block(encoded[-1], stride=2)))
    # The 1x1 convolutions of all levels come before the blocks of the way up among the parameters.
    pointwise = [next(blocks.parameters)[..., 0, 0] for _ in channels[1:]]
    ups = [[next(blocks.parameters) for _ in range(3)] for _ in channels[1:]]
    tails_and_head = list(blocks.parameters)
    x = encoded[-1]
    for level in reversed(range(len(channels) - 1)):
        x = blocks.twice(np.einsum("oi,ihw->ohw", pointwise[level], x), upsample) + encoded[level]
        blocks.parameters = iter(ups[level])
        x = block(x)
    blocks.parameters = iter(tails_and_head)
    for _ in range(tail):
        x = block(x)
    expected = blocks.conv(x)
    blocks.finish()
    np.testing.assert_allclose(network.features(shown)[0].detach().numpy(), x, atol=1e-10)
    np.testing.assert_allclose(network(shown)[0].detach().numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_size_multiple_doubles_with_every_level(levels: int) -> None:
    assert Hourglass(1, 1, options=HourglassOptions((4,) * levels)).multiple == 2 ** (levels - 1)


def test_output_is_not_squashed(generator: torch.Generator) -> None:
    network = Hourglass(1, 1, options=HourglassOptions((4, 4), 1))
    with torch.no_grad():
        network.head.bias.fill_(5.0)
        assert network(torch.rand(1, 1, 64, 64, generator=generator)).mean() > 2


@pytest.mark.parametrize("options", [{"channels": ()}, {"channels": (8, 0)}, {"tail": -1}, {"upsample": "bicubic"}])
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="hourglass"):
        HourglassOptions(**options)
