"""A pool of drawn clips or images, from which probes take evidence and what stands around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vlbias.probes._drawn import DrawnSource
from vlbias.probes._world import ACTION, ANSWERS, SHAPES, Content, contents, question_text, scene, truths
from vlbias.records import Segment

Medium = Literal["clip", "image"]
N_OPTIONS = 4


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """`segments[k]` shows `contents[k]`; `pools` holds the places of each shape."""

    contents: tuple[Content, ...]
    segments: tuple[Segment, ...]
    pools: dict[str, tuple[int, ...]]

    def around(self, shape: str, *, n: int, rng: np.random.Generator) -> list[int]:
        """One place of each of `n` shapes other than `shape`, in an order of chance."""
        others = [str(other) for other in rng.permutation([s for s in SHAPES if s != shape])[:n]]
        return [self.pools[other][int(rng.integers(len(self.pools[other])))] for other in others]


def gallery(source: DrawnSource, *, medium: Medium, rng: np.random.Generator) -> Gallery:
    """`source.clips` segments in which every attribute is spread evenly and independently of the others."""
    made = contents(source.clips, rng=rng)
    shown = tuple(
        drawn_segment(content, source, name=f"{medium}-{k:04d}", medium=medium, rng=rng)
        for k, content in enumerate(made)
    )
    pools = {shape: tuple(k for k, content in enumerate(made) if content.shape == shape) for shape in SHAPES}
    return Gallery(contents=tuple(made), segments=shown, pools=pools)


def drawn_segment(
    content: Content, source: DrawnSource, *, name: str, medium: Medium, rng: np.random.Generator
) -> Segment:
    """The content as a clip, or as one image of it."""
    drawn = scene(content, size_wh_px=source.size_px, duration_s=source.duration_s, fps=source.fps, rng=rng)
    return Segment(segment_id=name, kind=medium, scenes=(drawn,))


def askable(content: Content, *, medium: Medium) -> tuple[str, ...]:
    """The tasks that can be asked about the content; an image shows no motion."""
    return tuple(task for task in truths(content) if medium == "clip" or task != ACTION)


def asked_of(content: Content, task: str) -> str:
    """The question of a task about the content, as it stands in a prompt."""
    return question_text(task, content.shape)


def options_with(task: str, fixed: Sequence[str], *, rng: np.random.Generator, n: int = N_OPTIONS) -> tuple[str, ...]:
    """`n` answers of a task that hold the `fixed` ones, in an order of chance."""
    rest = rng.permutation([answer for answer in ANSWERS[task] if answer not in fixed])[: n - len(fixed)]
    return tuple(str(answer) for answer in rng.permutation([*fixed, *rest]))
