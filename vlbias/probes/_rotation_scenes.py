"""Images for questions about turns: something twice, turned or mirrored, and something seen past an arrow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlbias.probes._cells import Grid, framed, still
from vlbias.probes._pictures import Thing
from vlbias.probes._world import COLOURS, SHAPES
from vlbias.records import Picture, Scene, Sprite

FIGURES = ("hook", "elbow", "paddle", "flag")  # none is its own mirror image, and none looks alike after a turn
SIDES = ("to the left", "to the right", "in front", "behind")
_DIRECTION = {(-1, 0): 0, (1, 0): 1, (0, -1): 2, (0, 1): 3}  # in the image, as someone sees it who looks up
_LEFT, _RIGHT, _AWAY = 0.27, 0.73, 0.33


@dataclass(frozen=True, kw_only=True)
class Item(ABC):
    """What the questions of one item share. `start` is the turn of the first of two, in quarters.

    `colour` is that of the arrow, `words` are what the thing beside the arrow is called.
    """

    name: str
    cluster_id: str
    words: str
    colour: str
    start: int
    ground: Scene

    @abstractmethod
    def twin(self, at_x: float, quarters: int, *, mirrored: bool) -> Sprite | Picture:
        """What is shown twice, in the middle of the height, mirrored or not and then turned."""

    @abstractmethod
    def thing(self, at_xy: tuple[float, float]) -> Sprite | Picture:
        """What is looked for beside the arrow."""

    def pair(self, turn: int, *, mirrored: bool, exchanged: bool) -> Scene:
        """The same one on the left and on the right, mirrored or not and turned; or the two exchanged."""
        one, other = (_RIGHT, _LEFT) if exchanged else (_LEFT, _RIGHT)
        found = {
            one: self.twin(one, self.start, mirrored=False),
            other: self.twin(other, self.start + turn, mirrored=mirrored),
        }
        return _shown(self.ground, (found[_LEFT], found[_RIGHT]))

    def seen_from(self, facing: int, side: int) -> tuple[Scene, int]:
        """An arrow that faces up after `facing` quarters clockwise and a thing on one of its `SIDES`.

        Also the side at which the thing would be for someone who looks up, as the viewer does.
        """
        x, y = next(step for step, k in _DIRECTION.items() if k == side)
        for _ in range(facing):
            x, y = -y, x
        width, height = self.ground.size_wh_px
        away = _AWAY * min(width, height)
        arrow = Sprite(
            form="arrow",
            colour_rgb=COLOURS[self.colour],
            centre_xy=(0.5, 0.5),
            radius=0.13 * _shorter(self.ground),
            turn_deg=90.0 * facing,
        )
        thing = self.thing((0.5 + x * away / width, 0.5 + y * away / height))
        return _shown(self.ground, (arrow, thing)), _DIRECTION[x, y]


@dataclass(frozen=True, kw_only=True)
class DrawnItem(Item):
    """A drawn figure, and another shape as the thing beside the arrow."""

    figure: str
    look: tuple[str, str]

    def twin(self, at_x: float, quarters: int, *, mirrored: bool) -> Sprite:
        """The figure."""
        width, height = self.ground.size_wh_px
        return Sprite(
            form=self.figure,
            colour_rgb=COLOURS[self.colour],
            centre_xy=(at_x, 0.5),
            radius=min(0.3, 0.17 * width / height),
            turn_deg=90.0 * (quarters % 4),
            mirrored=mirrored,
        )

    def thing(self, at_xy: tuple[float, float]) -> Sprite:
        """The shape."""
        shape, colour = self.look
        return Sprite(form=shape, colour_rgb=COLOURS[colour], centre_xy=at_xy, radius=0.1 * _shorter(self.ground))


@dataclass(frozen=True, kw_only=True)
class OwnItem(Item):
    """A picture of the user, in the place of the figure and of the thing."""

    picture: tuple[str, str]

    def twin(self, at_x: float, quarters: int, *, mirrored: bool) -> Picture:
        """The picture, of one size however it is turned."""
        size_px = self.ground.size_wh_px
        shown = self._in_square((at_x, 0.5), twin_px(size_px))
        return replace(shown, turn_deg=90.0 * (quarters % 4), mirrored=mirrored)

    def thing(self, at_xy: tuple[float, float]) -> Picture:
        """The picture as it is."""
        return self._in_square(at_xy, thing_px(self.ground.size_wh_px))

    def _in_square(self, at_xy: tuple[float, float], side_px: int) -> Picture:
        width, height = size_px = self.ground.size_wh_px
        left_top_px = round(at_xy[0] * width) - side_px // 2, round(at_xy[1] * height) - side_px // 2
        return framed(*self.picture, left_top_px=left_top_px, side_px=side_px, size_px=size_px)


def twin_px(size_px: tuple[int, int]) -> int:
    """The side of the square in which a picture is shown twice, in whole, even pixels."""
    return 2 * int(min(0.2 * size_px[0], 0.42 * size_px[1]))


def thing_px(size_px: tuple[int, int]) -> int:
    """The side of the square in which a picture is shown beside an arrow, in whole, even pixels."""
    return 2 * int(0.16 * min(size_px))


def drawn_items(n: int, *, size_px: tuple[int, int], rng: np.random.Generator) -> list[DrawnItem]:
    """`n` items; each figure comes up as often as any other to within one, all else is of chance."""
    figures = [FIGURES[k % len(FIGURES)] for k in range(n)]
    found = []
    for k, at in enumerate(rng.permutation(n)):
        colour, other = (str(c) for c in rng.choice(list(COLOURS), 2, replace=False))
        ground, start, shape = _ground(size_px, rng=rng), int(rng.integers(4)), str(rng.choice(SHAPES))
        name = f"item-{k:04d}"
        found.append(
            DrawnItem(
                name=name,
                cluster_id=name,
                words=f"{other} {shape}",
                colour=colour,
                start=start,
                ground=ground,
                figure=figures[int(at)],
                look=(shape, other),
            )
        )
    return found


def own_items(things: Sequence[Thing], *, size_px: tuple[int, int], rng: np.random.Generator) -> list[OwnItem]:
    """An item per picture; the arrow's colour, the first turn and the ground are of chance."""
    return [
        OwnItem(
            name=thing.name,
            cluster_id=thing.cluster_id,
            words=thing.caption,
            colour=str(rng.choice(list(COLOURS))),
            start=int(rng.integers(4)),
            ground=_ground(size_px, rng=rng),
            picture=thing.file,
        )
        for thing in things
    ]


def _ground(size_px: tuple[int, int], *, rng: np.random.Generator) -> Scene:
    """A plain ground: a texture has a direction of its own, which would not turn with the figure."""
    return replace(still((), Grid(rows=1, columns=1, size_px=size_px), rng=rng), texture="plain")


def _shown(ground: Scene, shown: Sequence[Sprite | Picture]) -> Scene:
    return replace(
        ground,
        sprites=tuple(one for one in shown if isinstance(one, Sprite)),
        pictures=tuple(one for one in shown if isinstance(one, Picture)),
    )


def _shorter(scene: Scene) -> float:
    """The shorter side in heights of the scene."""
    width, height = scene.size_wh_px
    return min(width, height) / height
