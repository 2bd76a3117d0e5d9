"""Clips: a segment becomes frames. `decode_<name>.py` is the decoder that `--video_backend <name>` picks.

Contract of a decoder file: the two functions of `Decoder` below. They run in a worker process that can be killed, so
they may crash or hang without harm, and they raise `DecodeError` on anything that is not exactly what was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vlbias.records import FramesTHWC


@dataclass(frozen=True, kw_only=True)
class ClipInfo:
    """What a clip's file says of itself, after rotation; `duration_s` counts from the first frame shown."""

    duration_s: float
    n_frames: int
    fps: float
    size_wh_px: tuple[int, int]
    rotation_deg: int
    codec: str


class Decoder(Protocol):
    """A file of this room whose name begins with `decode_`."""

    def version(self) -> str:
        """The library's version and that of the FFmpeg under it."""

    def info(self, path: Path) -> ClipInfo:
        """What the file says of itself; DecodeError when it is not a clip."""

    def frames(self, path: Path, timestamps_s: Sequence[float]) -> tuple[FramesTHWC, tuple[float, ...]]:
        """The frame on display at each asked time (seconds from the first frame), and each frame's own timestamp."""
