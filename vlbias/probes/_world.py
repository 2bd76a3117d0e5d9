"""The drawn world as data: what a clip shows, its scene, and what can be asked about it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vlbias.records import RGB, Scene, Sprite

_XY: TypeAlias = npt.NDArray[np.float64]
SHAPES = (
    "circle", "square", "triangle", "ring", "frame", "cross", "plus", "diamond", "funnel", "bars", "ellipse", "star",
)  # fmt: skip
COLOURS = MappingProxyType[str, RGB](
    {
        "red": (220, 30, 30),
        "green": (30, 190, 50),
        "blue": (40, 70, 235),
        "yellow": (235, 215, 30),
        "purple": (190, 50, 225),
        "cyan": (50, 215, 215),
        "white": (245, 245, 245),
        "orange": (245, 140, 30),
        "brown": (120, 60, 20),
        "pink": (250, 160, 190),
        "gray": (130, 130, 130),
        "teal": (10, 100, 70),
    }
)
MOTIONS = MappingProxyType({"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)})
SIDES = MappingProxyType({"left": (-1, 0), "right": (1, 0), "above": (0, -1), "below": (0, 1)})
DIGITS = tuple(str(digit) for digit in range(10))
COUNTS = ("one", "two", "three", "four")
ICONS = ("heart", "moon", "house", "tree", "flag", "anchor")
COMPANIONS = ("digit", "dots", "icon")
TEXTURES = ("plain", "stripes", "checks", "gradient", "speckle")

SPATIAL = "Spatial Relationship"
OCR = "Optical Character Recognition"
OBJECT = "Object Recognition/Reasoning"
ACTION = "Action Recognition/Reasoning"
ATTRIBUTE = "Attribute Perception"
COUNT = "Count Problem"
ANSWERS = MappingProxyType[str, tuple[str, ...]](
    {
        SPATIAL: tuple(SIDES),
        OCR: DIGITS,
        OBJECT: ICONS,
        ACTION: tuple(MOTIONS),
        ATTRIBUTE: tuple(COLOURS),
        COUNT: COUNTS,
    }
)
TASKS = tuple(ANSWERS)
_QUESTIONS = {
    SPATIAL: "which side of the {shape} is the digit on?",
    OCR: "which digit is with the {shape}?",
    OBJECT: "what object is with the {shape}?",
    ACTION: "which way does the {shape} move?",
    ATTRIBUTE: "what colour is the {shape}?",
    COUNT: "how many dots are with the {shape}?",
}
_COMPANION_RGB: RGB = (235, 235, 235)
_SHAPE_RADIUS, _COMPANION_RADIUS, _DOT_RADIUS, _GAP = 0.22, 0.19, 0.065, 0.45
_TRAVEL = 0.13  # sides of the frame, over the whole clip
_DOT_PLACES = {
    1: ((0.0, 0.0),),
    2: ((-0.1, 0.0), (0.1, 0.0)),
    3: ((-0.1, 0.085), (0.1, 0.085), (0.0, -0.095)),
    4: ((-0.1, -0.1), (0.1, -0.1), (-0.1, 0.1), (0.1, 0.1)),
}


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a clip shows: a coloured shape that moves, and on one side of it a digit, an icon or some dots.

    `shape` is the key by which questions name the clip. `companion` is one of COMPANIONS; `what` is the digit, the
    number of dots as a word, or the icon's name.
    """

    shape: str
    colour: str
    motion: str
    companion: str
    what: str
    side: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question about one clip with four options; `gold` is the index of the right one."""

    task: str
    text: str
    options: tuple[str, ...]
    gold: int


def contents(n: int, *, rng: np.random.Generator, companion: str | None = None) -> list[Content]:
    """`n` contents in which each value of each attribute comes up as often as any other, to within one.

    Attributes are shuffled apart from each other, so they are independent. `companion` fixes the kind of companion.
    """
    made = [_spread(n, values, rng) for values in (SHAPES, tuple(COLOURS), tuple(MOTIONS), tuple(SIDES))]
    kinds = [companion] * n if companion else _spread(n, COMPANIONS, rng)
    things = {kind: iter(_spread(kinds.count(kind), values, rng)) for kind, values in _THINGS.items()}
    return [
        Content(shape=shape, colour=colour, motion=motion, side=side, companion=kind, what=next(things[kind]))
        for shape, colour, motion, side, kind in zip(*made, kinds, strict=True)
    ]


def backgrounds(content: Content, *, n: int, rng: np.random.Generator) -> list[Content]:
    """`n` contents that may surround `content`: no two of the trial share a shape, all else is drawn independently.

    So the backgrounds tell nothing of the right answer. ValueError when there are not `n` other shapes.
    """
    others = [shape for shape in SHAPES if shape != content.shape]
    if n > len(others):
        raise ValueError(f"{n} backgrounds need {n} other shapes, there are {len(others)}")
    return [_drawn(str(shape), rng) for shape in rng.permutation(others)[:n]]


def questions(content: Content, *, rng: np.random.Generator) -> list[Question]:
    """All questions that the content answers, each with four options in an order of chance.

    Distractors are drawn evenly from the task's other answers, without a look at any background.
    """
    return [_question(content, task, rng) for task in truths(content)]


def truths(content: Content) -> dict[str, str]:
    """The right answer of every task that can be asked about the content."""
    right = {ATTRIBUTE: content.colour, ACTION: content.motion}
    if content.companion == "digit":
        return right | {OCR: content.what, SPATIAL: content.side}
    return right | {OBJECT if content.companion == "icon" else COUNT: content.what}


def question_text(task: str, shape: str) -> str:
    """The question of a task about the clip that shows `shape`."""
    return _QUESTIONS[task].format(shape=shape)


def scene(
    content: Content, *, size_wh_px: tuple[int, int], duration_s: float, fps: float, rng: np.random.Generator
) -> Scene:
    """The content as a scene; place, texture, darkness and grain are of chance and tell nothing."""
    side = np.array(SIDES[content.side])
    middle = 0.5 + rng.uniform(-0.02, 0.02, 2)
    shape_xy, companion_xy = middle - side * _GAP / 2, middle + side * _GAP / 2
    velocity = np.array(MOTIONS[content.motion]) * _TRAVEL * rng.uniform(0.8, 1.1) / duration_s
    velocity_xy = (float(velocity[0]), float(velocity[1]))
    shape = Sprite(
        form=content.shape,
        colour_rgb=COLOURS[content.colour],
        centre_xy=_pair(shape_xy),
        radius=_SHAPE_RADIUS * float(rng.uniform(0.92, 1.08)),
        velocity_xy=velocity_xy,
    )
    return Scene(
        sprites=(shape, *_companions(content, companion_xy, velocity_xy)),
        backdrop_rgb=_gray(int(rng.integers(8, 48))),
        texture=TEXTURES[int(rng.integers(len(TEXTURES)))],
        duration_s=duration_s,
        fps=fps,
        size_wh_px=size_wh_px,
        seed=int(rng.integers(2**31)),
    )


_THINGS = {"digit": DIGITS, "dots": COUNTS, "icon": ICONS}


def _spread(n: int, values: tuple[str, ...], rng: np.random.Generator) -> list[str]:
    """`n` values in an order of chance, each as often as any other to within one."""
    rounds = [rng.permutation(values) for _ in range(-(-n // len(values)))]
    return [str(v) for v in rng.permutation(np.concatenate(rounds)[:n])] if rounds else []


def _drawn(shape: str, rng: np.random.Generator) -> Content:
    def pick(values: tuple[str, ...]) -> str:
        return values[int(rng.integers(len(values)))]

    kind = pick(COMPANIONS)
    colour, motion, side = pick(tuple(COLOURS)), pick(tuple(MOTIONS)), pick(tuple(SIDES))
    return Content(shape=shape, colour=colour, motion=motion, side=side, companion=kind, what=pick(_THINGS[kind]))


def _question(content: Content, task: str, rng: np.random.Generator) -> Question:
    right = truths(content)[task]
    wrong = rng.permutation([answer for answer in ANSWERS[task] if answer != right])[:3]
    options = tuple(str(answer) for answer in rng.permutation([right, *wrong]))
    return Question(task=task, text=question_text(task, content.shape), options=options, gold=options.index(right))


def _companions(content: Content, centre: _XY, velocity_xy: tuple[float, float]) -> tuple[Sprite, ...]:
    if content.companion != "dots":
        forms, radius, places = content.what, _COMPANION_RADIUS, _DOT_PLACES[1]
    else:
        forms, radius, places = "dot", _DOT_RADIUS, _DOT_PLACES[COUNTS.index(content.what) + 1]
    return tuple(
        Sprite(
            form=forms,
            colour_rgb=_COMPANION_RGB,
            centre_xy=(float(centre[0] + x), float(centre[1] + y)),
            radius=radius,
            velocity_xy=velocity_xy,
        )
        for x, y in places
    )


def _pair(xy: _XY) -> tuple[float, float]:
    return float(xy[0]), float(xy[1])


def _gray(level: int) -> RGB:
    return level, level, level
