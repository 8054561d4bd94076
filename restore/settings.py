"""Every setting of a fit, once: the command line, Python and YAML all build the same object.

`FitSettings` is what a user may say; `"auto"` and None leave a choice to the program. `Plan` is what a fit then does,
with every choice made (`restore.fitting.plan`). Both are frozen, so a result can always say what it was made with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from restore.errors import UsageError, unknown_name

__all__ = ["CHOICES", "NOISE_KINDS", "PAPER_PRESETS", "FitSettings", "Plan", "parse_memory"]

PAPER_PRESETS = ("f16", "jpeg", "vase", "kate", "library", "pixels", "kate98")
"""The published deep image prior's settings, by the picture that they were published for (arXiv:1711.10925)."""

CELL_NAMES = (
    *("scornn", "scurnn", "enrnn", "ncgru", "sbornn"),
    *(
        f"{rule}-{variant}"
        for rule in ("momentum", "nesterov", "restart", "adam", "rmsprop")
        for variant in ("rnn", "lstm", "orth")
    ),
    *("limitcycle", "ctgru", "rflo", "gru", "lstm", "rnn"),
)
"""The recurrent cells of `restore.cells`, named here so that a command line can list them without PyTorch."""

NOISE_KINDS = ("gaussian", "poisson", "speckle", "salt-and-pepper", "correlated", "demosaicked", "sensor", "jpeg")
"""The kinds of noise that test cases are made with, named here for the same reason."""

CHOICES: dict[str, tuple[str, ...]] = {
    "prior": ("dip", "decoder", "hourglass", "recurrent"),
    "norm": ("channel", "channel-affine-free", "bias", "none", "batch", "group", "layer"),
    "init": ("default", "he", "orthogonal", "gaussian"),
    "optimizer": ("adam", "muon", "sgd"),
    "objective": ("auto", "fit", "blindspot", "recorrupted"),
    "preset": ("fast", "balanced", "best", "paper", *(f"paper:{name}" for name in PAPER_PRESETS)),
    "stop": ("auto", "heldout", "variance", "discrepancy", "none"),
    "clipping": ("undo", "keep"),
    "precision": ("auto", "float32", "bfloat16"),
    "accelerate": ("none", "compile", "graphs"),
    "cell": ("none", *CELL_NAMES),
    "refine": ("features", "estimate", "generator"),
    "learning_rule": ("backpropagation", "rflo"),
}
"""The names that each setting takes."""


NUMBERS: dict[str, type] = {
    "learning_rate": float,
    "iterations": int,
    "networks": int,
    "time_budget": float,
    "seed": int,
    "refine_steps": int,
    "refine_channels": int,
}
MAY_BE_NONE = (
    *("prior", "norm", "init", "optimizer", "learning_rate", "clipping"),
    *("iterations", "networks", "time_budget", "refine", "refine_steps"),
)


@dataclass(frozen=True)
class FitSettings:
    """What a user may set. Everything has a default that needs no thought.

    Attributes:
        prior: the untrained network; None takes the preset's.
        norm: normalisation of its features; None takes the preset's.
        init: rule for its initial weights; None takes the preset's.
        optimizer: `adam`, `muon` or `sgd` (with momentum 0.9); None takes the preset's.
        learning_rate: initial step size; None takes the preset's.
        objective: `fit` (fixed code, data misfit), `blindspot` (scored on pixels hidden from it), `recorrupted` (shown
            more of the noise, for noise whose strength or correlation could be estimated), or `auto`.
        preset: how much work: `fast`, `balanced`, `best`; or the published settings, `paper` or `paper:NAME`.
        stop: the rule that ends the fit, or `auto`.
        clipping: what to do, in denoising, where clipping cut white noise of known strength: `undo` its shift of the
            mean in what is written, or `keep` it; None takes the preset's (the published ones keep it).
        iterations: number of steps; None takes the preset's.
        networks: number of networks whose images are averaged, each from weights and draws of its own; None takes the
            preset's.
        time_budget: seconds after which the fit ends with the best image so far; None for no cap.
        seed: of every random draw.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: of the network's arithmetic.
        accelerate: how the network is called: `none` (as it stands), `compile` (torch.compile, which takes some ten
            seconds at first), or `graphs` (CUDA graphs).
        network: options of the prior's constructor, by name.
        cell: the recurrent cell that refines the restoration, or `none`.
        refine: what the cell refines: `features`, `estimate`, or `generator` (the prior is the recurrence itself);
            None takes `features` for a prior that is none.
        refine_steps: steps T of the recurrence; None takes 8, or one for each scale of a generator that has scales.
        refine_channels: units n of the cell.
        cell_options: options of the cell's constructor, by name.
        learning_rule: of the cell's weights: `backpropagation`, or `rflo` for the cell of that name.
        max_memory: bytes, or text such as `4GiB`, above which a picture is fitted on overlapping tiles; it is bytes in
            the settings. None takes 80 % of what the device has free; denoising, and inpainting of scattered pixels,
            then takes tiles on a CPU above half a megapixel, whatever is free.

    Raises UsageError for a value that no fit could use.
    """

    prior: str | None = None
    norm: str | None = None
    init: str | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    objective: str = "auto"
    preset: str = "balanced"
    stop: str = "auto"
    clipping: str | None = None
    iterations: int | None = None
    networks: int | None = None
    time_budget: float | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    accelerate: str = "none"
    network: Mapping[str, Any] = field(default_factory=dict)
    cell: str = "none"
    refine: str | None = None
    refine_steps: int | None = None
    refine_channels: int = 32
    cell_options: Mapping[str, Any] = field(default_factory=dict)
    learning_rule: str = "backpropagation"
    max_memory: int | str | None = None

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            value = getattr(self, name)
            if not (value is None and name in MAY_BE_NONE) and value not in known:
                raise unknown_name(name, str(value), known)
        for name, kind in NUMBERS.items():
            value = getattr(self, name)
            if not (value is None and name in MAY_BE_NONE):
                _check_number(name, value, kind)
        object.__setattr__(self, "max_memory", parse_memory(self.max_memory))

    @property
    def memory_limit(self) -> int | None:
        """`max_memory` in bytes."""
        return parse_memory(self.max_memory)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> FitSettings:
        """Build settings from names and values, as keyword arguments of the API or a YAML file give them.

        Raises UsageError for a name that is no setting, offering the nearest one.
        """
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise unknown_name("setting", name, known)
        return cls(**values)


