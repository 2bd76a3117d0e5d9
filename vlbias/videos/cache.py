"""A segment becomes frames, once: decoded in a worker, kept by content, checked at every reading."""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import LifoQueue
from types import TracebackType

import cv2
import numpy as np

from vlbias.disk import sha256_of_file
from vlbias.errors import DecodeError
from vlbias.records import Frames, FramesTHWC, Scene, Segment, digest
from vlbias.videos import ClipInfo, media, sampling
from vlbias.videos._container import container_of
from vlbias.videos.draw import film, snapshots
from vlbias.videos.worker import Worker, module_of

SCHEMA = 2
IMAGENET_MEAN_RGB = (124, 116, 104)


def check(segment: Segment) -> str | None:
    """What is wrong with a segment's file, told without decoding; None when nothing is (or it has no file)."""
    if segment.path is None:
        return None
    path = Path(segment.path)
    try:
        if segment.kind == "image":
            media.image(path)
        else:
            container_of(path, decoder="check")
        _sha256(path, segment)
    except DecodeError as error:
        return error.reason
    return None


def template(like: Frames, count: int) -> Frames:
    """`count` frames of the size of `like`, filled with the ImageNet mean colour: a segment without content."""
    shape = (count, *like.frames_THWC.shape[1:])
    pixels = np.broadcast_to(np.array(IMAGENET_MEAN_RGB, dtype=np.uint8), shape).copy()
    times = tuple(float(k) for k in range(count))
    sha256 = _pixels_sha256(pixels)
    return Frames(
        frames_THWC=pixels, timestamps_s=times, asked_s=times, sha256=sha256, decoder="template", decoder_version="1"
    )


class FrameCache:
    """Frames of segments, decoded once and kept in `folder` by content; a context manager.

    `frame_size_wh_px` resizes (area when smaller, cubic when larger). `n_decoded` and `decode_s` count what was
    really decoded, and for how many seconds, those of all `workers` added up. Two processes may share a folder.
    """

    def __init__(
        self,
        folder: Path,
        *,
        backend: str = "av",
        num_frames: int = 8,
        rule: sampling.Rule = "midpoints",
        frame_size_wh_px: tuple[int, int] | None = None,
        time_limit_s: float = 30.0,
        workers: int = 1,
    ) -> None:
        self.folder, self.backend, self.num_frames, self.rule = folder, backend, num_frames, rule
        self.frame_size_wh_px = frame_size_wh_px
        self.n_decoded, self.decode_s = 0, 0.0
        self._workers = [Worker(module_of(backend), time_limit_s=time_limit_s) for _ in range(workers)]
        # Last in, first out: a process is started only when all others are at work.
        self._idle: LifoQueue[Worker] = LifoQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._counting = threading.Lock()
        self._version: str | None = None
        self._infos: dict[str, ClipInfo] = {}
        self._failures: dict[tuple[str, str, float, float | None], DecodeError] = {}

    def __enter__(self) -> FrameCache:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.close()

    @property
    def decoder_version(self) -> str:
        """The version of the decoder, as the worker tells it."""
        if self._version is None:
            with self._worker() as worker:
                self._version = worker.version()
        return self._version

    def frames(self, segment: Segment) -> Frames:
        """The frames of a clip, an image or drawn scenes. Errors: DecodeError, at once when it failed before."""
        if segment.kind not in ("clip", "image"):
            raise ValueError(f"segment {segment.segment_id}: a {segment.kind} has no frames of its own")
        if segment.path is None and segment.kind == "image" and len(segment.scenes) == 1:
            return self._drawn(segment.scenes[0])
        path = Path(segment.path) if segment.path is not None else film(segment.scenes, folder=self.folder / "films")
        sha256 = _sha256(path, segment if segment.path is not None else None)
        place = (sha256, segment.kind, segment.start_s, segment.end_s)
        if known := self._failures.get(place):
            raise DecodeError(path=str(path), decoder=known.decoder, reason=known.reason)
        try:
            if segment.kind == "image" and segment.path is not None:
                return self._kept(path, sha256, ())
            return self._kept(path, sha256, self._asked(path, sha256, segment))
        except DecodeError as error:
            self._failures[place] = error
            raise

    def _drawn(self, scene: Scene) -> Frames:
        """A drawn image as it is: no film is made of it, and drawing again costs less than keeping it on disk."""
        began = time.perf_counter()
        pixels = _resized(snapshots(scene, (scene.duration_s / 2,)), self.frame_size_wh_px)
        with self._counting:
            self.n_decoded += 1
            self.decode_s += time.perf_counter() - began
        return Frames(
            frames_THWC=pixels,
            timestamps_s=(0.0,),
            asked_s=(0.0,),
            sha256=_pixels_sha256(pixels),
            decoder="drawn",
            decoder_version=f"opencv {cv2.__version__}",
        )

    def several(self, segments: Iterable[Segment]) -> dict[Segment, Frames]:
        """The frames of clips and images, as many decoded at once as there are workers.

        What cannot be read is left out; `frames` raises for it. With one worker nothing is read in advance.
        """
        if len(self._workers) == 1:
            return {}
        wanted = list(dict.fromkeys(s for s in segments if s.kind in ("clip", "image")))
        with ThreadPoolExecutor(max_workers=len(self._workers), thread_name_prefix="decode") as pool:
            found = list(pool.map(self._frames_or_none, wanted))
        return {segment: frames for segment, frames in zip(wanted, found) if frames is not None}

    def _frames_or_none(self, segment: Segment) -> Frames | None:
        try:
            return self.frames(segment)
        except DecodeError:
            return None

    @contextmanager
    def _worker(self) -> Iterator[Worker]:
        worker = self._idle.get()
        try:
            yield worker
        finally:
            self._idle.put(worker)

    def _decoded(self, path: Path, asked_s: tuple[float, ...], out: Path) -> tuple[float, ...]:
        with self._worker() as worker:
            return worker.frames(path, asked_s, out=out)

    def _asked(self, path: Path, sha256: str, segment: Segment) -> tuple[float, ...]:
        if sha256 not in self._infos:
            with self._worker() as worker:
                self._infos[sha256] = worker.info(path)
        clip = self._infos[sha256]
        end_s = clip.duration_s if segment.end_s is None else segment.end_s
        if not 0 <= segment.start_s < end_s <= clip.duration_s + 1 / clip.fps:
            reason = f"the part {segment.start_s:g} to {end_s:g} s is not inside the clip's {clip.duration_s:g} s"
            raise DecodeError(path=str(path), decoder=self.backend, reason=reason)
        count = 1 if segment.kind == "image" else self.num_frames
        end_s = min(end_s, clip.duration_s)
        return sampling.timestamps(start_s=segment.start_s, end_s=end_s, count=count, rule=self.rule, fps=clip.fps)

    def _kept(self, path: Path, sha256: str, asked_s: tuple[float, ...]) -> Frames:
        """From the cache when it is whole, else decoded and kept. An image has no asked times."""
        decoder, version = (self.backend, self.decoder_version) if asked_s else ("pillow", media.image_version())
        key = digest([SCHEMA, sha256, decoder, version, list(asked_s), self.frame_size_wh_px])
        pixels_file = self.folder / key[:2] / f"{key}.npy"
        if held := _read(pixels_file, decoder, version, asked_s or (0.0,)):
            return held
        pixels_file.parent.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".decoding-") as scratch:
            out = Path(scratch) / "frames.npy"
            own_s = self._decoded(path, asked_s, out) if asked_s else (0.0,)
            pixels = np.load(out, allow_pickle=False) if asked_s else media.image(path)
            if _sha256(path, None) != sha256:
                raise DecodeError(path=str(path), decoder=decoder, reason="the file changed while it was read")
            pixels = _resized(pixels, self.frame_size_wh_px)
            note = {"timestamps_s": list(own_s), "sha256": _pixels_sha256(pixels)}
            np.save(out, pixels, allow_pickle=False)
            (Path(scratch) / "note.json").write_text(json.dumps(note, allow_nan=False), encoding="utf-8")
            out.replace(pixels_file)
            (Path(scratch) / "note.json").replace(pixels_file.with_suffix(".json"))
        with self._counting:
            self.n_decoded += 1
            self.decode_s += time.perf_counter() - began
        held = _read(pixels_file, decoder, version, asked_s or (0.0,))
        if held is None:
            raise DecodeError(path=str(path), decoder=decoder, reason=f"the cache file {pixels_file} is damaged")
        return held


