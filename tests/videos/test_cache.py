import os
import subprocess
import sys

import numpy as np
import pytest

from vlbias.disk import sha256_of_file
from vlbias.errors import DecodeError
from vlbias.records import Scene, Segment, Sprite
from vlbias.videos import cache, decode_av, draw

FILL = """
import sys
from pathlib import Path
from vlbias.records import Segment
from vlbias.videos.cache import FrameCache
folder, *clips = sys.argv[1:]
with FrameCache(Path(folder), num_frames=4) as frames:
    for k in range(3):
        for clip in clips:
            print(frames.frames(Segment(segment_id="s", path=clip)).sha256)
"""


def test_a_clip_is_decoded_once_and_kept_by_content(clip, tmp_path):
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
        assert (cache.template(first, 2).frames_THWC == np.array(cache.IMAGENET_MEAN_RGB)).all()


def test_any_flipped_bit_of_a_clip_whose_hash_is_known_is_an_error(bundled_clip, flipped, tmp_path):
    known, size = sha256_of_file(bundled_clip), bundled_clip.stat().st_size
    with cache.FrameCache(tmp_path / "cache", num_frames=2) as frames:
        for bit in np.random.default_rng(3).integers(8 * size, size=50):
            damaged = Segment(segment_id="s", path=str(flipped(bundled_clip, int(bit))), sha256=known)
            with pytest.raises(DecodeError, match="the suite says"):
                frames.frames(damaged)
            assert "the suite says" in (cache.check(damaged) or "")


def test_a_segment_is_the_cut_part_of_a_longer_file(awkward_data, tmp_path):
    path = awkward_data / "videos" / "nasa_13013.mp4"
    part = Segment(segment_id="s", path=str(path), start_s=4.0, end_s=6.0)
    with cache.FrameCache(tmp_path, num_frames=4) as frames:
        found = frames.frames(part)
        assert found.asked_s == (4.25, 4.75, 5.25, 5.75)
        assert all(4 <= t < 6 for t in found.timestamps_s)
        assert np.array_equal(found.frames_THWC, decode_av.frames(path, found.asked_s)[0])
        for start_s, end_s in ((4.0, 4000.0), (4000.0, None), (6.0, 4.0)):
            with pytest.raises(DecodeError, match="not inside the clip's"):
                frames.frames(Segment(segment_id="s", path=str(path), start_s=start_s, end_s=end_s))


def test_two_processes_may_fill_one_folder_at_once(clip, tmp_path):
    clips = [str(clip), str(clip.parent / "test_non_zero_start.mp4"), str(clip.parent / "testsrc2_vp8.webm")]
    command = [sys.executable, "-c", FILL, str(tmp_path / "cache"), *clips]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1] and len(said[0]) == 9 and len(set(said[0])) == 3
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 3
    assert not list((tmp_path / "cache").glob(".decoding-*"))


def test_a_clip_that_cannot_be_read_is_asked_once_only(tmp_path, monkeypatch):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\x00\x00\x00\x18ftypisom" + bytes(400))
    segment = Segment(segment_id="s", path=str(broken))
    with cache.FrameCache(tmp_path / "cache") as frames:
        with pytest.raises(DecodeError, match="broken.mp4: av: ") as first:
            frames.frames(segment)
        monkeypatch.setattr(cache.Worker, "info", None)
        with pytest.raises(DecodeError) as again:
            frames.frames(segment)
    assert again.value.reason == first.value.reason


def test_a_drawn_image_is_given_as_it_is_drawn_and_nothing_is_kept(tmp_path):
    scene = Scene(
        sprites=(Sprite(form="star", colour_rgb=(200, 30, 30), centre_xy=(0.5, 0.4), radius=0.2),), texture="checks",
        backdrop_rgb=(20, 20, 20), duration_s=1.0, fps=1.0, size_wh_px=(64, 48), seed=5,
    )  # fmt: skip
    segment = Segment(segment_id="s", kind="image", scenes=(scene,))
    with cache.FrameCache(tmp_path / "cache", num_frames=3) as frames:
        found = frames.frames(segment)
        assert (found.frames_THWC == draw.frames([scene])).all() and found.decoder == "drawn"
        assert frames.n_decoded == 1 and not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
        assert frames.frames(segment).sha256 == found.sha256
    with cache.FrameCache(tmp_path / "cache", num_frames=3, frame_size_wh_px=(32, 24)) as frames:
        assert frames.frames(segment).frames_THWC.shape == (1, 24, 32, 3)


def test_several_workers_decode_at_once_and_give_what_one_gives(clip, tmp_path):
    copies = [tmp_path / f"{k}.mp4" for k in range(6)]
    for copy in copies:
        copy.write_bytes(clip.read_bytes())
    parts = [Segment(segment_id=f"s{k}", path=str(c), start_s=k / 10) for k, c in enumerate(copies)]
    bad = Segment(segment_id="bad", path=str(tmp_path / "none.mp4"))
    with cache.FrameCache(tmp_path / "one", num_frames=3) as frames:
        alone = {part: frames.frames(part).sha256 for part in parts}
        assert frames.several(parts) == {}, "one worker reads nothing in advance"
    assert len(set(alone.values())) > 1
    with cache.FrameCache(tmp_path / "three", num_frames=3, workers=3) as frames:
        found = frames.several([*parts, bad, *parts])
        assert {part: one.sha256 for part, one in found.items()} == alone
        assert frames.n_decoded == len(parts)
        assert sum(worker._process is not None for worker in frames._workers) == 3
        with pytest.raises(DecodeError, match="cannot be read"):
            frames.frames(bad)
    assert all(worker._process is None for worker in frames._workers)


def test_one_clip_at_a_time_starts_one_process_however_many_may_be_had(clip, tmp_path):
    with cache.FrameCache(tmp_path / "cache", num_frames=3, workers=4) as frames:
        for k in range(3):
            frames.frames(Segment(segment_id="s", path=str(clip), start_s=k / 10))
        assert sum(worker._process is not None for worker in frames._workers) == 1
