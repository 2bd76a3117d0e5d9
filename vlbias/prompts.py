"""A trial and its frames become a prompt: what the model sees, in reading order.

Three styles. `letters` is Video-LevelGauge's: segments, an instruction, the question, the options as `(A) text`, a
closing line; the options scored are the letters. `listed` is the same with options as `- text`, and scores their texts.
`cloze` shows no options: segments, then the question; the options scored are their texts. Nothing in a prompt tells a
segment's place but the place itself, unless the question asks for it. A trial's factors change this by name: `labels`
(what names an option), `layout` (interleaved: each image is announced), `asks` (index: the number of an image is
scored), `phrase` and `phrase_at` (what is said of one displayed option), `placement` (which piece stands where).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from vlbias.probes._labels import WORDS, label_style
from vlbias.probes._labels import labels as labels
from vlbias.probes._phrases import PHRASES
from vlbias.probes._placements import LAYOUTS, PLAIN
from vlbias.records import Frames, Part, Prompt, Segment, Trial

INSTRUCTION = "Watch the video and choose the best option for the question below. Reply with the {label} only."
CLOSING = "The best option is the {label}:"
ANNOUNCED = "Image {number}:"


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a trial is put into words; None keeps the style's own wording.

    `{label}` in an instruction or a closing line becomes letter, number, symbol or text, as the options are labelled.
    """

    style: Literal["letters", "listed", "cloze"] = "letters"
    instruction: str | None = None
    closing: str | None = None
    system: str | None = None


def _shown_labels(trial: Trial, style: Style) -> tuple[str, ...]:
    """What names the options of a trial, in displayed order; empty where they bear no labels."""
    return labels(len(trial.options), _named_by(trial, style))


def prompt(trial: Trial, frames: Mapping[str, Frames], style: Style) -> Prompt:
    """The prompt of one trial. `frames` holds the pixels of every segment that is not text, by `segment_id`."""
    told = dict(trial.factors)
    cloze = style.style == "cloze" or told.get("asks") == "index"
    pieces = {
        "visual": _segments(trial, frames, demos=False),
        "demos": _segments(trial, frames, demos=True),
        **(_cloze_lines(trial, style) if cloze else _listing_lines(trial, style)),
    }
    layout = LAYOUTS[told["placement"]] if "placement" in told else PLAIN  # type: ignore[index]
    system = _joined(part for name in layout.system for part in pieces[name])
    words = [style.system, *(part.text for part in system)] if all(part.place is None for part in system) else []
    return Prompt(
        trial_id=trial.trial_id,
        parts=(
            *(() if words else (replace(part, turn="system") for part in system)),
            *_joined(part for name in layout.user for part in pieces[name]),
        ),
        options=_scored(trial, style, cloze=cloze),
        system="\n".join(word for word in words if word) or None if words else style.system,
        trial=trial,
    )


def _scored(trial: Trial, style: Style, *, cloze: bool) -> tuple[str, ...]:
    by_label = not cloze or ("asks", "index") in trial.factors
    return (_shown_labels(trial, style) if by_label else ()) or trial.options


def _segments(trial: Trial, frames: Mapping[str, Frames], *, demos: bool) -> list[Part]:
    """The parts of the segments in their order; the texts of a placement trial are its demos."""
    told = dict(trial.factors)
    parts = []
    for place, segment in enumerate(trial.segments):
        if demos != ("placement" in told and segment.kind == "text"):
            continue
        if told.get("layout") == "interleaved":
            parts.append(Part(text=ANNOUNCED.format(number=place + 1)))
        parts.append(_part(place, segment, frames))
    return parts


def _part(place: int, segment: Segment, frames: Mapping[str, Frames]) -> Part:
    if segment.kind == "text":
        return Part(text=segment.text, place=place, kind="text")
    return Part(place=place, kind=segment.kind, frames=frames.get(segment.segment_id))


def _cloze_lines(trial: Trial, style: Style) -> dict[str, list[Part]]:
    word = WORDS[label_style(trial)]
    first, last = ((text or "").replace("{label}", word) for text in (style.instruction, style.closing))
    return {
        "instruction": _lines(first),
        "question": _lines(trial.probe.question),
        "options": [],
        "closing": _lines(last),
    }


def _named_by(trial: Trial, style: Style) -> str:
    """The trial's own style of labels; where it has none, that of the style."""
    by_style = style.style == "listed" and "labels" not in dict(trial.factors)
    return "none" if by_style else label_style(trial)


def _listing_lines(trial: Trial, style: Style) -> dict[str, list[Part]]:
    word = WORDS[_named_by(trial, style)]
    first = INSTRUCTION if style.instruction is None else style.instruction
    last = CLOSING if style.closing is None else style.closing
    return {
        "instruction": _lines(first.replace("{label}", word)),
        "question": _lines(f"Question: {trial.probe.question}"),
        "options": _lines("Options:", *_options(trial, style)),
        "closing": _lines(last.replace("{label}", word)),
    }


def _options(trial: Trial, style: Style) -> list[str]:
    told = dict(trial.factors)
    texts = list(trial.options)
    if told.get("phrase", "none") != "none":
        texts[int(told["phrase_at"])] += f" {PHRASES[told['phrase']]}"
    names = _shown_labels(trial, style)
    return [f"({name}) {text}" for name, text in zip(names, texts)] if names else [f"- {text}" for text in texts]


def _lines(*texts: str | None) -> list[Part]:
    return [Part(text=text) for text in texts if text]


def _joined(parts: Iterable[Part]) -> list[Part]:
    """Literal texts that follow one another become one, a line each; a text before a segment ends its line."""
    runs: list[tuple[bool, Sequence[Part]]] = [
        (literal, list(run)) for literal, run in groupby(parts, key=lambda part: part.place is None)
    ]
    found: list[Part] = []
    for k, (literal, run) in enumerate(runs):
        if not literal:
            found += run
            continue
        text = "\n".join(part.text or "" for part in run)
        after_text = k > 0 and runs[k - 1][1][-1].kind == "text"
        found.append(Part(text=f"{chr(10) if after_text else ''}{text}{chr(10) if k + 1 < len(runs) else ''}"))
    return found
