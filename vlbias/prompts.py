"""A trial and its frames become a prompt: what the model sees, in reading order.

Two styles. `letters` is Video-LevelGauge's: segments, an instruction, the question, the options as `(A) text`, a
closing line; the options scored are the letters. `cloze` shows no options: segments, then the question; the options
scored are their texts. Nothing in a prompt tells a segment's place but the place itself.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vlbias.errors import BadSuite
from vlbias.records import Frames, Part, Prompt, Segment, Trial

INSTRUCTION = "Watch the video and choose the best option for the question below. Reply with the letter only."
CLOSING = "The best option is the letter:"


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a trial is put into words; None keeps the style's own wording."""

    style: Literal["letters", "cloze"] = "letters"
    instruction: str | None = None
    closing: str | None = None
    system: str | None = None


def labels(count: int) -> tuple[str, ...]:
    """The letters that name `count` options; more than 26 is an error."""
    if count > len(string.ascii_uppercase):
        raise BadSuite(f"{count} options cannot be named by one letter each; give at most 26 or use the cloze style")
    return tuple(string.ascii_uppercase[:count])


def prompt(trial: Trial, frames: Mapping[str, Frames], style: Style) -> Prompt:
    """The prompt of one trial. `frames` holds the pixels of every segment that is not text, by `segment_id`."""
    seen = [_part(place, segment, frames) for place, segment in enumerate(trial.segments)]
    if style.style == "cloze":
        words, options = _cloze_words(trial, style), trial.options
    else:
        words, options = _letter_words(trial, style), labels(len(trial.options))
    parts = (*seen, Part(text=words))
    return Prompt(trial_id=trial.trial_id, parts=parts, options=options, system=style.system, trial=trial)


def _part(place: int, segment: Segment, frames: Mapping[str, Frames]) -> Part:
    if segment.kind == "text":
        return Part(text=segment.text, place=place, kind="text")
    return Part(place=place, kind=segment.kind, frames=frames.get(segment.segment_id))


def _cloze_words(trial: Trial, style: Style) -> str:
    return "\n".join(line for line in (style.instruction, trial.probe.question, style.closing) if line)


def _letter_words(trial: Trial, style: Style) -> str:
    names = labels(len(trial.options))
    shown = [f"({name}) {text}" for name, text in zip(names, trial.options)]
    first = INSTRUCTION if style.instruction is None else style.instruction
    last = CLOSING if style.closing is None else style.closing
    lines: Sequence[str] = (first, f"Question: {trial.probe.question}", "Options:", *shown, last)
    return "\n".join(line for line in lines if line)
