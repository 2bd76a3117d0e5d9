"""Draws sets of images of which one is asked for or asked about, with distractors that are easy or adversarial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from vlbias.probes._drawn import DrawnSource, spread_tasks
from vlbias.probes._gallery import drawn_segment, options_with
from vlbias.probes._world import ACTION as MOTION
from vlbias.probes._world import ATTRIBUTE, COLOURS, SHAPES, Content, backgrounds, contents, question_text, truths
from vlbias.records import Probe, Segment

Asks = Literal["index", "content"]
Distractors = Literal["easy", "adversarial"]
RETRIEVAL = "Image Retrieval"
MOST_IMAGES = len(SHAPES)


def draw_albums(
    source: DrawnSource, *, images: int, asks: Sequence[Asks], distractors: Sequence[Distractors]
) -> list[Probe]:
    """Probes about one image among `images`, which its colour and shape name; a cluster is one such image.

    An easy distractor shares neither colour nor shape with it; of the adversarial ones the odd share the colour and
    the even the shape. All else is drawn evenly and independently. An index probe has the images as its options, the
    right one first; its gold is 0.
    """
    of_contents, of_tasks, of_others, of_scenes, of_options = (
        np.random.default_rng(s) for s in np.random.SeedSequence(source.seed).spawn(5)
    )
    made = contents(source.clips, rng=of_contents)
    offers = [tuple(t for t in truths(content) if t not in (ATTRIBUTE, MOTION)) for content in made]
    tasks = spread_tasks(offers, count=1, rng=of_tasks)
    probes = []
    for k, (content, (task,)) in enumerate(zip(made, tasks, strict=True)):
        name = f"image-{k:04d}"
        evidence = drawn_segment(content, source, name=name, medium="image", rng=of_scenes)
        for kind in distractors:
            others = _distractors(content, n=images - 1, kind=kind, rng=of_others)
            around = tuple(
                drawn_segment(other, source, name=f"{name}-{kind}-{j:02d}", medium="image", rng=of_scenes)
                for j, other in enumerate(others)
            )
            for asked in asks:
                named = f"{name}-{kind}-{asked}"
                probes.append(
                    _retrieval(content, evidence, around, name=named)
                    if asked == "index"
                    else _content(content, task, evidence, around, name=named, rng=of_options)
                )
    return probes


def as_index(probe: Probe) -> Probe:
    """The probe with its images as the options: the evidence, which is right, and then the backgrounds."""
    names = tuple(segment.segment_id for segment in (probe.evidence, *probe.backgrounds))
    return Probe(
        probe_id=probe.probe_id,
        task=probe.task,
        question=probe.question,
        options=names,
        gold=0,
        evidence=probe.evidence,
        backgrounds=probe.backgrounds,
        cluster_id=probe.cluster_id,
    )


def _distractors(content: Content, *, n: int, kind: Distractors, rng: np.random.Generator) -> list[Content]:
    drawn = backgrounds(content, n=n, rng=rng)
    colours = [str(c) for c in rng.permutation([c for c in COLOURS if c != content.colour])]
    found = []
    for k, other in enumerate(drawn):
        same_shape, same_colour = kind == "adversarial" and k % 2 == 1, kind == "adversarial" and k % 2 == 0
        found.append(
            Content(
                shape=content.shape if same_shape else other.shape,
                colour=content.colour if same_colour else colours[k],
                motion=other.motion,
                companion=other.companion,
                what=other.what,
                side=other.side,
            )
        )
    return found


def _retrieval(content: Content, evidence: Segment, around: tuple[Segment, ...], *, name: str) -> Probe:
    question = (
        f"which image shows the {content.colour} {content.shape}? "
        f"answer with the number of the image, from 1 to {len(around) + 1}."
    )
    return as_index(
        Probe(
            probe_id=name,
            task=RETRIEVAL,
            question=question,
            options=(),
            gold=None,
            evidence=evidence,
            backgrounds=around,
            cluster_id=evidence.segment_id,
        )
    )


def _content(
    content: Content,
    task: str,
    evidence: Segment,
    around: tuple[Segment, ...],
    *,
    name: str,
    rng: np.random.Generator,
) -> Probe:
    right = truths(content)[task]
    options = options_with(task, (right,), rng=rng)
    return Probe(
        probe_id=name,
        task=task,
        question=question_text(task, f"{content.colour} {content.shape}"),
        options=options,
        gold=options.index(right),
        evidence=evidence,
        backgrounds=around,
        cluster_id=evidence.segment_id,
    )
