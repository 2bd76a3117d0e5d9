"""Says what works on this machine and why not, by doing it: decodes a clip, scores an option."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from vlbias import canary, rooms
from vlbias.errors import DecodeError, VlbiasError
from vlbias.models import Model
from vlbias.organisms import manifest
from vlbias.records import Fault, Frames, Part, Prompt
from vlbias.videos.cache import FrameCache

ORGANISM = "u10"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing tried, whether it works, and what was seen."""

    what: str
    works: bool
    detail: str


def examine() -> list[Finding]:
    """Every decoder and every engine, tried for real."""
    found = [decoder(name) for name in rooms.names("videos", prefix="decode_")]
    if ORGANISM not in manifest.known():
        detail = f"the organism {ORGANISM} is not bundled with this installation; vlbias organism train makes one"
        return [*found, Finding(what="engine hf", works=False, detail=detail)]
    return [*found, engine("hf", {"pretrained": str(manifest.folder_of(ORGANISM))})]


def decoder(name: str) -> Finding:
    """Draws a clip, reads it back and compares its colour."""
    try:
        frames = _plain_clip(name)
    except DecodeError as error:  # without the path: the clip was drawn for this one check
        return Finding(what=f"decoder {name}", works=False, detail=error.reason.splitlines()[0])
    except VlbiasError as error:
        return Finding(what=f"decoder {name}", works=False, detail=str(error).splitlines()[0])
    seen = [float(value) for value in frames.frames_THWC.mean(axis=(0, 1, 2))]
    worst = max(abs(a - b) for a, b in zip(seen, canary.COLOURS[0]))
    detail = f"{frames.decoder_version}; colour off by {worst:.1f} of 255 levels"
    return Finding(what=f"decoder {name}", works=worst <= 4.0, detail=detail)


def engine(name: str, arguments: dict[str, str]) -> Finding:
    """Loads the bundled organism and scores one plain clip."""
    try:
        model: Model = rooms.find("models", name).load(**arguments)
        frames = _plain_clip("av")
        parts = (Part(place=0, kind="clip", frames=frames), Part(text=canary.QUESTION))
        (scores,) = model.score([Prompt(trial_id="doctor", parts=parts, options=("red", "green"))])
    except VlbiasError as error:
        return Finding(what=f"engine {name}", works=False, detail=str(error).splitlines()[0])
    if isinstance(scores, Fault):
        return Finding(what=f"engine {name}", works=False, detail=f"{scores.kind}: {scores.reason}")
    identity = model.identity
    shown = ", ".join(f"{value:.2f}" for value in scores.logprobs)
    detail = f"{identity.engine} {identity.engine_version} on {identity.device}; log-probabilities {shown}"
    return Finding(what=f"engine {name}", works=True, detail=detail)


def _plain_clip(backend: str) -> Frames:
    with (
        tempfile.TemporaryDirectory() as folder,
        FrameCache(
            Path(folder), backend=backend, num_frames=2, rule="midpoints", frame_size_wh_px=None, time_limit_s=20.0
        ) as cache,
    ):
        read = cache.frames(canary.segments()[0])
        return Frames(
            frames_THWC=read.frames_THWC.copy(),
            timestamps_s=read.timestamps_s,
            asked_s=read.asked_s,
            sha256=read.sha256,
            decoder=read.decoder,
            decoder_version=read.decoder_version,
        )
