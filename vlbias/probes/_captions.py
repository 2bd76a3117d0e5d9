"""Draws captions of clips and images: one that is right, and others that are wrong in one thing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vlbias.probes._drawn import DrawnSource, passage
from vlbias.probes._gallery import Medium, gallery
from vlbias.probes._world import COLOURS, COUNTS, DIGITS, ICONS, MOTIONS, SIDES, Content
from vlbias.records import Probe

QUESTION = "which caption describes what is shown?"
TASK = "Caption Choice"
_THINGS = {"digit": DIGITS, "dots": COUNTS, "icon": ICONS}


def draw_captions(source: DrawnSource, *, candidates: int, medium: Medium) -> list[Probe]:
    """One probe per clip or image: which of the captions is right? The same for the same seed.

    The captions are of one form and differ from the right one in one attribute each, so neither length nor wording
    tells. A cluster is one clip.
    """
    of_pool, of_captions = (np.random.default_rng(s) for s in np.random.SeedSequence(source.seed).spawn(2))
    pool = gallery(source, medium=medium, rng=of_pool)
    probes = []
    for content, segment in zip(pool.contents, pool.segments, strict=True):
        wrong = _wrong(content, n=candidates - 1, medium=medium, rng=of_captions)
        captions = tuple(str(text) for text in of_captions.permutation([passage(c) for c in (content, *wrong)]))
        probes.append(
            Probe(
                probe_id=f"{segment.segment_id}-caption",
                task=TASK,
                question=QUESTION,
                options=captions,
                gold=captions.index(passage(content)),
                evidence=segment,
                backgrounds=(),
                cluster_id=segment.segment_id,
            )
        )
    return probes


def _wrong(content: Content, *, n: int, medium: Medium, rng: np.random.Generator) -> list[Content]:
    """`n` contents that differ from this one in one attribute, and from each other."""
    values: dict[str, tuple[str, ...]] = {
        "colour": tuple(COLOURS),
        "motion": tuple(MOTIONS) if medium == "clip" else (),
        "side": tuple(SIDES),
        "what": _THINGS[content.companion],
    }
    changes = [(name, v) for name, known in values.items() for v in known if v != getattr(content, name)]
    # First the attribute, then its new value, so that attributes with many values are not changed more often.
    names = [str(name) for name in rng.permutation(sorted({name for name, _ in changes}))]
    found: list[Content] = []
    while len(found) < n:
        name = names[len(found) % len(names)]
        left = [c for v in values[name] if (c := replace(content, **{name: v})) != content and c not in found]
        if left:
            found.append(left[int(rng.integers(len(left)))])
    return found