@dataclass(frozen=True)
class Plan:
    """A fit with every choice made, before its first step. Nothing in it depends on a clock or on a trial run.

    Attributes:
        prior, norm, init, network: the untrained network, as in `FitSettings`.
        optimizer, learning_rate: as in `FitSettings`.
        beta2: Adam's decay of the second moment; the first one's is 0.9.
        objective: `fit`, `blindspot` or `recorrupted`.
        loss: `squared` or `absolute` error.
        code: `noise`, or `meshgrid` (the two coordinates), for the `fit` objective.
        code_channels: channels of that code.
        code_noise: standard deviation of the Gaussian noise added to the code in each step.
        hidden: fraction of the pixels that a step of `blindspot` or `recorrupted` hides; 0 for none.
        hidden_spread: how far that may be from `hidden` in a step; the fraction is drawn anew in each.
        residual: whether the network's output is added to what it was shown.
        held_out: fraction of the measured pixels that are never scored, by which the held-out rule stops.
        average: largest decay of the running average of the outputs; 0 takes the last output.
        iterations: largest number of steps.
        networks: number of networks that take each step and whose images are averaged.
        stop: `heldout`, `variance`, `discrepancy` or `none`.
        clipping: `undo` or `keep`.
        warmup: steps before which no rule may stop.
        patience: steps without improvement after which a rule stops.
        rewind_rate: factor on the learning rate when a diverged fit is set back.
        rescue: whether a diverged fit is set back at all.
        time_budget, seed, device, precision, accelerate: as in `FitSettings`, with a real device and precision.
        cell, refine, refine_steps, refine_channels, cell_options: as in `FitSettings`; without a cell, `refine` is
            `none` and there are no steps. The options include the learning rule of a cell that has a choice.
        tile_side: largest side of the tiles on which a big picture is fitted, one after the other; 0 for the whole
            picture in one fit. `iterations` are then those of the first tile, or of every
            one that begins anew.
        tile_overlap: pixels that neighbouring tiles share, at least.
        tile_iterations: largest number of steps of a tile that begins with the weights of another.
        warm_start: largest number of steps on the middle of a large picture or tile, before `iterations` on the whole.
    """

    prior: str
    norm: str
    init: str
    network: Mapping[str, Any]
    optimizer: str
    learning_rate: float
    beta2: float
    objective: str
    loss: str
    code: str
    code_channels: int
    code_noise: float
    hidden: float
    hidden_spread: float
    residual: bool
    held_out: float
    average: float
    iterations: int
    networks: int
    stop: str
    clipping: str
    warmup: int
    patience: int
    rewind_rate: float
    rescue: bool
    time_budget: float | None
    seed: int
    device: str
    precision: str
    accelerate: str
    cell: str
    refine: str
    refine_steps: int
    refine_channels: int
    cell_options: Mapping[str, Any]
    tile_side: int = 0
    tile_overlap: int = 0
    tile_iterations: int = 0
    warm_start: int = 0

    @property
    def unclips(self) -> bool:
        """Whether the mean of clipped noise is undone in what is written."""
        return self.clipping == "undo"


UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def parse_memory(value: int | str | None) -> int | None:
    """Return a number of bytes, from a number or from text with a unit.

    Raises UsageError for what is no amount of memory above 0.

    >>> parse_memory("4GiB") == 4 * 2**30, parse_memory("500 MB"), parse_memory(4096)
    (True, 500000000, 4096)
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    text = value.strip().lower() if isinstance(value, str) else ""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmgt]i?)b?", text)
    bytes_ = 0 if match is None else int(float(match[1]) * UNITS[match[2]])
    if bytes_ < 1:
        raise UsageError(f"max_memory takes an amount of memory above 0 such as 4GiB or 900MiB, not {value!r}.")
    return bytes_


def _check_number(name: str, value: Any, kind: type) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not (whole or (kind is float and isinstance(value, float))):
        raise UsageError(f"{name} must be {'a whole number' if kind is int else 'a number'}, not {value!r}.")
    if name == "seed":
        if not 0 <= value < 2**31:
            raise UsageError(f"seed must lie between 0 and {2**31 - 1}, not {value}.")
    elif not (value > 0 and math.isfinite(value)):
        raise UsageError(f"{name} must be a finite number above 0, not {value}.")
