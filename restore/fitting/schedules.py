"""The settings of each kind of fit: steps, rates, networks, objectives, as they were measured to be best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from restore.fitting import paper

__all__ = [
    "BLINDSPOT",
    "DEFAULTS",
    "FIT",
    "MUON_WORK",
    "NARROW",
    "NARROW_NETWORKS",
    "NETWORKS",
    "RECORRUPTED",
    "REGION",
    "SCATTERED",
    "SCHEDULES",
    "SHORTER",
    "UNEVEN",
    "WHITE",
    "WORK",
]

WORK = {"fast": 0.4, "balanced": 1.0, "best": 4.0}
"""Steps of a preset, as a multiple of the default's."""

MUON_WORK = {"fast": 0.5, "balanced": 1.0, "best": 1.25}
"""The same under Muon: more steps than it needs gain nothing, more networks do."""

NETWORKS = {"fast": 1, "balanced": 2, "best": 8}
"""Networks of a preset under Muon."""

NARROW_NETWORKS = {"fast": 2, "balanced": 3, "best": 16}
"""The same of `NARROW` ones, which take less than half as long on a CPU."""

SHORTER = {
    **{("denoise", "muon"): 0.2, ("inpaint", "muon"): 0.4, ("scattered", "muon"): 0.62},
    **{("narrow", "muon"): 0.0},  # these learn more slowly: even of large pictures not enough in fewer
    **{("denoise", "adam"): 0.3, ("inpaint", "adam"): 0.7, ("scattered", "adam"): 0.7},
}
"""Pictures above 256x256 get fewer steps, by the power of their area."""

BLINDSPOT: Mapping[str, Mapping[str, Any]] = {
    "denoise": {"loss": "squared", "hidden": 0.2, "residual": False, "average": 0.98, "beta2": 0.9},
    "inpaint": {"loss": "absolute", "hidden": 0.2, "residual": True, "average": 0.98, "beta2": 0.9},
}

SCATTERED: Mapping[str, float] = {
    # Steps that hide many pixels teach most; those that hide few, and looks that hide none, fill the hole from most.
    "hidden": 0.45,
    "hidden_spread": 0.35,
}
"""Of an inpainting whose pixels are missing one by one."""

SCHEDULES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    # Muon is where Adam comes to in less than half the steps; nothing is gained by more of them.
    ("denoise", "muon"): {"iterations": 230, "learning_rate": 0.03, "patience": 60},
    ("inpaint", "muon"): {"iterations": 700, "learning_rate": 0.02, "patience": 150},
    # Strong noise on small pictures is learned by heart long before the last of these steps.
    ("white", "muon"): {"iterations": 230, "learning_rate": 0.03, "patience": 40},
    ("white", "adam"): {"iterations": 400, "learning_rate": 3e-3, "patience": 80},
    ("denoise", "adam"): {"iterations": 500, "learning_rate": 3e-3, "patience": 100},
    ("inpaint", "adam"): {"iterations": 1600, "learning_rate": 3e-3, "patience": 300},
}
"""Of blind-spot fits, by the kind of problem and the optimiser; `white` those of `recorrupted` under white noise.

SGD has the steps of Adam.
"""

RECORRUPTED: Mapping[str, Any] = {
    # Every pixel is shown and scored, so none can be held out; what it would learn by heart, the new draws forbid.
    "iterations": 300,
    "loss": "squared",
    "average": 0.98,
    "learning_rate": 3e-3,
    "beta2": 0.9,
    "stop": "none",
}

WHITE: Mapping[str, Any] = {"loss": "squared", "average": 0.98, "beta2": 0.9, "warmup": 60}
"""Of `recorrupted` under white noise: its error can be told from held-out pixels, unlike that of correlated noise."""

NARROW: Mapping[str, Any] = {
    "network": {"channels": (16, 32, 48, 64, 64)},
    "learning_rate": 0.045,
    "iterations": 260,
}
"""Of an hourglass under white noise that is not weak, by Muon: half as wide at full resolution it learns
noise later, and three of them are better than two of the prior's own width. A step takes 0.65 of the time; more are
needed (docs/benchmarks.md)."""

UNEVEN: Mapping[str, Any] = {**RECORRUPTED, "iterations": 400, "hidden": 0.2}
"""Where the covariance is a guess: pixels are hidden too, which costs some 0.4 dB where it is right."""

REGION: Mapping[str, Any] = {
    # Only a deep network without skip connections carries structure across a region; the published one does it best.
    # No known pixel is like those of the hole, so the held-out error has nothing to say about them.
    **paper.DIP_SETTINGS["library"],
    "iterations": 1500,
    "average": 0.9,
    "stop": "none",
}

CODE_ONLY: Mapping[str, Any] = {"iterations": 1800, "average": 0.99, "learning_rate": 0.01, "patience": 300}

FIT: Mapping[str, Mapping[str, Any]] = {
    "hourglass": {
        "iterations": 1800,
        "average": 0.99,
        "learning_rate": 0.01,
        "code_noise": 1 / 30,
        "patience": 300,
    },
    # Twice that rate is as good in half the steps, of which weak noise still needs thousands.
    "decoder": {**CODE_ONLY, "iterations": 3600, "learning_rate": 0.02},
    "recurrent": CODE_ONLY,
}

DEFAULTS: Mapping[str, Any] = {
    "norm": "channel",
    "init": "default",
    "optimizer": "adam",
    "network": {},
    "beta2": 0.999,
    "loss": "squared",
    "code": "noise",
    "code_channels": 32,
    "code_noise": 0.0,
    "hidden": 0.0,
    "hidden_spread": 0.0,
    "residual": False,
    "average": 0.0,
    "networks": 1,
    "clipping": "undo",
    "stop": "heldout",  # needs no knowledge of the noise and holds under every normalisation
    "warmup": 100,
    "patience": 1000,
    "rewind_rate": 0.5,
    "rescue": True,
}