def _read(pixels_file: Path, decoder: str, version: str, asked_s: tuple[float, ...]) -> Frames | None:
    """The kept frames, memory-mapped; None when they are absent or not the bytes that were kept."""
    try:
        note = json.loads(pixels_file.with_suffix(".json").read_text(encoding="utf-8"))
        pixels = np.load(pixels_file, mmap_mode="r", allow_pickle=False)
        sha256, own_s = str(note["sha256"]), tuple(float(t) for t in note["timestamps_s"])
    except (OSError, ValueError, EOFError, KeyError, TypeError):
        return None
    if _pixels_sha256(pixels) != sha256 or len(own_s) != len(pixels):
        return None
    return Frames(
        frames_THWC=pixels,
        timestamps_s=own_s,
        asked_s=asked_s,
        sha256=sha256,
        decoder=decoder,
        decoder_version=version,
    )


def _sha256(path: Path, segment: Segment | None) -> str:
    try:
        found = sha256_of_file(path)
    except OSError as error:
        raise DecodeError(path=str(path), decoder="check", reason=f"cannot be read: {error.strerror}") from error
    if segment is not None and segment.sha256 is not None and segment.sha256 != found:
        reason = f"its sha256 is {found}, the suite says {segment.sha256}"
        raise DecodeError(path=str(path), decoder="check", reason=reason)
    return found


def _pixels_sha256(pixels: FramesTHWC) -> str:
    shape = f"{pixels.dtype} {pixels.shape} ".encode()
    return hashlib.sha256(shape + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def _resized(pixels: FramesTHWC, size_wh_px: tuple[int, int] | None) -> FramesTHWC:
    if size_wh_px is None or (pixels.shape[2], pixels.shape[1]) == size_wh_px:
        return pixels
    shrinks = size_wh_px[0] <= pixels.shape[2] and size_wh_px[1] <= pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.stack([cv2.resize(frame, size_wh_px, interpolation=how) for frame in pixels]).astype(np.uint8)
