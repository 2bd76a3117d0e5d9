"""PORTIA: cuts each segment into parts and lays the parts of all segments side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import at_least, needs_model, one_of, refuse_unknown, segments
from vlbias.debias._merging import merged
from vlbias.debias._scores import Floats, by_option, marked
from vlbias.errors import NotApplicable
from vlbias.records import Frames, Part, Prompt, Segment, Trial

SHAPE = "before"
Cuts = tuple[int, ...]


def load(*, k: int = 2, align: str = "time", **unknown: object) -> Portia:
    """PORTIA with `k` parts per segment, aligned by time or by similarity of the pictures."""
    refuse_unknown("portia", load, unknown)
    at_least("portia", "k", k, low=2)
    one_of("portia", "align", align, known=("time", "similarity"))
    return Portia(k=int(k), align=align)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Portia:
    """PORTIA (arXiv 2310.01432): part 1 of every segment, then part 2 of every segment, and so on, in one prompt.

    `time` cuts at near-equal numbers of frames. `similarity` cuts every other segment where its parts look most like
    the parts of the first one (cosine of mean pictures, every choice of cuts tried). We differ: frames in place of
    sentences, two or more segments, and always the aligned prompt (the published method asks it only where the two
    orders disagree). A segment of fewer frames than parts stays whole, in the first round.
    """

    k: int
    align: Literal["time", "similarity"]

    def needs(self, setting: Setting) -> None:
        """The model, frames, two segments, and a question whose answer is not a place in the order."""
        needs_model("portia", setting)
        if not setting.frames:
            raise NotApplicable("portia: not applicable: the model sees no frames, so there are none to cut")
        if segments(setting) < 2:
            raise NotApplicable("portia: not applicable: it cuts two or more segments of frames, and there is one")
        if setting.answer_is_segment:
            raise NotApplicable("portia: not applicable: the answer is a place in the order, which the cuts take away")

    def expand(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """The one prompt of interleaved parts."""
        trial = prompt.trial
        assert trial is not None
        shown = [part for part in prompt.parts if part.place is not None]
        rounds = list(self._rounds(shown, trial))
        if len(trial.segments) < 2 or len(rounds) == len(shown):
            return [prompt]
        first = next(at for at, part in enumerate(prompt.parts) if part.place is not None)
        words = [part for part in prompt.parts if part.place is None]
        n_before = sum(part.place is None for part in prompt.parts[:first])
        parts = [replace(part, place=place) for place, (part, _) in enumerate(rounds)]
        changed = marked(replace(trial, segments=tuple(s for _, s in rounds)), f"portia:{self.align} {self.k}")
        new = (*words[:n_before], *parts, *words[n_before:])
        return [replace(prompt, trial_id=changed.trial_id, parts=new, trial=changed)]

    def merge(self, trial: Trial, answers: Sequence[Answer]) -> Answer:
        """The answer to that prompt."""
        (answer,) = answers
        if answer.logprobs is None:
            return replace(answer, asked=replace(answer.asked, trial_id=trial.trial_id, factors=trial.factors))
        return merged(trial, answers, by_option(answer))

    def _rounds(self, shown: Sequence[Part], trial: Trial) -> Iterator[tuple[Part, Segment]]:
        cut = [self._cut(part, shown[0]) for part in shown]
        for number in range(self.k):
            for part, pieces in zip(shown, cut):
                assert part.place is not None
                if number < len(pieces):
                    segment = trial.segments[part.place]
                    name = f"{segment.segment_id}#{number + 1}"
                    yield replace(part, frames=pieces[number]), replace(segment, segment_id=name)

    def _cut(self, part: Part, first: Part) -> list[Frames | None]:
        frames = part.frames
        if frames is None or len(frames.frames_THWC) < self.k:
            return [frames]
        n = len(frames.frames_THWC)
        cuts = equal_cuts(n, self.k)
        if self.align == "similarity" and part is not first and first.frames is not None:
            cuts = _most_alike(frames, first.frames, self.k)
        edges = [0, *cuts, n]
        return [_piece(frames, a, b) for a, b in zip(edges, edges[1:])]


def equal_cuts(n: int, k: int) -> Cuts:
    """The cuts of n frames into k parts whose sizes differ by at most one."""
    return tuple(round(n * part / k) for part in range(1, k))


def _most_alike(frames: Frames, first: Frames, k: int) -> Cuts:
    n, n_first = len(frames.frames_THWC), len(first.frames_THWC)
    if n_first < k or frames.frames_THWC.shape[1:] != first.frames_THWC.shape[1:]:
        return equal_cuts(n, k)
    wanted = _means(first, equal_cuts(n_first, k))
    return max(combinations(range(1, n), k - 1), key=lambda cuts: float((_means(frames, cuts) * wanted).sum()))


def _means(frames: Frames, cuts: Cuts) -> Floats:
    """The mean picture of each part, centred and of length 1."""
    edges = [0, *cuts, len(frames.frames_THWC)]
    flat = np.stack([frames.frames_THWC[a:b].mean(axis=0).ravel() for a, b in zip(edges, edges[1:])])
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9))


def _piece(frames: Frames, a: int, b: int) -> Frames:
    return replace(
        frames,
        frames_THWC=frames.frames_THWC[a:b],
        timestamps_s=frames.timestamps_s[a:b],
        asked_s=frames.asked_s[a:b],
        sha256=f"{frames.sha256}[{a}:{b}]",
    )
