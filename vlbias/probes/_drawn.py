"""Draws a suite from the world of shapes: any number of probes, on demand, without a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from vlbias.probes._choices import Pixels, Strict
from vlbias.probes._contexts import Context, Given, cuts, surround
from vlbias.probes._world import (
    ANSWERS,
    COLOURS,
    COMPANIONS,
    COUNT,
    MOTIONS,
    OBJECT,
    OCR,
    SHAPES,
    SIDES,
    Content,
    questions,
    scene,
    truths,
)
from vlbias.records import Probe, Scene, Segment

_THINGS = {"digit": ANSWERS[OCR], "icon": ANSWERS[OBJECT], "dots": ANSWERS[COUNT]}
_SHORT_SHARE = 1 / 3
MOST_SEGMENTS = len(SHAPES)


class DrawnSource(Strict):
    """How many clips to draw, from which seed, and how long, big and fast they are; a clip has 2 to 4 questions.

    With 2 questions per clip and `clips` a multiple of 3, every task has equally many probes.
    """

    clips: Annotated[int, Field(ge=24, le=100_000)]
    seed: Annotated[int, Field(ge=0)] = 0
    size_px: tuple[Pixels, Pixels] = (112, 112)
    duration_s: Annotated[float, Field(gt=0, le=600)] = 2.0
    fps: Annotated[float, Field(gt=0, le=120)] = 8.0
    questions_per_clip: Annotated[int, Field(ge=2, le=4)] = 2


def draw(source: DrawnSource, *, segments: int, context: Context) -> list[Probe]:
    """The probes of a drawn suite, the same for the same seed; a cluster is one clip of evidence.

    No two segments of a trial show the same shape. Apart from the shape, every attribute of every clip is drawn
    independently and evenly, so backgrounds tell nothing of the right answer: who sees only them is at exact chance.
    """
    streams = np.random.SeedSequence(source.seed).spawn(4)
    of_contents, of_scenes, of_questions, of_backgrounds = (np.random.default_rng(s) for s in streams)
    contents = _contents(source.clips, rng=of_contents)
    clips = [
        Segment(segment_id=f"clip-{k:04d}", scenes=(_scene(content, source, rng=of_scenes),))
        for k, content in enumerate(contents)
    ]
    chosen = spread_tasks([truths(c) for c in contents], count=source.questions_per_clip, rng=of_questions)
    pools = {shape: [k for k, content in enumerate(contents) if content.shape == shape] for shape in SHAPES}
    probes = []
    for k, (content, clip) in enumerate(zip(contents, clips, strict=True)):
        around = [(contents[j], clips[j]) for j in _around(content.shape, pools, n=segments - 1, rng=of_backgrounds)]
        backgrounds = _backgrounds(context, around, index=k, n=segments - 1, source=source)
        for question in questions(content, rng=of_questions):
            if question.task in chosen[k]:
                probes.append(
                    Probe(
                        probe_id=f"{clip.segment_id}-{chosen[k].index(question.task)}",
                        task=question.task,
                        question=question.text,
                        options=question.options,
                        gold=question.gold,
                        evidence=clip,
                        backgrounds=backgrounds,
                        cluster_id=clip.segment_id,
                    )
                )
    return probes


def _contents(n: int, *, rng: np.random.Generator) -> list[Content]:
    """Shapes and kinds of companion evenly spread, all else drawn evenly and independently for each clip."""
    shapes = [SHAPES[k % len(SHAPES)] for k in range(n)]
    kinds = [COMPANIONS[int(k) % len(COMPANIONS)] for k in rng.permutation(n)]

    def pick(values: Sequence[str]) -> str:
        return values[int(rng.integers(len(values)))]

    made = [
        Content(
            shape=shape,
            colour=pick(tuple(COLOURS)),
            motion=pick(tuple(MOTIONS)),
            companion=kind,
            what=pick(_THINGS[kind]),
            side=pick(tuple(SIDES)),
        )
        for shape, kind in zip(shapes, kinds, strict=True)
    ]
    return [made[int(k)] for k in rng.permutation(n)]


def _scene(
    content: Content, source: DrawnSource, *, rng: np.random.Generator, duration_s: float | None = None
) -> Scene:
    return scene(
        content, size_wh_px=source.size_px, duration_s=duration_s or source.duration_s, fps=source.fps, rng=rng
    )


def spread_tasks(offers: Sequence[Collection[str]], *, count: int, rng: np.random.Generator) -> list[tuple[str, ...]]:
    """`count` tasks of those that each clip offers: first those that few offer, then those asked least so far."""
    offered = Counter(task for offer in offers for task in offer)
    asked: Counter[str] = Counter()
    chosen = []
    for offer in offers:
        able = [str(task) for task in rng.permutation(sorted(offer))]
        able.sort(key=lambda task: (offered[task] >= len(offers), asked[task]))
        chosen.append(tuple(able[:count]))
        asked.update(able[:count])
    return chosen


def _around(own_shape: str, pools: Mapping[str, Sequence[int]], *, n: int, rng: np.random.Generator) -> list[int]:
    """One clip of each of `n` other shapes, or of all other shapes where these are fewer."""
    shapes = rng.permutation([shape for shape in SHAPES if shape != own_shape])[:n]
    return [pools[str(shape)][int(rng.integers(len(pools[str(shape)])))] for shape in shapes]


def _backgrounds(
    context: Context,
    around: Sequence[tuple[Content, Segment]],
    *,
    index: int,
    n: int,
    source: DrawnSource,
) -> tuple[Segment, ...]:
    clips = [clip for _, clip in around]
    if context == "long":
        scenes = tuple(clip.scenes[0] for clip in clips)
        return cuts(None, name=f"long-{index:04d}", n=n, film_s=n * source.duration_s, scenes=scenes)
    if context == "short":
        film_s = n * source.duration_s * _SHORT_SHARE
        rng = np.random.default_rng([source.seed, index])
        return cuts(
            None,
            name=f"short-{index:04d}",
            n=n,
            film_s=film_s,
            scenes=(_scene(around[0][0], source, rng=rng, duration_s=film_s),),
        )
    texts = tuple(passage(content) for content, _ in around)
    found = surround(context, clips, n=n, index=index, given=Given(passages=(texts,)), where="drawn")
    return tuple(_named(segment, index) for segment in found)


def _named(segment: Segment, index: int) -> Segment:
    if segment.kind != "text":
        return segment
    return Segment(segment_id=f"{segment.segment_id}-{index:04d}", kind="text", text=segment.text)


def passage(content: Content) -> str:
    """What a clip shows, in the words of the questions."""
    thing = f"{content.what} dots are" if content.companion == "dots" else f"the {content.companion} {content.what} is"
    side = content.side if content.side in ("above", "below") else f"to the {content.side} of"
    return f"the {content.shape} is {content.colour}. it moves {content.motion}. {thing} {side} the {content.shape}."
