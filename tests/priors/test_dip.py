"""The deep image prior's network against an independent derivation from the paper's description."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from restore.errors import UsageError
from restore.fitting.paper import DIP_SETTINGS
from restore.priors import DIP, DIPOptions, initialise

# Small widths, each different, so that a mistaken connection cannot go unnoticed.
SMALL: dict[str, dict[str, Any]] = {
    "as published": {"down": (5, 6, 7), "up": (4, 3, 5), "skip": (2, 1, 3)},
    "nearest": {"down": (5, 6), "up": (4, 3), "skip": (2, 3), "upsample": "nearest"},
    "mixed": {"down": (5, 6), "up": (4, 3), "skip": (2, 3), "upsample": ("nearest", "bilinear")},
    "some skips": {"down": (5, 6, 7), "up": (4, 3, 5), "skip": (0, 2, 0)},
    "library": {"down": (5, 6), "up": (4, 3), "skip": (0, 0), "kernel_down": 5, "pointwise_up": False},
    "average pooling": {"down": (5, 6), "up": (4, 3), "skip": (0, 1), "pool": "average"},
    "wide kernel up": {"down": (5,), "up": (4,), "skip": (1,), "kernel_up": 5},
}


def _options(preset: str) -> DIPOptions:
    return DIPOptions(**DIP_SETTINGS[preset]["network"])


def _parameters(inputs: int, outputs: int, o: DIPOptions) -> int:
    """Count the parameters by arithmetic: k^2 i o + o a convolution, 2 o a normalisation."""

    def unit(i: int, out: int, kernel: int) -> int:
        return kernel**2 * i * out + out + 2 * out

    total, below = 0, (*o.up[1:], o.down[-1])
    for level, (down, up, skip, deep) in enumerate(zip(o.down, o.up, o.skip, below, strict=True)):
        i = inputs if level == 0 else o.down[level - 1]
        total += unit(i, down, o.kernel_down) + unit(down, down, o.kernel_down)
        total += unit(i, skip, 1) if skip else 0
        total += 2 * (skip + deep) + unit(skip + deep, up, o.kernel_up)
        total += unit(up, up, 1) if o.pointwise_up else 0
    return total + o.up[0] * outputs + outputs


def _scale(blocks: Any, x: Any, level: int, o: DIPOptions) -> Any:
    """One scale, as arXiv:1711.10925 describes it."""

    def act(y: Any) -> Any:
        return blocks.leaky(blocks.norm(y), 0.2)

    parts = [act(blocks.conv(x))] if o.skip[level] else []
    if o.pool == "average":
        y = blocks.conv(x)
        y = (y[:, ::2, ::2] + y[:, 1::2, ::2] + y[:, ::2, 1::2] + y[:, 1::2, 1::2]) / 4
    else:
        y = blocks.conv(x, stride=2)
    y = act(blocks.conv(act(y)))
    if level + 1 < len(o.down):
        y = _scale(blocks, y, level + 1, o)
    parts.append(blocks.twice(y, o.upsample_modes[level]))
    y = act(blocks.conv(blocks.norm(np.concatenate(parts))))
    return act(blocks.conv(y)) if o.pointwise_up else y


@pytest.mark.parametrize("name", list(SMALL))
def test_forward_pass_is_the_papers(name: str, blocks_of: Any, generator: torch.Generator) -> None:
    options = DIPOptions(**SMALL[name])
    network = DIP(3, 2, options=options).double()
    blocks = blocks_of(network)
    height, width = network.minimum, network.minimum + 2 * network.multiple
    code = torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)
    features = _scale(blocks, code[0].numpy(), 0, options)
    expected = blocks.sigmoid(blocks.conv(features))
    blocks.finish()
    np.testing.assert_allclose(network.features(code)[0].detach().numpy(), features, atol=1e-10)
    np.testing.assert_allclose(network(code)[0].detach().numpy(), expected, atol=1e-10)


def test_forward_pass_of_the_published_denoising_network(blocks_of: Any, generator: torch.Generator) -> None:
    network = DIP(32, 3).double()
    blocks = blocks_of(network)
    code = network.code((64, 64), generator).double()
    expected = blocks.sigmoid(blocks.conv(_scale(blocks, code[0].numpy(), 0, DIPOptions())))
    blocks.finish()
    np.testing.assert_allclose(network(code)[0].detach().numpy(), expected, atol=1e-9)


def test_published_parameter_counts() -> None:
    assert _parameters(32, 3, DIPOptions()) == 2_217_831
    assert _parameters(32, 3, _options("kate")) == 3_002_627


@pytest.mark.parametrize("preset", list(DIP_SETTINGS))
@pytest.mark.parametrize("outputs", [1, 3])
def test_parameters_of_every_published_network(preset: str, outputs: int) -> None:
    inputs, options = DIP_SETTINGS[preset]["code_channels"], _options(preset)
    network = DIP(inputs, outputs, options=options)
    assert sum(p.numel() for p in network.parameters()) == _parameters(inputs, outputs, options)


@pytest.mark.parametrize(
    ("preset", "convolutions", "norms"),
    # A scale has 2 convolutions down, 1 or 2 up, and 1 in its skip; one more norm than that; and there is the head.
    [("f16", 26, 30), ("jpeg", 5 * 4 + 2 + 1, 5 * 5 + 2), ("vase", 21, 25), ("kate", 26, 30), ("library", 19, 24)],
)
def test_layer_counts(preset: str, convolutions: int, norms: int) -> None:
    network = DIP(DIP_SETTINGS[preset]["code_channels"], 3, options=_options(preset))
    kinds = Counter(type(m).__name__ for m in network.modules())
    scales = len(_options(preset).down)
    assert (kinds["Conv2d"], kinds["ChannelNorm"], kinds["Upsample"]) == (convolutions, norms, scales)
    assert kinds["LeakyReLU"] == convolutions - 1
    strided = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    assert len(strided) == scales


@pytest.mark.parametrize("preset", list(DIP_SETTINGS))
def test_size_rules_of_the_published_networks(preset: str, generator: torch.Generator) -> None:
    options = _options(preset)
    network = DIP(DIP_SETTINGS[preset]["code_channels"], 3, options=options)
    initialise(network, "default", generator)
    assert network.multiple == 2 ** len(options.down)
    assert network.minimum == (192 if preset == "library" else 64)
    with torch.no_grad():
        image = network(network.code((network.minimum, network.minimum), generator))
        assert image.shape == (1, 3, network.minimum, network.minimum)
        assert image.std((2, 3)).min() > 1e-3
        assert bool(((image > 0) & (image < 1)).all())
        smaller = network.minimum - network.multiple
        with pytest.raises(RuntimeError):
            network(network.code((smaller, smaller), generator))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"down": (8, 8)}, "as many `down` as `up` and `skip`"),
        ({"down": (), "up": (), "skip": ()}, "as many `down`"),
        ({"upsample": "bicubic"}, "cannot upsample by 'bicubic'"),
        ({"upsample": ("nearest", "bilinear")}, "cannot upsample"),
        ({"pool": "max"}, "cannot downsample by 'max'"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DIPOptions(**options)
