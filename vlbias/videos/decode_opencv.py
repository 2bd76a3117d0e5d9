"""OpenCV as a decoder, by reading from the start: its seek returns wrong frames, its silence is turned into errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from vlbias.errors import DecodeError
from vlbias.records import FramesTHWC
from vlbias.videos import ClipInfo, decode_av
from vlbias.videos._witness import checked

NAME = "opencv"


def version() -> str:
    """OpenCV's version, and that of the reference it is held to."""
    return f"{cv2.__version__}, checked by av {decode_av.version()}"


def info(path: Path) -> ClipInfo:
    """What the packets say of the clip: OpenCV's own frame count and rate are guesses."""
    return decode_av.info(path)


def frames(path: Path, timestamps_s: Sequence[float]) -> tuple[FramesTHWC, tuple[float, ...]]:
    """As in the contract; DecodeError when OpenCV gives no frame, a black, a stuck or another frame."""
    numbers = decode_av.timeline(path).on_display(timestamps_s, path=path, decoder=NAME)
    if not numbers:
        raise DecodeError(path=str(path), decoder=NAME, reason="no timestamps were asked for")
    picked = _read(path, set(numbers))
    stack = np.stack([picked[k][0] for k in numbers])
    return checked(path, timestamps_s, (stack, tuple(picked[k][1] for k in numbers)), decoder=NAME)


def _read(path: Path, wanted: set[int]) -> dict[int, tuple[FramesTHWC, float]]:
    """The wanted frames and their times in seconds from the first frame, by number."""
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    picked: dict[int, tuple[FramesTHWC, float]] = {}
    try:
        first_ms = 0.0
        for number in range(max(wanted) + 1):
            if not capture.grab():
                raise DecodeError(path=str(path), decoder=NAME, reason=f"gives {number} frames, then none")
            at_ms = float(capture.get(cv2.CAP_PROP_POS_MSEC))
            first_ms = at_ms if number == 0 else first_ms
            if number in wanted:
                held, bgr_HWC = capture.retrieve()
                if not held or bgr_HWC is None:
                    raise DecodeError(path=str(path), decoder=NAME, reason=f"frame {number} is empty")
                picked[number] = (bgr_HWC[..., ::-1].copy(), (at_ms - first_ms) / 1000)
    except cv2.error as error:
        raise DecodeError(path=str(path), decoder=NAME, reason=str(error)) from error
    finally:
        capture.release()
    return picked
