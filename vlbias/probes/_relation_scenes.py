"""Images of two things, one left of, right of, above or below the other, and of someone who looks up or down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vlbias.errors import BadSuite
from vlbias.probes._cells import Grid, framed, still
from vlbias.probes._pictures import Thing, apart
from vlbias.probes._statements import Relation
from vlbias.probes._world import COLOURS, SHAPES
from vlbias.records import Picture, Scene, Sprite

AWAY = {"left": (-1, 0), "right": (1, 0), "above": (0, -1), "below": (0, 1)}
# Whoever stands at a tip up sees the image's left on the left; at a tip down it is the other way round.
TIPS = {"up": "triangle", "down": "funnel"}
RADIUS, REACH, WANDER, SLANT = 0.1, (0.4, 0.6), 0.12, 0.06


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two things, and the middle, distance and slant of all their images; looks share neither shape nor colour."""

    name: str
    first: Thing
    second: Thing
    middle_xy: tuple[float, float]
    reach: float
    slant: float
    ground: Scene

    def words(self, which: int) -> str:
        """As `red ring`, or `picture of a mug`."""
        thing = (self.first, self.second)[which]
        return thing.caption if thing.look else f"picture of {thing.caption}"

    @property
    def free_colour(self) -> str:
        """A colour that neither look has."""
        taken = [thing.look[1] for thing in (self.first, self.second) if thing.look]
        return next(colour for colour in COLOURS if colour not in taken)

    def scene(self, relation: Relation, *, mirror: bool = False) -> Scene:
        """The first thing in the relation to the second; `mirror` exchanges the image's left and right."""
        x, y = AWAY[relation]
        step = np.array([x * self.reach + abs(y) * self.slant, y * self.reach + abs(x) * self.slant]) / 2
        return self._placed((self.first, self.second), step, mirror=mirror)

    def looking(self, facing: str, side: Relation, *, colour: str) -> Scene:
        """A tip that faces up or down, and the first thing on its left or right in the image."""
        step = np.array([AWAY[side][0] * self.reach, self.slant]) / 2
        tip = Thing(name=facing, caption=f"{colour} tip", cluster_id=self.name, look=(TIPS[facing], colour))
        return self._placed((self.first, tip), step, mirror=False)

    def _placed(self, things: tuple[Thing, Thing], step_xy: npt.NDArray[np.float64], *, mirror: bool) -> Scene:
        at = [np.array(self.middle_xy) + step_xy, np.array(self.middle_xy) - step_xy]
        if mirror:
            at = [np.array([1 - x, y]) for x, y in at]
        shown = [self._shown(t, (float(p[0]), float(p[1])), mirror=mirror) for t, p in zip(things, at, strict=True)]
        return replace(
            self.ground,
            sprites=tuple(one for one in shown if isinstance(one, Sprite)),
            pictures=tuple(one for one in shown if isinstance(one, Picture)),
        )

    def _shown(self, thing: Thing, at_xy: tuple[float, float], *, mirror: bool) -> Sprite | Picture:
        """A drawn look as it is, a picture mirrored with its image."""
        if thing.look:
            shape, colour = thing.look
            return Sprite(form=shape, colour_rgb=COLOURS[colour], centre_xy=at_xy, radius=RADIUS)
        width, height = size_px = self.ground.size_wh_px
        side_px = picture_px(size_px)
        left_top_px = round(at_xy[0] * width) - side_px // 2, round(at_xy[1] * height) - side_px // 2
        picture = framed(*thing.file, left_top_px=left_top_px, side_px=side_px, size_px=size_px)
        return replace(picture, mirrored=mirror)


def picture_px(size_px: tuple[int, int]) -> int:
    """The side of the square in which a picture stands, in whole, even pixels; it never leaves the image."""
    return 2 * (int((0.5 - WANDER - REACH[1] / 2) * min(size_px)) - 1)  # less what rounding may add


def own_pairs(things: Sequence[Thing], *, size_px: tuple[int, int], rng: np.random.Generator) -> list[Pair]:
    """A pair for each picture, with another of chance, of another cluster and with words of its own, beside it."""
    found = []
    for thing in things:
        mixed = (things[int(k)] for k in rng.permutation(len(things)))
        fit = (t for t in mixed if t.cluster_id != thing.cluster_id and apart(thing.caption, t.caption))
        other = next(fit, None)
        if other is None:
            raise BadSuite(
                f"{thing.name}: found no picture to stand beside it among {len(things) - 1}; it needs one of another "
                "cluster, and captions of which neither holds the other"
            )
        ground = _ground(size_px, rng=rng)
        found.append(_pair(thing.name, thing, other, ground, rng=rng))
    return found


def pairs(n: int, *, size_px: tuple[int, int], rng: np.random.Generator) -> list[Pair]:
    """`n` pairs; looks, places, distances and grounds are of chance. No look is a tip, which could be mistaken."""
    shapes = [s for s in SHAPES if s not in TIPS.values()]
    found = []
    for k in range(n):
        one, two = (str(s) for s in rng.choice(shapes, 2, replace=False))
        red, blue = (str(c) for c in rng.choice(list(COLOURS), 2, replace=False))
        ground = _ground(size_px, rng=rng)
        looks = [
            Thing(
                name=f"{colour} {shape}", caption=f"{colour} {shape}", cluster_id=f"pair-{k:04d}", look=(shape, colour)
            )
            for shape, colour in ((one, red), (two, blue))
        ]
        found.append(_pair(f"pair-{k:04d}", looks[0], looks[1], ground, rng=rng))
    return found


def _ground(size_px: tuple[int, int], *, rng: np.random.Generator) -> Scene:
    """A plain ground: a texture would not be mirrored with the things."""
    return replace(still((), Grid(rows=1, columns=1, size_px=size_px), rng=rng), texture="plain")


def _pair(name: str, first: Thing, second: Thing, ground: Scene, *, rng: np.random.Generator) -> Pair:
    return Pair(
        name=name,
        first=first,
        second=second,
        middle_xy=(0.5 + float(rng.uniform(-WANDER, WANDER)), 0.5 + float(rng.uniform(-WANDER, WANDER))),
        reach=float(rng.uniform(*REACH)),
        slant=float(rng.uniform(-SLANT, SLANT)),
        ground=ground,
    )
