"""Compatibility decoders show the frames of the reference or refuse."""

from importlib.util import find_spec

import numpy as np
import pytest

from vlbias.errors import DecodeError
from vlbias.videos import decode_av
from vlbias.videos._witness import MAX_MEAN_LEVELS, checked
from vlbias.videos.worker import Worker, module_of

REFUSED = {
    "opencv": {"av1_video.mkv", "decord_corrupted.mp4", "bt2020_10bit.mp4", "nasa_13013_hdr.mp4", "h264_10bits.mp4"},
    "decord": {"av1_video.mkv", "decord_corrupted.mp4", "discard_first_keyframe.mp4", "nasa_13013.mp4"},
    "torchcodec": {"decord_corrupted.mp4"},
}


@pytest.mark.parametrize("backend", ["opencv", "decord", "torchcodec"])
def test_decoders_that_can_read_a_clip_agree_within_two_levels(awkward_data, middles, backend, tmp_path):
    out = tmp_path / "x.npy"
    with Worker(module_of(backend), time_limit_s=60) as worker:
        for path in sorted((awkward_data / "videos").iterdir()):
            try:
                asked = middles(path, 2)
            except DecodeError:
                assert path.name == "decord_corrupted.mp4"
                continue
            try:
                worker.frames(path, asked, out=out)
            except DecodeError as error:
                if backend == "torchcodec" and ("No module" in error.reason or "libtorchcodec" in error.reason):
                    pytest.skip(error.reason)
                assert path.name in REFUSED[backend], error
                assert path.name in str(error) and backend in str(error)
                continue
            assert path.name not in REFUSED[backend], f"{backend} reads {path.name} now"
            right, _ = decode_av.frames(path, asked)
            assert np.abs(np.load(out).astype(int) - right).mean() <= 2


def test_torchcodec_says_why_it_does_not_work(clip, tmp_path):
    if find_spec("torchcodec") is not None:
        pytest.skip("torchcodec is installed; its frames are tested above")
    with Worker(module_of("torchcodec")) as worker, pytest.raises(DecodeError, match="cannot be imported.*torchcodec"):
        worker.info(clip)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda frames, own_s: (np.zeros_like(frames), own_s), "a black frame"),
        (lambda frames, own_s: (np.repeat(frames[-1:], len(frames), axis=0), own_s), "another picture"),
        (lambda frames, own_s: (np.clip(frames.astype(int) + 3, 0, 255).astype(np.uint8), own_s), "limit is 2"),
        (lambda frames, own_s: (frames, (own_s[-1],) * len(own_s)), "on display is that of"),
        (lambda frames, own_s: (frames[:, ::2], own_s), "shape"),
    ],
    ids=["black", "last frame repeated", "colours off by three", "times of another frame", "another size"],
)
def test_a_decoder_that_shows_something_else_is_caught(awkward_data, middles, spoil, reason):
    path = awkward_data / "videos" / "testsrc2_mpeg4.avi"
    asked = middles(path, 2)
    frames_THWC, own_s = decode_av.frames(path, asked)
    checked(path, asked, (frames_THWC, own_s), decoder="other")
    with pytest.raises(DecodeError, match=reason):
        checked(path, asked, spoil(frames_THWC, own_s), decoder="other")
    assert MAX_MEAN_LEVELS == 2
