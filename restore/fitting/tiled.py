"""A big picture fitted tile by tile, in the memory of one tile: each a fit of its own that begins where the last ended.

    y ~ sum_i w_i x_i,    sum_i w_i = 1

x_i is the image of tile i, w_i its window (`restore.fitting.tiles`). A network that is shown the picture learns to
restore pictures of this noise, so it begins with the weights of the tile before, handed over as the same function
(`restore.fitting.handover`). What a network is fed as a code is the picture itself to it; there every tile begins anew,
and so it does under strong noise, which such weights would learn by heart, if there is time for that. Elsewhere the
tile that was fitted with drawn weights has learned least when its turn is over, so it has another one at the end.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from restore.fitting.checkpoint import Checkpoint
from restore.fitting.fills import fill_biharmonic
from restore.fitting.forecast import to_fit
from restore.fitting.glance import cut_short, glance, is_useful
from restore.fitting.judge import Fitted
from restore.fitting.learned import Learned
from restore.fitting.ledger import Ledger
from restore.fitting.loop import fit
from restore.fitting.memory import release
from restore.fitting.plan import WIDE_RADIUS, make_plan
from restore.fitting.tile_steps import first_steps, hands_on, warm_rate, warm_steps
from restore.fitting.tiles import make_layout, window
from restore.fitting.trace import Observer
from restore.fitting.warm_start import fit_warm, warm_plan
from restore.problems.holes import hole_radius
from restore.problems.problem import Problem
from restore.settings import FitSettings, Plan

__all__ = ["fit_tiles"]

GLANCES, GLANCES_SHARE = 20.0, 0.1
"""Seconds after the end within which tiles that had no turn, or too short a one, are looked at; and as a share of a
time budget."""

SHORT = 0.5
"""Share of its steps below which a tile that began anew had too little time for that: from it on, weights go on."""

SEED_STEP = 1_000_003
"""Between the seeds of neighbouring tiles, so that they draw different pixels."""

TRUSTED = 0.5
"""Sum of the windows above which finished tiles stand for a measurement, in a hole that is wider than a tile's view."""


