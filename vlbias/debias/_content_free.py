"""Makes prompts without content: the evidence, the whole context, the question or the options say nothing any more.

The trial of such a prompt has no right option, so no answer to it can be counted as right or wrong.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from vlbias.debias import Write
from vlbias.debias._scores import marked
from vlbias.records import Frames, FramesTHWC, Part, Prompt, Segment, Trial, digest

Fill = Literal["template", "noise", "zero", "one", "mean", "none", "unknown"]
Where = Literal["evidence", "all"]
FILLS = ("template", "noise", "zero", "one", "mean", "none", "unknown")
MARK_OF = "content_free"
STEPS = 1000
MEAN_RGB = (124, 116, 104)
UNKNOWN_TEXT = "[UNK]"
EMPTY_QUESTION = "N/A"


def without_segments(prompt: Prompt, *, fill: Fill, where: Where) -> Prompt:
    """The prompt with the evidence, or every segment, put out of sense; its layout of segments stays.

    `template` is the ImageNet mean colour, `mean` the segment's own mean colour, `zero` black, `one` white, `noise`
    Gaussian noise. A passage of text becomes "[UNK]". `unknown` puts that text in place of frames, and `none` takes
    the segments out of the prompt altogether: these two keep the place in the order only in name.
    """
    trial = _trial(prompt)
    blind = {
        k for k, s in enumerate(trial.segments) if where == "all" or s.segment_id == trial.probe.evidence.segment_id
    }
    parts = [
        part if part.place not in blind else _filled(part, fill)
        for part in prompt.parts
        if fill != "none" or part.place not in blind
    ]
    segments = tuple(_empty(s, fill) if k in blind else s for k, s in enumerate(trial.segments))
    changed = replace(_unlabelled(trial, f"{MARK_OF}:{where} {fill}"), segments=segments)
    return replace(prompt, trial_id=changed.trial_id, parts=tuple(parts), trial=changed)


def without_question(prompt: Prompt, *, write: Write) -> Prompt:
    """The prompt with "N/A" in place of the question."""
    trial = _unlabelled(_trial(prompt), f"{MARK_OF}:question")
    return write(replace(trial, probe=replace(trial.probe, question=EMPTY_QUESTION)))


def without_options(prompt: Prompt, *, write: Write) -> Prompt:
    """The prompt whose options are told by their names only: their texts are all the same."""
    trial = _unlabelled(_trial(prompt), f"{MARK_OF}:options")
    return write(replace(trial, probe=replace(trial.probe, options=(EMPTY_QUESTION,) * len(trial.options))))


def noise_level(step: int) -> float:
    """How much of the picture is left after `step` of 1,000 steps of diffusion: the product alpha-bar, 0 to 1.

    Betas are sigmoid(linspace(-6, 6, 1000)) * (0.5e-2 - 1e-5) + 1e-5 (Leng et al., CVPR 2024, VCD).
    """
    betas = 1.0 / (1.0 + np.exp(-np.linspace(-6.0, 6.0, STEPS))) * (0.5e-2 - 1e-5) + 1e-5
    return float(np.prod(1.0 - betas[: step + 1]))


def diffused(frames_THWC: FramesTHWC, *, step: int, rng: np.random.Generator) -> FramesTHWC:
    """Pixels x as sqrt(alpha-bar) x + sqrt(1 - alpha-bar) noise, with x from -1 to 1, cut to what a pixel can be."""
    kept = noise_level(step)
    x = frames_THWC.astype(np.float32) / 127.5 - 1.0
    noised = np.sqrt(kept) * x + np.sqrt(1.0 - kept) * rng.standard_normal(x.shape, dtype=np.float32)
    out: FramesTHWC = np.clip(np.rint((noised + 1.0) * 127.5), 0, 255).astype(np.uint8)
    return out


def noised(frames: Frames, *, step: int) -> Frames:
    """The frames with the noise of `diffused`, whose draw depends on the frames alone.

    So a clip is noised alike in every slot and trial: slots differ in nothing but the order, and a model that keeps
    encoded clips encodes each noised clip once.
    """
    rng = np.random.default_rng(int(digest([frames.sha256, step])[:16], 16))
    pixels_THWC = diffused(frames.frames_THWC, step=step, rng=rng)
    return repainted(frames, pixels_THWC, how=f"noise {step}")


def repainted(frames: Frames, pixels_THWC: FramesTHWC, *, how: str) -> Frames:
    """Frames with other pixels; their hash says what they were made from and how."""
    return replace(
        frames, frames_THWC=pixels_THWC, sha256=digest([frames.sha256, how]), decoder=f"{frames.decoder}+{how}"
    )


def _filled(part: Part, fill: Fill) -> Part:
    if part.kind == "text" or fill == "unknown":
        return Part(text=UNKNOWN_TEXT, place=part.place, kind="text")
    if part.frames is None:
        return replace(part, kind="template")
    if fill == "noise":
        return replace(part, frames=noised(part.frames, step=STEPS - 1))
    old = part.frames.frames_THWC
    colour = {"zero": (0, 0, 0), "one": (255, 255, 255), "mean": old.mean(axis=(0, 1, 2))}.get(fill, MEAN_RGB)
    pixels = np.broadcast_to(np.rint(np.asarray(colour)).astype(np.uint8), old.shape).copy()
    return replace(part, frames=repainted(part.frames, pixels, how=fill))


def _empty(segment: Segment, fill: Fill) -> Segment:
    return Segment(segment_id=f"{segment.segment_id} ({fill})", kind="template")


def _unlabelled(trial: Trial, what: str) -> Trial:
    return marked(replace(trial, probe=replace(trial.probe, gold=None)), what)


def _trial(prompt: Prompt) -> Trial:
    assert prompt.trial is not None
    return prompt.trial
