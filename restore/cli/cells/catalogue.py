"""What each recurrent cell is, in words: what `restore cells list` prints beside the cell's own figures."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATALOGUE", "Entry"]


@dataclass(frozen=True)
class Entry:
    """A cell in words.

    Attributes:
        system: the family as the literature calls it.
        description: one line.
        source: where its equations are published.
    """

    system: str
    description: str
    source: str


MOMENTUM = "arXiv:2006.06919"
RULES = {
    "momentum": "heavy-ball momentum",
    "adam": "Adam's momentum and scaling",
    "rmsprop": "RMSprop's scaling",
    "nesterov": "Nesterov's momentum",
    "restart": "scheduled restarts",
}
VARIANTS = {"rnn": "vanilla recurrence", "lstm": "LSTM", "orth": "orthogonal recurrence"}

CATALOGUE: dict[str, Entry] = {
    "scornn": Entry("scaled Cayley orthogonal RNN", "recurrence stays orthogonal in training", "arXiv:1707.09520"),
    "scurnn": Entry("scaled Cayley unitary RNN", "complex, unitary, phases of D trainable", "arXiv:1811.04142"),
    "enrnn": Entry("eigenvalue-normalised RNN", "long-term orthogonal, short-term free to forget", "arXiv:1911.07964"),
    "ncgru": Entry("Neumann-Cayley orthogonal GRU", "GRU with an orthogonal candidate", "arXiv:2208.06496"),
    "sbornn": Entry("stochastic-bilevel RNN", "state descends an energy by SGD, SHB or SNAG", "NeurIPS 2021"),
    **{
        f"{rule}-{variant}": Entry("MomentumRNN family", f"{recurrence} driven through {words}", MOMENTUM)
        for rule, words in RULES.items()
        for variant, recurrence in VARIANTS.items()
    },
    "limitcycle": Entry(
        "stable limit-cycle network",
        "oscillators, whose phase carries gradients on",
        "doi:10.1109/IEEECONF44664.2019.9049080",
    ),
    "ctgru": Entry("continuous-time GRU", "GRU as a differential equation", "doi:10.3389/fncom.2021.678158"),
    "rflo": Entry("random-feedback local online RNN", "leaky, with a local learning rule", "doi:10.7554/eLife.43299"),
    "gru": Entry("gated recurrent unit", "the control, as torch has it", "arXiv:1406.1078"),
    "lstm": Entry("long short-term memory", "the control, as torch has it", "doi:10.1162/neco.1997.9.8.1735"),
    "rnn": Entry("Elman RNN", "the control, as torch has it", "doi:10.1207/s15516709cog1402_1"),
}