def fit_tiles(
    problem: Problem,
    plan: Plan,
    settings: FitSettings,
    observers: Sequence[Observer] = (),
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Fit the tiles of `problem` one after the other, and return what `fit` gives, the image being theirs joined.

    Tiles whose hole is a region come last, those that see most first, and take what is finished around them for
    measured: a tile that lies wholly in a hole continues its neighbours. A tile without a hole, of an inpainting, is
    not fitted. Ctrl-C and the time budget end all of it. A tile that had no turn, or too short a one, is shown once to
    what the networks have learned, and if that is of no use its measurement stays.

    Args:
        plan: with `tile_side` and `tile_overlap`.
        settings: that the plan was made from; a tile's own plan is made from them too.
        observers: called after every step of every tile, whose steps count from 1. One that has a method `begin_tile`
            is first told its number, the number of tiles, and its plan; one with `begin_fit` also sees its middle, if
            it begins there (`restore.fitting.warm_start.fit_warm`).
        checkpoint: keeps the finished tiles.

    Raises FitError as `fit`, KeyboardInterrupt when no tile was done before Ctrl-C.
    """
    return _Tiled(problem, plan, settings, observers, checkpoint).run()


class _Tiled:
    """The state of a fit on tiles."""

    def __init__(
        self,
        problem: Problem,
        plan: Plan,
        settings: FitSettings,
        observers: Sequence[Observer],
        checkpoint: Checkpoint | None,
    ) -> None:
        self.problem, self.plan, self.settings = problem, plan, settings
        self.observers, self.checkpoint = observers, checkpoint
        self.layout = make_layout(problem.size, plan.tile_side, plan.tile_overlap)
        self.ledger = Ledger()
        self.image = torch.zeros_like(problem.measurement)
        radii = [hole_radius(~tile.cut(problem.known)[0, 0].numpy()) for tile in self.layout.tiles]
        self.wide = [radius > WIDE_RADIUS for radius in radii]
        fitted = to_fit(problem, self.layout)
        self.whole = [tile not in fitted for tile in self.layout.tiles]  # of an inpainting, without a hole
        self.cover = torch.zeros(problem.size if any(self.wide) else ())
        self.done: list[int] = []
        self.useless: list[int] = []  # of these, tiles that were cut short: no image of theirs is joined yet
        self.hurried = False  # whether a tile had too little time to begin anew
        self.first: int | None = None  # the tile that began with drawn weights and shall have another turn
        self.before = torch.zeros(())  # what that tile was
        self.learned: dict[str, Any] = {}
        self.taught = 0  # how many fits that comes from

    def run(self) -> Fitted:
        """Fit all tiles."""
        release(self.plan.device)  # what reading the picture and judging its noise left
        began, earlier = time.perf_counter(), 0.0
        if self.checkpoint is not None:
            _, warnings = self.checkpoint.begin(self.problem, self.plan, {"tiles": self})
            self.ledger.warnings += warnings
            earlier = self.checkpoint.earlier
        try:
            while (index := self._next()) is not None:
                self._fit(index, earlier + time.perf_counter() - began)
                if self.checkpoint is not None:
                    seconds = earlier + time.perf_counter() - began
                    self.checkpoint.keep(self.ledger.iterations, seconds, {"tiles": self}, self.ledger.warnings)
        except KeyboardInterrupt:
            if not self.done:
                raise
            self.ledger.reasons.append("interrupted")
        if self.hurried:
            self.ledger.warnings.append(
                "the time budget was too short to fit each tile from its beginning: the picture gets better with more."
            )
        for index in self._left():
            if self.whole[index]:
                self._join(index, self._seen(index)[0])
        count, finished = len(self.layout.tiles), len(self.done) - len(self.useless)
        shown = self._finish()
        if finished < count:
            self.ledger.warnings.append(cut_short(self.problem.kind, count, finished, shown))
        return self.ledger.fitted(self.image, self.plan, count, finished)

    def state(self) -> dict[str, Any]:
        """Return what was done so far."""
        return {
            "image": self.image,
            "cover": self.cover,
            "done": self.done,
            "useless": self.useless,
            "first": self.first,
            "before": self.before,
            "learned": self.learned,
            "taught": self.taught,
            "hurried": self.hurried,
            "ledger": self.ledger.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self.image, self.cover, self.done = state["image"], state["cover"], list(state["done"])
        self.useless = list(state["useless"])
        self.first, self.before, self.learned = state["first"], state["before"], dict(state["learned"])
        self.taught, self.hurried = state["taught"], state["hurried"]
        self.ledger.restore(state["ledger"])

    def _next(self) -> int | None:
        """Return the tile whose turn it is: those without a wide hole in their order, then the one that sees most."""
        left = self._left()
        narrow = [index for index in left if not self.wide[index]]
        if narrow:
            return narrow[0]
        if self.first is not None and self.taught > 1:
            return self.first
        return None if not left else max(left, key=lambda index: (int(self._seen(index)[1].sum()), -index))

    def _left(self) -> list[int]:
        return [index for index in range(len(self.layout.tiles)) if index not in self.done]

    def _to_fit(self) -> list[int]:
        """Return the tiles that are left and have something to fit."""
        return [index for index in self._left() if not self.whole[index]]

    def _seen(self, index: int) -> tuple[Tensor, Tensor]:
        """Return the measurement of a tile and where it is known; in a wide hole, what is finished counts as that."""
        tile = self.layout.tiles[index]
        measurement, known = tile.cut(self.problem.measurement), tile.cut(self.problem.known)
        if self.wide[index]:
            cover = tile.cut(self.cover)[None, None]
            trusted = ~known & (cover > TRUSTED)
            measurement = torch.where(trusted, tile.cut(self.image) / cover.clamp(min=TRUSTED), measurement)
            known = known | trusted
        return measurement.contiguous(), known.contiguous()

    def _passes_on(self, plan: Plan) -> bool:
        return hands_on(plan, self.problem) or (self.hurried and plan.objective != "fit")

    def _plan(self, part: Problem, index: int, seconds: float) -> Plan:
        """Return the plan of a tile that begins when so many seconds have gone."""
        plan = make_plan(part, self.settings)
        passes_on = self._passes_on(plan)
        passed_on = passes_on and bool(self.learned)
        if not passes_on:
            plan = warm_plan(part, plan, self.settings)
        warm = warm_steps(plan, self.settings, self.problem)
        others = [each for each in self._to_fit() if each != index]
        first = first_steps(plan, self.settings, self.problem) if passes_on and others else plan.iterations
        budget = self.settings.time_budget
        if budget is not None:
            # In a tile whose weights are drawn, steps are as long but more of them are needed.
            drawn = passes_on and not passed_on
            rest = len(others) + (bool(others) if drawn else self.first not in (None, index))
            own = first / warm if drawn else 1.0
            budget = max(0.0, budget - seconds) * own / (own + rest)
        seed = (plan.seed + SEED_STEP * index) % 2**31
        rate = warm_rate(plan, self.settings, self.problem) if passed_on else plan.learning_rate
        steps = warm if passed_on else first
        return dataclasses.replace(plan, iterations=steps, learning_rate=rate, seed=seed, time_budget=budget)

    def _fit(self, index: int, seconds: float) -> None:
        """Fit a tile and join it to the picture.

        Raises KeyboardInterrupt when that was interrupted; what it was then is joined if it is of use.
        """
        measurement, known = self._seen(index)
        if self.problem.kind == "inpaint" and bool(known.all()):
            self._join(index, measurement)
            return
        part = self.problem.part(measurement, known)
        plan = self._plan(part, index, seconds)
        for observer in self.observers:
            if hasattr(observer, "begin_tile"):
                observer.begin_tile(
                    index + 1 if index in self.done else len(self.done) + 1, len(self.layout.tiles), plan
                )
        learner = Learned()
        observers: list[Observer] = [*self.observers, learner]
        went_on = self._passes_on(plan) and bool(self.learned)
        if self._passes_on(plan):
            fitted = fit(part, plan, observers, start=self.learned or None)
        else:
            fitted = fit_warm(part, plan, self.settings, observers)
        short = fitted.stop_reason == "time" and fitted.iterations < SHORT * plan.iterations
        self.hurried |= short and plan.objective != "fit"
        passes_on = self._passes_on(plan)  # from now on
        again, useful = index in self.done, is_useful(part, fitted)
        kept = useful and not (again and short and index not in self.useless)
        if plan.objective != "fit" and fitted.stop_reason != "diverged" and (passes_on or useful):
            self.learned, self.taught = learner.taken(), self.taught + 1
        self.ledger.enter(fitted, kept, f"tile {index + 1}")
        image = part.unclipped(fitted.image.cpu()) if plan.unclips else fitted.image.cpu()
        interrupted = fitted.stop_reason == "interrupted"
        del fitted, learner
        release(plan.device)
        if again:
            if kept and not interrupted:
                self._replace(index, image)
            self.first, self.before = None, torch.zeros(())
        elif useful:
            self._join(index, image)
        elif not interrupted:
            self.done.append(index)
            self.useless.append(index)
        if passes_on and not went_on and index in self.done and self._to_fit():
            self.first, self.before = index, image
        if interrupted:
            raise KeyboardInterrupt

    def _finish(self) -> int:
        """Join the tiles that have no image yet, and return how many are more than what was measured there.

        That ends with another Ctrl-C, after `GLANCES` seconds, or when the memory runs out.
        """
        budget = self.settings.time_budget
        shown, end = 0, time.perf_counter() + min(GLANCES, math.inf if budget is None else GLANCES_SHARE * budget)
        left = sorted([*self._left(), *self.useless])
        tells = bool(left and self.learned) and "interrupted" in self.ledger.reasons
        for observer in self.observers:
            if tells and hasattr(observer, "interrupted"):
                observer.interrupted(
                    f"{len(left)} tiles are shown to what was learned; Ctrl-C once more leaves them out"
                )
        for index in left:
            tile, image = self.layout.tiles[index], None
            try:
                part = self.problem.part(tile.cut(self.problem.measurement), tile.cut(self.problem.known))
                image = glance(part, self.settings, self.learned) if time.perf_counter() < end else None
            except KeyboardInterrupt:
                end = 0.0
                self.ledger.reasons.append("interrupted")
            except (RuntimeError, MemoryError):
                end = 0.0
            shown += image is not None
            given = self._as_given(tile.cut(self.problem.measurement), tile.cut(self.problem.known))
            self._join(index, given if image is None else image)
        return shown

    def _as_given(self, measurement: Tensor, known: Tensor) -> Tensor:
        """Return what stands for a part that is not restored: its holes, and impulses, are filled."""
        return fill_biharmonic(measurement, known.float())

    def _replace(self, index: int, image: Tensor) -> None:
        """Take another image of a tile; the first one may have been of no use."""
        if index in self.useless:
            self.useless.remove(index)
            self._join(index, image)
        else:
            tile = self.layout.tiles[index]
            tile.cut(self.image).addcmul_(image - self.before, window(self.layout, tile))

    def _join(self, index: int, image: Tensor) -> None:
        tile = self.layout.tiles[index]
        weight = window(self.layout, tile)
        tile.cut(self.image).addcmul_(image, weight)
        if self.cover.ndim:
            tile.cut(self.cover).add_(weight)
        if index not in self.done:
            self.done.append(index)
