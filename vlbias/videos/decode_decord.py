"""decord as a decoder, for comparison with results that were made with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import decord
import numpy as np

from vlbias.errors import DecodeError
from vlbias.records import FramesTHWC
from vlbias.videos import ClipInfo, decode_av
from vlbias.videos._container import container_of
from vlbias.videos._witness import checked

NAME = "decord"
_CLOCK_AND_PLACE = re.compile(r"\[[\d:]+\] \S+?:\d+: ")


def version() -> str:
    """decord's version, and that of the reference it is held to."""
    return f"{decord.__version__}, checked by av {decode_av.version()}"


def info(path: Path) -> ClipInfo:
    """What the packets say of the clip."""
    return decode_av.info(path)


def frames(path: Path, timestamps_s: Sequence[float]) -> tuple[FramesTHWC, tuple[float, ...]]:
    """As in the contract; DecodeError also for frames out of order and for frames that are not those asked for."""
    container_of(path, decoder=NAME)
    numbers = decode_av.timeline(path).on_display(timestamps_s, path=path, decoder=NAME)
    if not numbers:
        raise DecodeError(path=str(path), decoder=NAME, reason="no timestamps were asked for")
    try:
        reader = decord.VideoReader(str(path.absolute()), ctx=decord.cpu(0), num_threads=1)
        starts_s = np.asarray(reader.get_frame_timestamp(list(range(len(reader)))))[:, 0]
        if max(numbers) >= len(starts_s):
            raise DecodeError(path=str(path), decoder=NAME, reason=f"finds {len(starts_s)} frames only")
        if (np.diff(starts_s) <= 0).any():
            raise DecodeError(path=str(path), decoder=NAME, reason="its frame times do not rise")
        pixels: FramesTHWC = reader.get_batch(numbers).asnumpy()
    except (decord.DECORDError, RuntimeError, IndexError) as error:
        raise DecodeError(path=str(path), decoder=NAME, reason=_reason(error)) from error
    own_s = tuple(float(starts_s[k] - starts_s[0]) for k in numbers)
    return checked(path, timestamps_s, (pixels, own_s), decoder=NAME)


def _reason(error: Exception) -> str:
    """decord's last line without the clock and the source file, so that two equal runs say the same."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if _CLOCK_AND_PLACE.match(line)]
    return _CLOCK_AND_PLACE.sub("", (told or lines or [type(error).__name__])[-1])[:200]
