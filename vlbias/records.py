"""The records that cross doors between rooms: frozen, keyword-only, checked once when they are made.

Suite data ─> Probe ─> Trial ─> Prompt ─> OptionScores | Reply ─> Answer | Failure ─> Estimate
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

SegmentKind = Literal["clip", "image", "text", "template"]
ScoreLevel = Literal["exact", "bounded", "generated"]
FailureKind = Literal[
    "decode", "draw", "api", "refused", "parse", "memory", "nonfinite", "too_long", "unfit", "damaged"
]
RGB: TypeAlias = tuple[int, int, int]
FramesTHWC: TypeAlias = npt.NDArray[np.uint8]


# --- what is asked


@dataclass(frozen=True, kw_only=True)
class Sprite:
    """One thing in a drawn scene: a shape, a glyph, a dot or a word that moves in a straight line.

    `centre_xy` is where it is at half time, in sides of the frame from the top left corner; `radius` is half its
    height in sides of the frame; `velocity_xy` is sides of the frame per second. `mirrored` exchanges its left and
    right, and then `turn_deg` turns it clockwise; a word is neither. `text` is what the form `word` says.
    """

    form: str
    colour_rgb: RGB
    centre_xy: tuple[float, float]
    radius: float
    velocity_xy: tuple[float, float] = (0.0, 0.0)
    turn_deg: float = 0.0
    mirrored: bool = False
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image file that lies in a drawn scene, whole and with its sides in proportion, in the middle of a box.

    `box_xyxy` is in sides of the frame; what it leaves free shows the backdrop. `sha256` is of the file's bytes.
    `mirrored` exchanges its left and right, and then `turn_deg`, whole quarters, turns it clockwise.
    """

    path: str
    sha256: str
    box_xyxy: tuple[float, float, float, float]
    mirrored: bool = False
    turn_deg: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A drawn scene: pictures and then sprites over a texture, for some seconds. Pixels are made by `videos.draw`."""

    sprites: tuple[Sprite, ...]
    backdrop_rgb: RGB
    texture: str
    duration_s: float
    fps: float
    size_wh_px: tuple[int, int]
    seed: int
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A unit that has a place in the order: a clip, an image, a passage of text, or template frames.

    A clip or image stands in a file (`path`, with the `sha256` of its bytes once known) or is drawn on demand from
    `scenes`, shown one after the other. `start_s` and `end_s` cut a part out of a longer file.
    """

    segment_id: str
    kind: SegmentKind = "clip"
    path: str | None = None
    sha256: str | None = None
    scenes: tuple[Scene, ...] = ()
    text: str | None = None
    start_s: float = 0.0
    end_s: float | None = None

    def __post_init__(self) -> None:
        if self.kind == "text" and not self.text:
            raise ValueError(f"segment {self.segment_id}: a text segment needs its text")
        if self.kind in ("clip", "image") and not (self.path or self.scenes):
            raise ValueError(f"segment {self.segment_id}: a {self.kind} needs a path or scenes")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A question and its evidence, with the segments that surround the evidence, in their fixed order.

    `gold` is the index of the right option among `options` as the suite holds them (None: open-ended).
    `cluster_id` names what probes share (their source clip): the unit of resampling. `rival_gold` is the option for
    which the first background stands, where that background contradicts the evidence. `thing` names the one
    thing that a question is about (`red star`): a detector is asked only for such, and given no question.
    """

    probe_id: str
    task: str
    question: str
    options: tuple[str, ...]
    gold: int | None
    evidence: Segment
    backgrounds: tuple[Segment, ...]
    cluster_id: str
    rival_gold: int | None = None
    thing: str | None = None

    def __post_init__(self) -> None:
        if self.gold is not None and not 0 <= self.gold < len(self.options):
            raise ValueError(f"probe {self.probe_id}: gold {self.gold} is not among {len(self.options)} options")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A probe with its evidence in one slot and its options in one order.

    `segments` is the whole order as the model meets it. `slot` is 0-based; None means the probe alone, without
    context. `option_order[k]` is the suite's index of the option displayed at place k. `factors` are the other things
    that vary between trials of a probe, by name: a cell, a label style, a content order.
    """

    trial_id: str
    probe: Probe
    slot: int | None
    n_slots: int
    segments: tuple[Segment, ...]
    option_order: tuple[int, ...]
    factors: tuple[tuple[str, str], ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """The options in the order in which they are displayed."""
        return tuple(self.probe.options[k] for k in self.option_order)

    @property
    def gold_displayed(self) -> int | None:
        """The place at which the right option is displayed."""
        return None if self.probe.gold is None else self.option_order.index(self.probe.gold)

    @property
    def code(self) -> str:
        """Video-LevelGauge's position code: NN-kk, and NN-NN for the probe alone."""
        return f"{self.n_slots:02d}-{self.n_slots if self.slot is None else self.slot:02d}"


# --- what the model sees


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """The pixels of one segment: `frames_THWC` uint8 RGB, with where each frame came from."""

    frames_THWC: FramesTHWC
    timestamps_s: tuple[float, ...]
    asked_s: tuple[float, ...]
    sha256: str
    decoder: str
    decoder_version: str

    def __post_init__(self) -> None:
        shape = self.frames_THWC.shape
        if self.frames_THWC.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or shape[0] == 0:
            raise ValueError(f"frames must be uint8 [T, H, W, 3] with T > 0, found {self.frames_THWC.dtype} {shape}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One piece of a turn, in reading order, the system turn first: literal text, or the segment at `place`."""

    text: str | None = None
    place: int | None = None
    kind: SegmentKind = "text"
    frames: Frames | None = None
    turn: Literal["system", "user"] = "user"


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompt:
    """A trial as the model sees it. `options` are the continuations to score, in displayed order."""

    trial_id: str
    parts: tuple[Part, ...]
    options: tuple[str, ...]
    system: str | None = None
    trial: Trial | None = None

    @property
    def sha256(self) -> str:
        """The content of the prompt: its text, the pixels of its frames, its options, in order."""
        parts = [[p.text, p.place, p.kind, p.frames.sha256 if p.frames else None, p.turn] for p in self.parts]
        return digest([self.system, parts, list(self.options)])


@dataclass(frozen=True, kw_only=True)
class OptionScores:
    """The log-probability of each option, in displayed order, natural logarithm, not normalised over options.

    `segment_spans[k]` is the [start, end) range of tokens of the segment at place k in the un-padded prompt.
    `segment_attention_LS` is the attention of the last token of the prompt on each segment, by layer and place,
    averaged over heads; None where nothing asked for it.
    """

    logprobs: tuple[float, ...]
    level: ScoreLevel
    n_tokens: int
    segment_spans: tuple[tuple[int, int], ...] = ()
    reply: str | None = None
    segment_attention_LS: tuple[tuple[float, ...], ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Detection:
    """A box that a detector found, xyxy in 0..1 of the image from its top left corner, and its score, 0..1."""

    box_xyxy: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A generated answer, as text.

    `input_wh_px` is the size of the one image as the model met it, for models that write boxes in its pixels; None
    where it is not known or there are several images. `detections` are the boxes of a detector, best first, empty
    where it found nothing; None for a model that writes. The text of a detector is what it was given to look for.
    """

    text: str
    n_tokens: int
    n_new_tokens: int
    segment_spans: tuple[tuple[int, int], ...] = ()
    input_wh_px: tuple[int, int] | None = None
    detections: tuple[Detection, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why one prompt has no answer; the run stores it as a `Failure`."""

    kind: FailureKind
    reason: str
    reply: str | None = None


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Which model answered, exactly: enough to tell two runs apart. `box_format` is how it writes boxes, if told."""

    adapter: str
    name: str
    revision: str | None = None
    weights_sha256: str | None = None
    family: str | None = None
    dtype: str | None = None
    device: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    attention: str | None = None
    position_rule: str | None = None
    sharing: str | None = None
    n_parameters: int | None = None
    context_window: int | None = None
    box_format: str | None = None


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a model can do. `needs_frames` is False for a model that answers without looking.

    `detect` says that it gives places as boxes with scores and not in words. `vocabulary` is all that it can name;
    None for a model that takes any words.
    """

    score: bool = True
    generate: bool = False
    nll: bool = False
    needs_frames: bool = True
    detect: bool = False
    vocabulary: tuple[str, ...] | None = None


def digest(value: Any) -> str:
    """The sha256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
