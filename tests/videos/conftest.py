"""Clips with what real files bring: variable rate, interlacing, and flipped bits."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vlbias.videos import decode_av, sampling

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def clip(awkward_data: Path) -> Path:
    """One second of H.265, ten frames."""
    return awkward_data / "videos" / "h265_video.mp4"


@pytest.fixture
def bundled_clip() -> Path:
    """A clip that is committed with the suites: H.264, drawn by us."""
    return sorted((REPOSITORY / "videos" / "demo").glob("*.mp4"))[0]


@pytest.fixture
def middles() -> Callable[..., tuple[float, ...]]:
    """The times at which a run asks a clip."""

    def times(path: Path, count: int = 4) -> tuple[float, ...]:
        end_s = decode_av.info(path).duration_s
        return sampling.timestamps(start_s=0, end_s=end_s, count=count, rule="midpoints")

    return times


@pytest.fixture
def encode(tmp_path: Path) -> Callable[..., Path]:
    """Encodes flat grey frames of given levels at given times (milliseconds) and x264 options."""

    def write(levels: Sequence[int], times_ms: Sequence[int], **options: str) -> Path:
        path = tmp_path / "encoded.mp4"
        with av.open(str(path), "w") as box:
            stream = box.add_stream("libx264", rate=1000, options={"crf": "10", **options})
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            for level, at_ms in zip(levels, times_ms):
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), level, np.uint8), format="rgb24")
                frame.pts, frame.time_base = at_ms, Fraction(1, 1000)
                box.mux(stream.encode(frame))
            box.mux(stream.encode())
        return path

    return write


@pytest.fixture
def flipped(tmp_path: Path) -> Callable[[Path, int], Path]:
    """A copy of a file with one bit turned over."""

    def copy(path: Path, bit: int) -> Path:
        content = bytearray(path.read_bytes())
        content[bit // 8] ^= 1 << (bit % 8)
        damaged = tmp_path / f"flipped{path.suffix}"
        damaged.write_bytes(content)
        return damaged

    return copy
