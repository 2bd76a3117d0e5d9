"""Images of two things, one left of, right of, above or below the other, and of someone who looks up or down."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vlbias.probes._cells import Grid, still
from vlbias.probes._statements import Relation
from vlbias.probes._world import COLOURS, SHAPES
from vlbias.records import Scene, Sprite

AWAY = {"left": (-1, 0), "right": (1, 0), "above": (0, -1), "below": (0, 1)}
# Whoever stands at a tip up sees the image's left on the left; at a tip down it is the other way round.
TIPS = {"up": "triangle", "down": "funnel"}
RADIUS, REACH, WANDER, SLANT = 0.1, (0.4, 0.6), 0.12, 0.06


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two looks that share neither shape nor colour, and the middle, distance and slant of all their images."""

    name: str
    first: tuple[str, str]
    second: tuple[str, str]
    middle_xy: tuple[float, float]
    reach: float
    slant: float
    ground: Scene

    def words(self, which: int) -> str:
        """As `red ring`."""
        shape, colour = (self.first, self.second)[which]
        return f"{colour} {shape}"

    def scene(self, relation: Relation, *, mirror: bool = False) -> Scene:
        """The first thing in the relation to the second; `mirror` exchanges the image's left and right."""
        x, y = AWAY[relation]
        step = np.array([x * self.reach + abs(y) * self.slant, y * self.reach + abs(x) * self.slant]) / 2
        return self._placed(_sprite(*self.first), _sprite(*self.second), step, mirror=mirror)

    def looking(self, facing: str, side: Relation, *, colour: str) -> Scene:
        """A tip that faces up or down, and the first thing on its left or right in the image."""
        step = np.array([AWAY[side][0] * self.reach, self.slant]) / 2
        return self._placed(_sprite(*self.first), _sprite(TIPS[facing], colour), step, mirror=False)

    def _placed(self, first: Sprite, second: Sprite, step_xy: npt.NDArray[np.float64], *, mirror: bool) -> Scene:
        at = [np.array(self.middle_xy) + step_xy, np.array(self.middle_xy) - step_xy]
        if mirror:
            at = [np.array([1 - x, y]) for x, y in at]
        sprites = [replace(s, centre_xy=(float(p[0]), float(p[1]))) for s, p in zip((first, second), at, strict=True)]
        return replace(self.ground, sprites=tuple(sprites))


def pairs(n: int, *, size_px: tuple[int, int], rng: np.random.Generator) -> list[Pair]:
    """`n` pairs; looks, places, distances and grounds are of chance. No look is a tip, which could be mistaken."""
    shapes = [s for s in SHAPES if s not in TIPS.values()]
    found = []
    for k in range(n):
        one, two = (str(s) for s in rng.choice(shapes, 2, replace=False))
        red, blue = (str(c) for c in rng.choice(list(COLOURS), 2, replace=False))
        # A texture would not be mirrored with the things.
        ground = replace(still((), Grid(rows=1, columns=1, size_px=size_px), rng=rng), texture="plain")
        found.append(
            Pair(
                name=f"pair-{k:04d}",
                first=(one, red),
                second=(two, blue),
                middle_xy=(0.5 + float(rng.uniform(-WANDER, WANDER)), 0.5 + float(rng.uniform(-WANDER, WANDER))),
                reach=float(rng.uniform(*REACH)),
                slant=float(rng.uniform(-SLANT, SLANT)),
                ground=ground,
            )
        )
    return found


def _sprite(shape: str, colour: str) -> Sprite:
    return Sprite(form=shape, colour_rgb=COLOURS[colour], centre_xy=(0.5, 0.5), radius=RADIUS)
