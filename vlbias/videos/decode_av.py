"""The default decoder: PyAV with an index of every frame's time, so that the frame returned is the frame asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from vlbias.errors import DecodeError
from vlbias.records import FramesTHWC
from vlbias.videos import ClipInfo
from vlbias.videos._container import container_of
from vlbias.videos._timeline import Timeline

NAME = "av"
_UNSPECIFIED = 2
_RGB_IDENTITY = 0
_BT601 = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class _Index:
    """What one pass over the packets tells: times of the frames shown and of the key frames, in stream ticks."""

    timeline: Timeline
    pts: list[int]
    key_pts: list[int]
    info: ClipInfo


def version() -> str:
    """PyAV's version and that of the FFmpeg under it."""
    return f"{av.__version__}, FFmpeg {av.ffmpeg_version_info}"


def info(path: Path) -> ClipInfo:
    """What the packets say of the clip; DecodeError when the file is not a whole clip."""
    return _index(path).info


def timeline(path: Path) -> Timeline:
    """The times of all frames that the file shows, from its packets, without decoding."""
    return _index(path).timeline


def stream_number(path: Path) -> int:
    """Which stream of the file is shown: the first video that is no cover picture."""
    container, stream = _open(path)
    with container:
        return int(stream.index)


def frames(path: Path, timestamps_s: Sequence[float]) -> tuple[FramesTHWC, tuple[float, ...]]:
    """The frame on display at each asked time, uint8 RGB [T, H, W, 3], upright, and each frame's own start in seconds.

    Any damage on the way from the key frame to the asked frame is a DecodeError (`err_detect=explode`): a frame that
    FFmpeg conceals is not the frame asked for. A flipped bit can still decode to another picture, since most codecs
    carry no checksum: only a suite that tells a clip's sha256 is safe from that.

    Colours follow the file's own matrix and range; BT.601 limited where the file says nothing. Chroma of more than 8
    bits is spread to pixels by nearest neighbour, as FFmpeg does at 8 bits, so that decoders agree. High dynamic range
    is converted, not tone mapped.
    """
    index = _index(path)
    numbers = index.timeline.on_display(timestamps_s, path=path, decoder=NAME)
    if not numbers:
        raise _error(path, "no timestamps were asked for")
    pixels = _decode(path, index, {index.pts[k] for k in numbers})
    stack = np.stack([pixels[index.pts[k]] for k in numbers])
    return stack, tuple(float(index.timeline.starts_s[k]) for k in numbers)


def _error(path: Path, reason: str) -> DecodeError:
    return DecodeError(path=str(path), decoder=NAME, reason=reason)


def _open(path: Path) -> tuple[InputContainer, VideoStream]:
    demuxer = container_of(path, decoder=NAME)
    try:
        container = av.open(str(path.absolute()), format=demuxer, container_options={"protocol_whitelist": "file"})
    except (av.FFmpegError, ValueError) as error:
        raise _error(path, f"cannot be opened as {demuxer}: {error}") from error
    streams = [s for s in container.streams.video if not _is_picture(s)]
    if not streams:
        container.close()
        raise _error(path, "holds no video stream")
    stream = streams[0]
    stream.codec_context.options = {"err_detect": "explode"}
    return container, stream


def _is_picture(stream: VideoStream) -> bool:
    return bool(getattr(stream, "disposition", 0) & 0x400)


def _index(path: Path) -> _Index:
    container, stream = _open(path)
    try:
        with container:
            return _read_index(path, container, stream)
    except (av.FFmpegError, ValueError) as error:
        raise _error(path, f"its packets cannot be read: {error}") from error


def _read_index(path: Path, container: InputContainer, stream: VideoStream) -> _Index:
    packets = [p for p in container.demux(stream) if p.size]
    if any(p.is_corrupt for p in packets):
        raise _error(path, "damaged: a packet is marked corrupt")
    if stream.frames and len(packets) < stream.frames and not any(p.is_discard for p in packets):
        raise _error(path, f"truncated: {len(packets)} of {stream.frames} frames can be read")
    shown = sorted((t, p.duration or 0) for p in packets if not p.is_discard and (t := _time(p)) is not None)
    if not shown:
        raise _error(path, "holds no frame that can be shown")
    pts = [t for t, _ in shown]
    if len(set(pts)) != len(pts):
        raise _error(path, "two frames have the same timestamp")
    tick = stream.time_base
    if tick is None:
        raise _error(path, "its video stream has no unit of time")
    rate = stream.average_rate or stream.guessed_rate
    last = shown[-1][1] or (pts[-1] - pts[-2] if len(pts) > 1 else round(1 / (rate * tick)) if rate else 0)
    if last <= 0:
        raise _error(path, "the last frame has no duration")
    starts_s = np.array([float((t - pts[0]) * tick) for t in pts])
    timeline = Timeline(starts_s=starts_s, duration_s=float((pts[-1] - pts[0] + last) * tick), tick_s=float(tick))
    key_pts = sorted(t for p in packets if p.is_keyframe and (t := _time(p)) is not None)
    return _Index(timeline=timeline, pts=pts, key_pts=key_pts, info=_info(path, stream, timeline))


