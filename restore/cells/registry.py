"""Recurrent cells by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from restore.cells.base import Cell
from restore.cells.controls import GRU, LSTM, RNN
from restore.cells.ctgru import CTGRU
from restore.cells.enrnn import ENRNN
from restore.cells.limitcycle import LimitCycle
from restore.cells.momentum import MomentumLSTM, MomentumOrthogonal, MomentumRNN
from restore.cells.momentum_filter import RULES
from restore.cells.ncgru import NCGRU
from restore.cells.rflo import RFLO
from restore.cells.sbornn import SBORNN
from restore.cells.scornn import ScoRNN
from restore.cells.scurnn import ScuRNN
from restore.errors import UsageError, unknown_name

__all__ = ["CELLS", "make_cell"]

MOMENTUM_VARIANTS: dict[str, Callable[..., Cell]] = {
    "rnn": MomentumRNN,
    "lstm": MomentumLSTM,
    "orth": MomentumOrthogonal,
}

CELLS: dict[str, Callable[..., Cell]] = {
    "scornn": ScoRNN,
    "scurnn": ScuRNN,
    "enrnn": ENRNN,
    "ncgru": NCGRU,
    "sbornn": SBORNN,
    **{
        f"{rule}-{variant}": functools.partial(factory, rule=rule)
        for rule in RULES
        for variant, factory in MOMENTUM_VARIANTS.items()
    },
    "limitcycle": LimitCycle,
    "ctgru": CTGRU,
    "rflo": RFLO,
    "gru": GRU,
    "lstm": LSTM,
    "rnn": RNN,
}

COMMON = ("size", "generator", "device", "dtype")


def make_cell(name: str, size: int, **options: Any) -> Cell:
    """Return the cell `name` with `size` state units; `options` are those of its constructor.

    Every constructor takes `generator`, `device` and `dtype` besides the options of its own.

    Raises UsageError for a name that is not in `CELLS`, and for a size or an option that the cell does not have.

    >>> make_cell("scurnn", 8).readout_size
    16
    >>> make_cell("scornn", 8, negative=3)
    Traceback (most recent call last):
    restore.errors.UsageError: unknown option of cell 'scornn' 'negative': did you mean 'negatives'? Known: negatives.
    """
    if name not in CELLS:
        raise unknown_name("cell", name, CELLS)
    factory = CELLS[name]
    fixed = factory.keywords if isinstance(factory, functools.partial) else {}
    own = [option for option in inspect.signature(factory).parameters if option not in (*COMMON, *fixed)]
    for option in options:
        if option not in (*COMMON, *own) and not own:
            raise UsageError(f"cell {name!r} has no options of its own, got {option!r}; leave it out.")
        if option not in (*COMMON, *own):
            raise unknown_name(f"option of cell {name!r}", option, own)
    return factory(size, **options)
