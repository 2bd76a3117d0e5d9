"""Draws pairs of segments that contradict each other about one question, and what stands around them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from vlbias.probes._drawn import DrawnSource, passage, spread_tasks
from vlbias.probes._gallery import Gallery, Medium, askable, asked_of, drawn_segment, gallery, options_with
from vlbias.probes._world import ANSWERS, COLOURS, COUNTS, DIGITS, ICONS, MOTIONS, SIDES, TASKS, Content, truths
from vlbias.records import Probe, Segment

RivalMedium = Literal["clip", "image", "text"]
_THINGS = {"digit": DIGITS, "dots": COUNTS, "icon": ICONS}


def draw_rivals(source: DrawnSource, *, segments: int, evidence: Medium, rival: RivalMedium) -> list[Probe]:
    """Probes of two segments that show one shape and differ in what is asked; the same for the same seed.

    The rival is the first background. It has the evidence's shape and kind of companion and another answer to the
    question; all its other attributes are drawn evenly and independently. The options hold both answers. The other
    `segments - 2` backgrounds show other shapes. A cluster is one clip of evidence.
    """
    of_pool, of_tasks, of_rivals, of_backgrounds = (
        np.random.default_rng(s) for s in np.random.SeedSequence(source.seed).spawn(4)
    )
    pool = gallery(source, medium=evidence, rng=of_pool)
    # Where one of the two is no film, neither may be asked about motion.
    medium: Medium = "image" if "image" in (evidence, rival) else "clip"
    offers = [askable(content, medium=medium) for content in pool.contents]
    chosen = spread_tasks(offers, count=source.questions_per_clip, rng=of_tasks)
    probes = []
    for k, tasks in enumerate(chosen):
        for number, task in enumerate(tasks):
            around = [pool.segments[j] for j in pool.around(pool.contents[k].shape, n=segments - 2, rng=of_backgrounds)]
            name = f"{pool.segments[k].segment_id}-{number}"
            probes.append(_probe(pool, k, task, name=name, around=around, source=source, rival=rival, rng=of_rivals))
    return probes


def contradiction(content: Content, task: str, *, rng: np.random.Generator) -> Content:
    """A content of the same shape and kind of companion with another answer to the task, all else of chance."""
    values = {
        "colour": _pick(tuple(COLOURS), rng),
        "motion": _pick(tuple(MOTIONS), rng),
        "side": _pick(tuple(SIDES), rng),
        "what": _pick(_THINGS[content.companion], rng),
    }
    right = truths(content)[task]
    values[_FIELD[task]] = _pick(tuple(answer for answer in ANSWERS[task] if answer != right), rng)
    return replace(content, **values)


def _probe(
    pool: Gallery,
    k: int,
    task: str,
    *,
    name: str,
    around: list[Segment],
    source: DrawnSource,
    rival: RivalMedium,
    rng: np.random.Generator,
) -> Probe:
    content = pool.contents[k]
    other = contradiction(content, task, rng=rng)
    if rival == "text":
        against = Segment(segment_id=f"rival-{name}", kind="text", text=passage(other))
    else:
        against = drawn_segment(other, source, name=f"rival-{name}", medium=rival, rng=rng)
    right, wrong = truths(content)[task], truths(other)[task]
    options = options_with(task, (right, wrong), rng=rng)
    return Probe(
        probe_id=name,
        task=task,
        question=asked_of(content, task),
        options=options,
        gold=options.index(right),
        rival_gold=options.index(wrong),
        evidence=pool.segments[k],
        backgrounds=(against, *around),
        cluster_id=pool.segments[k].segment_id,
    )


def _pick(values: tuple[str, ...], rng: np.random.Generator) -> str:
    return values[int(rng.integers(len(values)))]


# TASKS stands in the order spatial, reading, object, action, attribute, count.
_FIELD = dict(zip(TASKS, ("side", "what", "what", "motion", "colour", "what"), strict=True))