def _time(packet: av.Packet) -> int | None:
    time: int | None = packet.pts if packet.pts is not None else packet.dts
    return time


def _info(path: Path, stream: VideoStream, timeline: Timeline) -> ClipInfo:
    first = _first_frame(path)
    turned = first.rotation % 180 != 0
    wide, high = (first.height, first.width) if turned else (first.width, first.height)
    return ClipInfo(
        duration_s=timeline.duration_s,
        n_frames=len(timeline.starts_s),
        fps=1 / timeline.frame_s,
        size_wh_px=(wide, high),
        rotation_deg=first.rotation % 360,
        codec=stream.codec_context.codec.canonical_name,
    )


def _first_frame(path: Path) -> VideoFrame:
    container, stream = _open(path)
    with container:
        for frame in container.decode(stream):
            return frame
    raise _error(path, "holds no frame that can be decoded")


def _decode(path: Path, index: _Index, wanted_pts: set[int]) -> dict[int, FramesTHWC]:
    """The pixels of the wanted frames, one key frame's run after the other."""
    runs: dict[int, set[int]] = {}
    for pts in wanted_pts:
        place = bisect_right(index.key_pts, pts) - 1
        runs.setdefault(index.key_pts[place] if place > 0 else index.pts[0], set()).add(pts)
    found: dict[int, FramesTHWC] = {}
    container, stream = _open(path)
    try:
        with container:
            for key_pts, run in sorted(runs.items()):
                if key_pts != index.pts[0]:
                    container.seek(key_pts, stream=stream, backward=True)
                found |= _pick(path, container.decode(stream), run)
        if late := wanted_pts - set(found):
            container, stream = _open(path)
            with container:
                found |= _pick(path, container.decode(stream), late)
    except (av.FFmpegError, ValueError) as error:
        raise _error(path, f"damaged: {error}") from error
    if missing := wanted_pts - set(found):
        at = float((min(missing) - index.pts[0]) * index.timeline.tick_s)
        raise _error(path, f"the frame at {at:.6g} s and {len(missing) - 1} more cannot be decoded")
    return found


def _pick(path: Path, decoded: Iterable[VideoFrame], wanted_pts: set[int]) -> dict[int, FramesTHWC]:
    found: dict[int, FramesTHWC] = {}
    reformatter = VideoReformatter()
    for frame in decoded:
        if frame.is_corrupt:
            raise _error(path, f"damaged: the frame at tick {frame.pts} is marked corrupt")
        pts = frame.pts if frame.pts is not None else frame.dts
        if pts in wanted_pts:
            found[pts] = _rgb(path, frame, reformatter)
        if len(found) == len(wanted_pts) or (pts is not None and pts > max(wanted_pts)):
            break
    return found


def _rgb(path: Path, frame: VideoFrame, reformatter: VideoReformatter) -> FramesTHWC:
    """uint8 RGB [H, W, 3], upright. A display matrix that is no quarter turn is refused."""
    if frame.rotation % 90:
        raise _error(path, f"is turned by {frame.rotation} degrees; only quarter turns are read")
    space = {_UNSPECIFIED: _BT601, _RGB_IDENTITY: None}.get(int(frame.colorspace), int(frame.colorspace))
    # At 8 bits and even sizes FFmpeg repeats chroma whatever is asked; elsewhere the filter is ours to choose.
    spread = Interpolation.POINT if frame.format.components[0].bits > 8 else Interpolation.BICUBIC
    # Its default, a pool of threads per call, costs more than the conversion; the pixels are the same.
    made = reformatter.reformat(frame, format="rgb24", src_colorspace=space, interpolation=spread, threads=1)
    pixels = made.to_ndarray()
    upright: FramesTHWC = np.ascontiguousarray(np.rot90(pixels, k=(frame.rotation // 90) % 4))
    return upright
