"""Digits as sequences: an orthogonal recurrence reads a picture pixel by pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict
from restore.studies.sequence_tasks import Task
from restore.studies.sequence_training import WINDOW, Learned, Recipe, learn

__all__ = ["CLAIMS", "drawn_digits"]

SIDES = {True: 8, False: 14}
"""Height and width of a digit, in the quick form and the full one: 64 and 196 steps."""

GOAL = 0.3
"""Mean cross-entropy at which the task counts as learned; guessing costs ln 10 = 2.30."""


def drawn_digits(side: int) -> Tensor:
    """Return the ten digits of Pillow's own font, (10, side, side) in [0, 1], with a margin of an eighth."""
    font = ImageFont.load_default(size=4 * side)
    pictures = []
    for digit in "0123456789":
        page = Image.new("L", (6 * side, 6 * side))
        ImageDraw.Draw(page).text((side, side), digit, fill=255, font=font)
        box = page.getbbox()
        assert box is not None
        small = page.crop(box).resize((side - side // 4, side - side // 4), Image.Resampling.BOX)
        picture = Image.new("L", (side, side))
        picture.paste(small, (side // 8, side // 8))
        pictures.append(torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(side, side) / 255)
    return torch.stack(pictures)


def digits_task(side: int) -> Task:
    """Return the task: digits shifted by up to an eighth of the side, in noise of 0.1, read row by row."""
    pictures = drawn_digits(side)
    reach = side // 8

    def batch(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        labels = torch.randint(10, (count,), generator=generator)
        shifts = torch.randint(-reach, reach + 1, (count, 2), generator=generator).tolist()
        shown = torch.stack([pictures[label].roll(shift, (0, 1)) for label, shift in zip(labels, shifts, strict=True)])
        noisy = shown + 0.1 * torch.randn(shown.shape, generator=generator)
        return noisy.flatten(1).unsqueeze(-1), labels

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs[:, -1], targets)

    return Task("digits", 1, 10, 2.302585, batch, loss)


def measure(conditions: Conditions) -> Outcome:
    """Train scoRNN and, for as long, a vanilla network on the digits."""
    task = digits_task(SIDES[conditions.quick])
    names = (*(conditions.cells or ("scornn",))[:1], "rnn")
    learned: dict[str, Learned] = {}
    for name in dict.fromkeys(names):
        size, rate = (64, 3e-3) if conditions.quick else (170, 1e-3)
        recipe = Recipe(name, size, rate=rate, seed=conditions.seed)
        form = "quick" if conditions.quick else "full"
        state = None if conditions.folder is None else conditions.folder / f"digits-{name}-{form}-{conditions.seed}.pt"
        cap = conditions.cap if name == names[0] else min(conditions.cap, learned[names[0]].seconds)
        learned[name] = learn(task, recipe, threshold=GOAL, cap=cap, state=state, say=conditions.say)
    main = learned[names[0]]
    return Outcome(
        measured={
            name: {"solved": found.solved, "loss": found.loss, "steps": len(found.losses), "seconds": found.seconds}
            for name, found in learned.items()
        },
        threshold=f"mean cross-entropy of {WINDOW} steps below {GOAL} for {names[0]}",
        verdict=Verdict.met if main.solved else Verdict.not_reproduced,
        curves=[Curve(name, range(1, len(found.losses) + 1), found.losses) for name, found in learned.items()],
        axes=("step", "cross-entropy"),
        scales=("linear", "log"),
    )


CLAIMS = (
    Claim(
        name="digits",
        text="An orthogonal recurrence classifies digits that it reads pixel by pixel.",
        source="arXiv:1707.09520",
        published="scoRNN with n = 170 on MNIST: 97.3 %; these are drawn digits, so that nothing is downloaded",
        expected=Verdict.met,
        measure=measure,
        takes_cells=True,
    ),
)
