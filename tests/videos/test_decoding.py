"""Decoders agree or refuse; a damaged, hanging or lying file becomes an error with a reason."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from vlbias.errors import DecodeError
from vlbias.records import Segment
from vlbias.videos import cache, decode_av, decode_opencv, media, sampling
from vlbias.videos.worker import Worker, module_of

REFUSED = {
    "opencv": {"av1_video.mkv", "decord_corrupted.mp4", "bt2020_10bit.mp4", "nasa_13013_hdr.mp4"},
    "decord": {"av1_video.mkv", "decord_corrupted.mp4", "discard_first_keyframe.mp4", "nasa_13013.mp4"},
}
ABOVE_TWO_LEVELS = {"decord": {"h264_10bits.mp4", "bt2020_10bit.mp4"}, "opencv": set()}


@pytest.fixture
def clip(awkward_data: Path) -> Path:
    return awkward_data / "videos" / "h265_video.mp4"


def middles(path: Path, count: int = 4) -> tuple[float, ...]:
    found = decode_av.info(path)
    return sampling.timestamps(start_s=0, end_s=found.duration_s, count=count, rule="midpoints")


@pytest.mark.parametrize("backend", ["opencv", "decord"])
def test_each_decoder_shows_the_frames_of_the_reference_or_refuses(awkward_data, backend, tmp_path) -> None:
    with Worker(module_of(backend)) as worker:
        for path in sorted((awkward_data / "videos").iterdir()):
            if path.name in REFUSED[backend]:
                with pytest.raises(DecodeError, match=path.name):
                    worker.frames(path, middles(path, 8), out=tmp_path / "x.npy")
                    pytest.fail(f"{backend} reads {path.name}")
                continue
            asked = middles(path)
            worker.frames(path, asked, out=tmp_path / "x.npy")
            right, _ = decode_av.frames(path, asked)
            off = np.abs(np.load(tmp_path / "x.npy").astype(int) - right).mean()
            assert off <= (4 if path.name in ABOVE_TWO_LEVELS[backend] else 2), (path.name, off)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("name", ["nasa_13013.mp4", "testsrc2_vp8.webm", "testsrc2_mpeg4.avi"])
def test_a_file_cut_short_is_refused_before_decoding(awkward_data, tmp_path, share, name) -> None:
    whole = (awkward_data / "videos" / name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(whole[: int(len(whole) * share)])
    for decoder in (decode_av, decode_opencv):
        with pytest.raises(DecodeError, match="truncated"):
            decoder.frames(cut, [0.1])
    assert "truncated" in (cache.check(Segment(segment_id="s", path=str(cut))) or "")


@pytest.mark.parametrize(
    "text", [b"#EXTM3U\n", b"ffconcat version 1.0\nfile a.mp4\n", b"v=0\no=- 0 0\n", b"<html>404</html>", b""]
)
def test_a_playlist_or_page_named_mp4_is_refused(tmp_path, text) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(text)
    with pytest.raises(DecodeError, match="playlist|not a video|empty"):
        decode_av.frames(path, [0.0])


def test_rotated_clips_come_out_upright(awkward_data) -> None:
    shapes = {}
    for turn in (0, 90, 180, 270):
        path = awkward_data / "videos" / f"decord_video_{turn}.mov"
        shapes[turn] = decode_av.frames(path, [0.0])[0].shape[1:3]
        assert shapes[turn] == decode_av.info(path).size_wh_px[::-1]
    assert shapes[0] == shapes[180] == shapes[90][::-1] == shapes[270][::-1]


def test_time_counts_from_the_first_frame_shown(awkward_data) -> None:
    for name in ("test_non_zero_start.mp4", "discard_first_keyframe.mp4"):
        assert decode_av.frames(awkward_data / "videos" / name, [0.0])[1] == (0.0,)


def test_a_time_beyond_the_end_is_an_error_and_not_the_last_frame(clip) -> None:
    with pytest.raises(DecodeError, match="from 0 s to 1 s only"):
        decode_av.frames(clip, [0.5, 1.2])


def test_a_sparse_read_gives_the_frames_of_a_full_read(awkward_data) -> None:
    path = awkward_data / "videos" / "nasa_13013.mp4"
    asked = middles(path, 325)
    full, own_s = decode_av.frames(path, asked)
    for k in (324, 7, 250):
        sparse, at = decode_av.frames(path, [asked[k]])
        assert at == (own_s[k],) and np.array_equal(sparse[0], full[k])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("while True: pass", "limit of 2 s"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("bytearray(1 << 40)", "memory"),
    ],
)
def test_a_decoder_that_hangs_crashes_or_eats_memory_is_named_and_replaced(tmp_path, monkeypatch, body, reason) -> None:
    code = f"import os, signal\ndef version(): return 'v'\ndef info(path):\n    {body}\n"
    (tmp_path / "bad_decoder.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    began = time.monotonic()
    with Worker("bad_decoder", time_limit_s=2) as worker:
        assert worker.version() == "v"
        with pytest.raises(DecodeError, match=reason):
            worker.info(tmp_path)
        assert time.monotonic() - began < 15
        assert worker.version() == "v"
        child = worker._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(child, signal.SIG_DFL)


def test_a_clip_is_decoded_once_and_kept_by_content(clip, tmp_path) -> None:
    copy = tmp_path / "clip.mp4"
    copy.write_bytes(clip.read_bytes())
    segment = Segment(segment_id="s", path=str(copy))
    with cache.FrameCache(tmp_path / "cache", num_frames=3, frame_size_wh_px=(32, 32)) as frames:
        first = frames.frames(segment)
        assert first.frames_THWC.shape == (3, 32, 32, 3) and frames.frames(segment).sha256 == first.sha256
        assert frames.n_decoded == 1
        kept = next((tmp_path / "cache").rglob("*.npy"))
        held = bytearray(kept.read_bytes())
        held[-5] ^= 0xFF
        kept.write_bytes(held)
        assert frames.frames(segment).sha256 == first.sha256
        assert frames.n_decoded == 2
        copy.write_bytes((clip.parent / "test_non_zero_start.mp4").read_bytes())
        assert frames.frames(segment).sha256 != first.sha256
        with pytest.raises(DecodeError, match="the suite says"):
            frames.frames(Segment(segment_id="s", path=str(copy), sha256=media.sha256_of_file(clip)))
        assert (cache.template(first, 2).frames_THWC == np.array(cache.IMAGENET_MEAN_RGB)).all()


def test_linspace_takes_the_frame_numbers_of_levelgauge(clip) -> None:
    asked = sampling.timestamps(start_s=0, end_s=1, count=4, rule="linspace", fps=10)
    assert [round(t * 10) for t in decode_av.frames(clip, asked)[1]] == [int(i * 9 / 3) for i in range(4)]
