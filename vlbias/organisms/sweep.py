"""Asks an organism the trials of a suite in batches: each segment is filmed, decoded and seen once.

A run asks the same prompts through the adapter of real models, one trial after the other. Here trials over the same
segments are questions in one row that do not see each other, which the tests of training hold to the same numbers; a
thousand probes take a minute and not ten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vlbias.organisms import architecture, world
from vlbias.organisms.architecture import family_of
from vlbias.organisms.pool import Pool, pixels, pool_of
from vlbias.organisms.train import predict, taken_over
from vlbias.organisms.verify import levels
from vlbias.probes._world import Content
from vlbias.records import FramesTHWC, Segment, Trial
from vlbias.videos import decode_av, draw, sampling

_ROWS = 40


@dataclass(frozen=True, kw_only=True, eq=False)
class Films:
    """Clips as a decoder gives them back: `frames_CTHWC[k]` are the two frames of the segment `names[k]`."""

    names: tuple[str, ...]
    frames_CTHWC: FramesTHWC


def filmed(trials: Sequence[Trial], *, scratch: Path, log: Callable[[str], None]) -> Films:
    """Every drawn segment of the trials, filmed into `scratch` and decoded again."""
    segments = {segment.segment_id: segment for trial in trials for segment in trial.segments}
    frames = []
    for k, segment in enumerate(segments.values(), start=1):
        frames.append(_frames(segment, scratch=scratch))
        if k % 100 == 0:
            log(f"filmed {k} of {len(segments)} clips")
    return Films(names=tuple(segments), frames_CTHWC=np.stack(frames))


@torch.no_grad()
def logprobs(folder: Path, trials: Sequence[Trial], films: Films) -> list[tuple[float, ...]]:
    """The log-probability of each option of each trial, in displayed order, normalised over them.

    The question is asked without options, as in the style `cloze`.
    """
    organism = taken_over(folder).eval()
    family = family_of(organism)
    processor = family.processor().video_processor
    levels_CX = np.stack([levels(frames_THWC, processor) for frames_THWC in films.frames_CTHWC])
    clips = pool_of((_UNKNOWN,) * len(films.names), torch.from_numpy(levels_CX), family)
    everything = np.arange(len(films.names))
    parts = np.array_split(everything, min(8, len(everything)))
    seen_CPH = torch.cat([family.see(organism, pixels(clips, part, None)) for part in parts])
    places = {name: k for k, name in enumerate(films.names)}
    shown = sorted(range(len(trials)), key=lambda k: _order(trials[k], places))
    rows = [list(group) for _, group in groupby(shown, key=lambda k: _order(trials[k], places))]
    found: dict[int, tuple[float, ...]] = {}
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        said = _said(organism, clips, seen_CPH, [[trials[k] for k in row] for row in part], places)
        found |= dict(zip([k for row in part for k in row], said, strict=True))
    return [found[k] for k in range(len(trials))]


# What these clips show is not known here, and nobody asks.
_UNKNOWN = Content(shape="", colour="", motion="", companion="", what="", side="")


def _order(trial: Trial, places: dict[str, int]) -> tuple[int, ...]:
    return tuple(places[segment.segment_id] for segment in trial.segments)


def _said(
    organism: object, clips: Pool, seen_CPH: torch.Tensor, rows: list[list[Trial]], places: dict[str, int]
) -> list[tuple[float, ...]]:
    words = architecture.vocabulary()
    lines = [
        [[*(words[w] for w in architecture.split(t.probe.question)), words[architecture.ANSWER]] for t in row]
        for row in rows
    ]
    chosen: npt.NDArray[np.int64] = np.array([_order(row[0], places) for row in rows])
    logits_KV = predict(organism, world.asked_once(clips, lines, chosen), seen_CPH).double().cpu()
    asked = [trial for row in rows for trial in row]
    return [
        tuple(logits_V[[words[option] for option in trial.options]].log_softmax(-1).tolist())
        for trial, logits_V in zip(asked, logits_KV, strict=True)
    ]


def _frames(segment: Segment, *, scratch: Path) -> FramesTHWC:
    (drawn,) = segment.scenes
    path = draw.film([drawn], folder=scratch)
    times_s = sampling.timestamps(start_s=0.0, end_s=drawn.duration_s, count=architecture.FRAMES, rule="midpoints")
    frames_THWC, _ = decode_av.frames(path, times_s)
    path.unlink()
    return frames_THWC
