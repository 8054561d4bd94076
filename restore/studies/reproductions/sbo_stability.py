"""SBO-RNN: neither vanishing nor exploding gradients."""

from __future__ import annotations

from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict
from restore.studies.probe import probe_cell

__all__ = ["CLAIMS"]

CELLS = ("sbornn", "rnn", "gru")


def measure(conditions: Conditions) -> Outcome:
    """Follow a gradient back through freshly made cells."""
    size, steps = (64, 300) if conditions.quick else (128, 1000)
    probes = {name: probe_cell(name, size=size, steps=steps, seed=conditions.seed) for name in CELLS}
    own = probes["sbornn"]
    met = own.verdict == "healthy" and probes["rnn"].verdict != "healthy"
    return Outcome(
        measured={
            "steps": steps,
            **{f"{name}_verdict": str(probe.verdict) for name, probe in probes.items()},
            **{f"{name}_ratio": probe.ratio for name, probe in probes.items()},
            "sbornn_singular_values": [own.singular_values[-1].item(), own.singular_values[0].item()],
        },
        threshold="|dL/dh_0| / |dL/dh_T| of sbornn stays in [1e-3, 1e3], where that of rnn does not",
        verdict=Verdict.met if met else Verdict.not_reproduced,
        curves=[Curve(name, range(steps + 1), probe.gradient_norms.tolist()) for name, probe in probes.items()],
        axes=("t", "|dL/dh_t|"),
        scales=("linear", "log"),
        note="This is of a cell as it starts, with the published eta = 1e-3: the Jacobian of a step is I - eta Hess F, "
        "near the identity, and T steps amount to eta T.",
    )


CLAIMS = (
    Claim(
        name="sbo-stability",
        text="A recurrence that descends an energy by small steps has neither vanishing nor exploding gradients.",
        source="Zhang, Yue, Wu, Li, Zhang, NeurIPS 2021",
        published=None,
        expected=Verdict.met,
        measure=measure,
    ),
)
