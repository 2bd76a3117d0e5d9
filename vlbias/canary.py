"""The canary of every run: three plain clips and one question must give three different answers.

A cache that does not key on pixels, or an adapter that drops them, answers all slots alike and reads as "no bias". The
canary goes the whole way: drawn, encoded, decoded, put into a prompt, scored.
"""

from __future__ import annotations

from collections.abc import Callable

from vlbias.errors import CanaryDied, DecodeError
from vlbias.models import Model
from vlbias.records import RGB, Fault, Frames, Part, Prompt, Scene, Segment

COLOURS: tuple[RGB, ...] = ((200, 40, 40), (40, 170, 60), (50, 70, 210))
QUESTION = "What colour is shown?"
OPTIONS = ("red", "green", "blue")


def segments(*, duration_s: float = 2.0, fps: float = 8.0) -> tuple[Segment, ...]:
    """Three clips of one plain colour each."""
    return tuple(
        Segment(
            segment_id=f"canary-{k}",
            scenes=(
                Scene(
                    sprites=(),
                    backdrop_rgb=colour,
                    texture="plain",
                    duration_s=duration_s,
                    fps=fps,
                    size_wh_px=(112, 112),
                    seed=0,
                ),
            ),
        )
        for k, colour in enumerate(COLOURS)
    )


def sing(model: Model, frames: Callable[[Segment], Frames]) -> str:
    """What the canary says, for the record; CanaryDied when two of its clips give the same log-probabilities."""
    if not model.capabilities.needs_frames:
        return "not applicable: the model does not look at frames"
    if not model.capabilities.score:
        return "not applicable: the model gives no log-probabilities"
    try:
        # What can name only some things is asked for three of them: the answers must differ, not be right.
        options = (model.capabilities.vocabulary or OPTIONS)[: len(OPTIONS)]
        prompts = [_prompt(segment, frames(segment), options) for segment in segments()]
    except DecodeError as error:
        raise CanaryDied(f"the canary's own clips cannot be read: {error}") from error
    heard = []
    for prompt in prompts:
        (scores,) = model.score([prompt])
        if isinstance(scores, Fault):
            raise CanaryDied(f"the model cannot answer a plain clip: {scores.kind}: {scores.reason}")
        heard.append(scores.logprobs)
    if len(set(heard)) < len(heard):
        raise CanaryDied(
            f"three clips of different colours gave the log-probabilities {heard}: the pixels do not reach the model; "
            "clear the cache folder, and check the adapter and its processor"
        )
    return f"alive: {len(heard)} plain clips gave {len(set(heard))} different answers"


def _prompt(segment: Segment, frames: Frames, options: tuple[str, ...]) -> Prompt:
    parts = (Part(place=0, kind="clip", frames=frames), Part(text=QUESTION))
    return Prompt(trial_id=segment.segment_id, parts=parts, options=options)
