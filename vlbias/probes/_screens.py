"""Things to find in an image: coloured shapes among others, and buttons with words and icons on a screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlbias.probes._cells import Grid, sprite
from vlbias.probes._world import COLOURS, ICONS, SHAPES
from vlbias.records import RGB, Sprite

BUTTONS = (
    "Save", "Open", "Close", "Print", "Copy", "Paste", "Search", "Help", "Send", "Back", "Next", "Settings",
)  # fmt: skip
_PANEL_RGB: RGB = (70, 95, 150)
_INK_RGB: RGB = (240, 240, 240)
_WORD_RADIUS = 0.17  # of the button's


@dataclass(frozen=True, kw_only=True)
class Look:
    """A thing that can be looked for: its kind (shape, text, icon) and what it is, as words."""

    kind: str
    what: tuple[str, ...]

    @property
    def words(self) -> str:
        """As a question names it: `the red star`, `the button "Save"`, `the heart icon`."""
        if self.kind == "text":
            return f'the button "{self.what[0]}"'
        return f"the {self.what[0]} icon" if self.kind == "icon" else f"the {self.what[1]} {self.what[0]}"

    def at(self, grid: Grid, index: int) -> tuple[Sprite, ...]:
        """The thing in the middle of a cell; its first sprite has the box of the whole."""
        if self.kind == "shape":
            return (sprite(self.what[0], self.what[1], grid, index),)
        middle = Sprite(form="button", colour_rgb=_PANEL_RGB, centre_xy=grid.centre_xy(index), radius=grid.radius)
        if self.kind == "icon":
            return (replace(middle, form=self.what[0], colour_rgb=_INK_RGB, radius=0.5 * grid.radius),)
        word = replace(middle, form="word", text=self.what[0], colour_rgb=_INK_RGB, radius=_WORD_RADIUS * middle.radius)
        return (middle, word)


def screen_looks() -> list[Look]:
    """Every button and icon that a screen can hold."""
    return [Look(kind="text", what=(w,)) for w in BUTTONS] + [Look(kind="icon", what=(i,)) for i in ICONS]


def shape_looks() -> list[Look]:
    """Every coloured shape."""
    return [Look(kind="shape", what=(shape, colour)) for shape in SHAPES for colour in COLOURS]


def spread(looks: Sequence[Look], n: int, *, rng: np.random.Generator) -> list[Look]:
    """`n` looks in an order of chance, each as often as any other to within one."""
    rounds = [rng.permutation(len(looks)) for _ in range(-(-n // len(looks)))]
    return [looks[int(k)] for k in np.concatenate(rounds)[:n]]


def around(look: Look, looks: Sequence[Look], *, n: int, rng: np.random.Generator) -> list[Look]:
    """`n` different others that share no word with it, as neither shape nor colour."""
    fit = [one for one in looks if not set(one.what) & set(look.what)]
    return [fit[int(k)] for k in rng.permutation(len(fit))[:n]]
