"""Measures what a detector organism finds in each cell, on fresh images, through the adapter that any run uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vlbias.models import detector
from vlbias.organisms.detector_images import LOOKS, NAMES, SIDE, Drawn, drawn
from vlbias.probes._world import COLOURS
from vlbias.records import Fault, Frames, Part, Probe, Prompt, Segment, Trial

OVERLAP = 0.5


@dataclass(frozen=True, kw_only=True)
class Truth:
    """How often the best box of a thing overlaps it by half, per cell of 3 x 3, from `n` trials per cell.

    `false` is how often a thing that is not there, of the shape of one that is, has a box above the threshold; it is
    asked once per image, `n_false` times.
    """

    found: tuple[float, ...]
    n: tuple[int, ...]
    false: float
    n_false: int
    threshold: float
    seed: int


def truth(folder: Path, *, trials: int, seed: int, threshold: float = 0.1, n_images: int = 64) -> Truth:
    """What the detector in `folder` finds of at least `trials` things, in fresh images, `n_images` at once."""
    rng = np.random.default_rng(seed)
    model = detector.load(pretrained=str(folder), threshold=threshold)
    hits, counts, false, n_false = np.zeros(SIDE**2), np.zeros(SIDE**2, dtype=int), 0, 0
    while counts.sum() < trials or not counts.all():
        images = [drawn(rng=rng) for _ in range(n_images)]
        for one, asked in zip(images, _asked(model, images, rng=rng), strict=True):
            for cell, box, best in zip(one.cells, one.boxes_xyxy, asked[:-1], strict=True):
                counts[cell] += 1
                hits[cell] += best is not None and overlap(best, box) >= OVERLAP
            false += asked[-1] is not None
            n_false += 1
    return Truth(
        found=tuple((hits / counts).tolist()),
        n=tuple(int(c) for c in counts),
        false=false / n_false,
        n_false=n_false,
        threshold=threshold,
        seed=seed,
    )


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The intersection of two boxes (xyxy) over their union.

    >>> overlap((0, 0, 2, 1), (1, 0, 2, 1))
    0.5
    """
    near, far = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.clip(far - near, 0, None).prod())
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return shared / (sum(areas) - shared)


def foil(one: Drawn, *, rng: np.random.Generator) -> str:
    """A thing that is not in an image: the shape of its first thing in a colour that no thing there has."""
    there = [LOOKS[look] for look in one.looks]
    colours = [c for c in COLOURS if c not in {colour for _, colour in there}]
    return f"{colours[int(rng.integers(len(colours)))]} {there[0][0]}"


def _asked(
    model: detector.DetectorModel, images: list[Drawn], *, rng: np.random.Generator
) -> Iterator[list[tuple[float, ...] | None]]:
    """For each image the best box of each of its things and of a foil; None where there is none."""
    things = [[*(NAMES[look] for look in one.looks), foil(one, rng=rng)] for one in images]
    prompts = [_prompt(one, thing) for one, names in zip(images, things, strict=True) for thing in names]
    replies = iter(model.generate(prompts, max_new_tokens=1))
    for names in things:
        given = [next(replies) for _ in names]
        boxes: list[tuple[float, ...] | None] = []
        for reply in given:
            assert not isinstance(reply, Fault), reply
            boxes.append(reply.detections[0].box_xyxy if reply.detections else None)
        yield boxes


def _prompt(one: Drawn, thing: str) -> Prompt:
    segment = Segment(segment_id="image", kind="image", path="drawn")
    probe = Probe(
        probe_id=thing,
        task="find",
        question=thing,
        options=(),
        gold=None,
        evidence=segment,
        backgrounds=(),
        cluster_id=thing,
        thing=thing,
    )
    trial = Trial(trial_id=thing, probe=probe, slot=0, n_slots=1, segments=(segment,), option_order=())
    frames = Frames(
        frames_THWC=one.pixels_HWC[None],
        timestamps_s=(0.0,),
        asked_s=(0.0,),
        sha256="",
        decoder="drawn",
        decoder_version="1",
    )
    return Prompt(trial_id=thing, parts=(Part(place=0, kind="image", frames=frames),), options=(), trial=trial)
