"""torchcodec as a decoder: optional, and held to the reference decode, since its import alone proves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torchcodec
from torchcodec.decoders import VideoDecoder

from vlbias.errors import DecodeError
from vlbias.records import FramesTHWC
from vlbias.videos import ClipInfo, decode_av
from vlbias.videos._witness import checked

NAME = "torchcodec"


def version() -> str:
    """torchcodec's version, and that of the reference it is held to."""
    return f"{torchcodec.__version__}, checked by av {decode_av.version()}"


def info(path: Path) -> ClipInfo:
    """What the packets say of the clip."""
    return decode_av.info(path)


def frames(path: Path, timestamps_s: Sequence[float]) -> tuple[FramesTHWC, tuple[float, ...]]:
    """As in the contract; every frame is held to the reference decode.

    Left alone, torchcodec takes the largest video of a file; here it takes the first, as the reference does.
    """
    numbers = decode_av.timeline(path).on_display(timestamps_s, path=path, decoder=NAME)
    stream = decode_av.stream_number(path)
    try:
        decoder = VideoDecoder(
            str(path.absolute()), stream_index=stream, dimension_order="NHWC", seek_mode="exact", num_ffmpeg_threads=1
        )
        first_s = float(decoder.metadata.begin_stream_seconds)
        batch = decoder.get_frames_at(numbers)
    except (RuntimeError, ValueError, IndexError) as error:
        raise DecodeError(path=str(path), decoder=NAME, reason=_first_line(error)) from error
    own_s = tuple(float(t) - first_s for t in batch.pts_seconds)
    return checked(path, timestamps_s, (np.asarray(batch.data.numpy()), own_s), decoder=NAME)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
