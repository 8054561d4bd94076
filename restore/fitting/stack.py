"""Fits of many pictures of one size in one pass: each with its own weights, draws and end, and with its own result."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from restore.errors import UsageError
from restore.fitting.acceleration import Calls
from restore.fitting.draws import Draw
from restore.fitting.judge import Fitted, Judge
from restore.fitting.loop import fit
from restore.fitting.network import build_priors, make_optimizer
from restore.fitting.rescue import Trouble
from restore.fitting.stacked import can_be_stacked, select_, stacked
from restore.fitting.subject import Subject, mean_image
from restore.fitting.trace import Observer
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["fit_stack", "stack_key"]

LARGE_MAP = 2**20
"""Bytes of a feature map of one network above which networks are not made one on a CPU."""

CACHE = 2**23
"""Bytes of the feature maps of networks that are made one on a CPU."""

Observe = Callable[[int], Sequence[Observer]]
"""Gives the observers of a picture, by its place; fresh ones whenever it is called."""


def stack_key(problem: Problem, plan: Plan) -> object | None:
    """Return what pictures of one stack have in common; None for a fit that must be alone.

    A recurrence has weights and states that are not stacked; tiles come one after the other, and so do the middle and
    the whole of a large picture.
    """
    if plan.cell != "none" or plan.tile_side or plan.warm_start:
        return None
    common = dataclasses.replace(plan, seed=0)
    return repr(common), tuple(problem.measurement.shape), problem.kind


class _Member:
    """One picture of a stack: what a fit has that is its own."""

    def __init__(self, place: int, problem: Problem, plan: Plan, observers: Sequence[Observer]) -> None:
        self.place = place
        self.given = (problem, plan)
        self.priors = build_priors(problem, plan)
        self.parameters = sum(parameter.numel() for prior in self.priors for parameter in prior.parameters())
        self.subject = Subject(problem, plan, self.priors[0])
        self.judge = Judge(self.subject, observers)
        self.trouble = Trouble(self.subject.scored_pixels, self.subject.jump)


def fit_stack(problems: Sequence[Problem], plans: Sequence[Plan], observe: Observe = lambda place: ()) -> list[Fitted]:
    """Fit each problem as its plan says, all in one pass, and return what `restore.fitting.fit` gives for each alone.

    The images' losses are added, so that each gradient is that of its own image; optimisers act on each network alone.
    An image that has ended leaves the stack. One whose loss jumps or is not finite leaves it too, and is fitted alone
    from the beginning, where it can be set back. Where networks are made one, sums are taken in another order than
    alone, so that results agree to rounding, not bit for bit.

    Args:
        problems: measurements of one size.
        plans: that differ in the seed at most.
        observe: called with the place of a picture for its observers, once more if it is fitted alone.

    Raises UsageError for pictures that do not belong into one stack, and as `restore.fitting.fit`.
    """
    keys = {stack_key(problem, plan) for problem, plan in zip(problems, plans, strict=True)}
    if len(keys) != 1 or None in keys:
        raise UsageError(
            "a stack takes pictures of one size and settings that differ in the seed alone, without a cell."
        )
    plan = plans[0]
    members = [
        _Member(place, problem, each, observe(place))
        for place, (problem, each) in enumerate(zip(problems, plans, strict=True))
    ]
    if not can_be_stacked(members[0].priors[0]):
        raise UsageError(f"the prior {plan.prior!r} has layers that cannot be stacked: fit its pictures one by one.")
    return _Stack(members, plan, observe).run()


class _Stack:
    """The pictures that have not ended, in groups whose networks are one, and an optimiser for all."""

    def __init__(self, members: list[_Member], plan: Plan, observe: Observe) -> None:
        self.plan, self.observe = plan, observe
        self.count = len(members)
        together = _together(members[0], plan, self.count)
        self.groups = [_Group(members[at : at + together]) for at in range(0, self.count, together)]
        self.optimizer = make_optimizer(nn.ModuleList(group.networks for group in self.groups), plan)
        self.fitted: dict[int, Fitted] = {}
        self.alone: list[_Member] = []
        self.began = time.perf_counter()

    def run(self) -> list[Fitted]:
        """Fit all to their ends."""
        reason = "iterations"
        try:
            for iteration in range(1, self.plan.iterations + 1):
                self.step(iteration)
                if not self.groups:
                    break
        except KeyboardInterrupt:
            reason = "interrupted"
        for group in self.groups:
            for member in group.members:
                self.end(member, reason)
        for member in self.alone:
            problem, plan = member.given
            if reason == "interrupted":  # it begins anew, and there is no time for that
                raise KeyboardInterrupt
            self.fitted[member.place] = fit(problem, plan, self.observe(member.place))
        return [self.fitted[place] for place in range(self.count)]

    def step(self, iteration: int) -> None:
        """Do one step of the optimiser for all, and let go of those that end with it or are in trouble."""
        self.optimizer.zero_grad(set_to_none=True)
        for group in self.groups:
            group.pass_through(self.plan)
        self.optimizer.step()
        for group in self.groups:
            group.look(iteration, self.plan)
        rate = self.optimizer.param_groups[0]["lr"]
        for group in self.groups:
            staying: list[int] = []
            for at, member in enumerate(group.members):
                if at not in group.good:
                    self.alone.append(member)
                    continue
                member.trouble.keep(group.losses[at])
                seconds = time.perf_counter() - self.began
                image, loss, misfit = group.images[at], group.losses[at], group.misfits[at]
                reason = member.judge.see(member.subject.advance(iteration, image, loss, misfit, rate, seconds))
                if reason is None:
                    staying.append(at)
                else:
                    self.end(member, reason)
            group.keep(staying, self.optimizer)
        self.groups = [group for group in self.groups if group.members]

    def end(self, member: _Member, reason: str) -> None:
        """Keep what came of a picture that has ended."""
        seconds = time.perf_counter() - self.began
        self.fitted[member.place] = member.judge.fitted(
            reason, seconds=seconds, parameters=member.parameters, precision=self.plan.precision
        )


@dataclass(frozen=True)
class _Pass:
    """What came of one pass: of each picture its image, its loss and its misfit, and which are not in trouble."""

    images: list[Tensor]
    losses: list[float]
    misfits: list[float]
    good: list[int]


class _Group:
    """Pictures whose first networks are one, and their second, and so on; and what came of their last pass."""

    def __init__(self, members: list[_Member]) -> None:
        self.members = members
        several = zip(*(member.priors for member in members), strict=True)
        self.networks = nn.ModuleList(stacked(priors) if len(priors) > 1 else priors[0] for priors in several)
        self._calls: Calls | None = None
        self.good: list[int] = []
        self.images: list[Tensor] = []
        self.losses: list[float] = []
        self.misfits: list[float] = []

    def pass_through(self, plan: Plan) -> None:
        """Go through the networks and back, so that the weights have their gradients."""
        passes = [self._pass(number, plan) for number in range(len(self.networks))]
        self.images = [mean_image(images) for images in zip(*(one.images for one in passes), strict=True)]
        self.losses, self.misfits = (
            [statistics.fmean(values) for values in zip(*(getattr(one, name) for one in passes), strict=True)]
            for name in ("losses", "misfits")
        )
        self.good = [at for at in range(len(self.members)) if all(at in one.good for one in passes)]

    def look(self, iteration: int, plan: Plan) -> None:
        """Show each network what its picture's subject asks it to look at after this step."""
        for number in range(len(self.networks)):
            asked = [member.subject.looks(iteration) for member in self.members]
            with torch.no_grad():
                outputs = [self._call(number, draws, plan) for draws in zip(*asked, strict=True)]
            for at, (member, looks) in enumerate(zip(self.members, asked, strict=True)):
                if looks:
                    member.subject.look([output[at : at + 1] for output in outputs], looks)

    def _call(self, number: int, draws: Sequence[Draw], plan: Plan) -> Tensor:
        inputs = draws[0].inputs
        if len(draws) > 1:
            inputs = [torch.cat(parts).contiguous() for parts in zip(*(draw.inputs for draw in draws), strict=True)]
        if self._calls is None:
            self._calls = Calls(list(self.networks), plan.accelerate, torch.device(plan.device))
        return self._calls(number, inputs, plan.precision)

    def _pass(self, number: int, plan: Plan) -> _Pass:
        draws = [member.subject.draw() for member in self.members]
        output = self._call(number, draws, plan)
        scored = [
            member.subject.score(output[at : at + 1], draw)
            for at, (member, draw) in enumerate(zip(self.members, draws, strict=True))
        ]
        losses, misfits = (_numbers([getattr(score, name) for _, score in scored]) for name in ("loss", "misfit"))
        good = [
            at
            for at, (member, loss) in enumerate(zip(self.members, losses, strict=True))
            if not (plan.rescue and member.trouble.of(loss))
        ]
        if good:
            total = torch.stack([scored[at][1].loss for at in good]).sum()
            total.backward()  # type: ignore[no-untyped-call]
        return _Pass([image.detach() for image, _ in scored], losses, misfits, good)

    def keep(self, staying: list[int], optimizer: torch.optim.Optimizer) -> None:
        """Let go of all pictures but these."""
        if len(staying) == len(self.members):
            return
        self.members = [self.members[at] for at in staying]
        self._calls = None  # other weights take the place of those that were compiled, or recorded
        if self.members:
            for network in self.networks:
                select_(network, optimizer, staying)
            return
        gone = {id(parameter) for parameter in self.networks.parameters()}
        for parameters in optimizer.param_groups:
            parameters["params"] = [each for each in parameters["params"] if id(each) not in gone]
        for parameter in self.networks.parameters():
            optimizer.state.pop(parameter, None)


def _together(member: _Member, plan: Plan, count: int) -> int:
    """Return how many networks are made one: all on a GPU; on a CPU as many as its caches hold the features of.

    Features that leave the cache between two layers cost more than the batched kernels save.
    """
    if not plan.device.startswith("cpu"):
        return count
    height, width = member.subject.problem.size
    number = 2 if plan.precision == "bfloat16" else 4
    features = number * member.priors[0].feature_channels * height * width
    pointwise = plan.prior == "decoder"  # little work for what is read and written
    return 1 if pointwise or features > LARGE_MAP else min(count, CACHE // features)


def _numbers(values: Sequence[Tensor]) -> list[float]:
    """Return the values as numbers, with one wait for the device."""
    numbers: list[float] = torch.stack([value.detach() for value in values]).tolist()
    return numbers
