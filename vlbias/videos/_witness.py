"""Holds a compatibility decoder to the reference decode: it may be another library, it may not be another picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vlbias.errors import DecodeError
from vlbias.records import FramesTHWC
from vlbias.videos import decode_av

MAX_MEAN_LEVELS = 2.0


def checked(
    path: Path, timestamps_s: Sequence[float], found: tuple[FramesTHWC, tuple[float, ...]], *, decoder: str
) -> tuple[FramesTHWC, tuple[float, ...]]:
    """`found` as it is, when its times and pixels are those of the strict PyAV decode; a DecodeError when not.

    decord and OpenCV conceal damage and return a neighbour, a stuck or a black frame without a word. Times may differ
    by one frame's display, pixels by `MAX_MEAN_LEVELS` grey levels on average (rounding, spreading of chroma).
    """
    frames_THWC, own_s = found
    right_THWC, right_s = decode_av.frames(path, timestamps_s)
    frame_s = decode_av.timeline(path).frame_s
    if frames_THWC.shape != right_THWC.shape:
        reason = f"gives frames of shape {frames_THWC.shape}, the file's first video shows {right_THWC.shape}"
        raise DecodeError(path=str(path), decoder=decoder, reason=reason)
    for asked, own, right, frame, reference in zip(timestamps_s, own_s, right_s, frames_THWC, right_THWC):
        if abs(own - right) > frame_s:
            reason = f"asked for {asked:.6g} s it gives the frame of {own:.6g} s; on display is that of {right:.6g} s"
            raise DecodeError(path=str(path), decoder=decoder, reason=reason)
        off = float(np.abs(frame.astype(np.int16) - reference).mean())
        if off > MAX_MEAN_LEVELS:
            what = "a black frame" if not frame.any() else "another picture or colours"
            reason = (
                f"gives {what} at {asked:.6g} s: {off:.1f} grey levels from the reference decode on average, "
                f"the limit is {MAX_MEAN_LEVELS:g}"
            )
            raise DecodeError(path=str(path), decoder=decoder, reason=reason)
    return frames_THWC, own_s
