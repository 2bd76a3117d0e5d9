import numpy as np
import pytest

from vlbias.errors import DecodeError
from vlbias.videos import decode_av


def test_rotated_clips_come_out_upright(awkward_data):
    shapes = {}
    for turn in (0, 90, 180, 270):
        path = awkward_data / "videos" / f"decord_video_{turn}.mov"
        shapes[turn] = decode_av.frames(path, [0.0])[0].shape[1:3]
        assert shapes[turn] == decode_av.info(path).size_wh_px[::-1]
    assert shapes[0] == shapes[180] == shapes[90][::-1] == shapes[270][::-1]


def test_time_counts_from_the_first_frame_shown(awkward_data):
    for name in ("test_non_zero_start.mp4", "discard_first_keyframe.mp4"):
        assert decode_av.frames(awkward_data / "videos" / name, [0.0])[1] == (0.0,)


def test_a_time_beyond_the_end_is_an_error_and_not_the_last_frame(clip):
    with pytest.raises(DecodeError, match="from 0 s to 1 s only"):
        decode_av.frames(clip, [0.5, 1.2])


def test_a_sparse_read_gives_the_frames_of_a_full_read(awkward_data, middles):
    path = awkward_data / "videos" / "nasa_13013.mp4"
    asked = middles(path, 325)
    full, own_s = decode_av.frames(path, asked)
    for k in (324, 7, 250):
        sparse, at = decode_av.frames(path, [asked[k]])
        assert at == (own_s[k],) and np.array_equal(sparse[0], full[k])


def test_a_variable_rate_is_read_by_time_and_not_by_number(encode):
    path = encode([20, 90, 160, 230], [0, 100, 600, 650])
    assert decode_av.timeline(path).starts_s == pytest.approx([0, 0.1, 0.6, 0.65])
    frames_THWC, own_s = decode_av.frames(path, [0.05, 0.5, 0.62, 0.6505])
    assert own_s == pytest.approx([0, 0.1, 0.6, 0.65])
    assert frames_THWC.mean(axis=(1, 2, 3)) == pytest.approx([20, 90, 160, 230], abs=3)


def test_an_interlaced_clip_gives_its_frames_and_not_black_ones(encode):
    path = encode([60, 120, 180], [0, 40, 80], flags="+ildct+ilme", **{"x264-params": "interlaced=1"})
    frames_THWC, _ = decode_av.frames(path, [0.0, 0.041, 0.081])
    assert frames_THWC.mean(axis=(1, 2, 3)) == pytest.approx([60, 120, 180], abs=3)


def test_a_flipped_bit_never_repeats_a_frame_and_is_mostly_an_error(bundled_clip, flipped, middles):
    rng, asked = np.random.default_rng(7), middles(bundled_clip, 6)
    right, right_s = decode_av.frames(bundled_clip, asked)
    n_errors, size = 0, len(bundled_clip.read_bytes())
    for bit in rng.integers(8 * size, size=60):
        try:
            found, own_s = decode_av.frames(flipped(bundled_clip, int(bit)), asked)
        except DecodeError:
            n_errors += 1
            continue
        assert own_s == right_s and found.shape == right.shape, f"bit {bit} moves a frame without a word"
        for k in range(1, len(found)):
            assert not np.array_equal(found[k], found[k - 1]), f"bit {bit} repeats frame {k} without a word"
    assert n_errors > 40, "single flips in H.264 are found in four of five cases"


@pytest.mark.parametrize("depth", ["8", "10"])
def test_the_chroma_of_an_edge_is_spread_by_nearest_neighbour_at_any_depth(awkward_data, depth):
    name = {"8": "bt601_full_range.mp4", "10": "h264_10bits.mp4"}[depth]
    frames_THWC, _ = decode_av.frames(awkward_data / "videos" / name, [0.0])
    red_less_luma = frames_THWC[0].astype(float) @ np.array([0.701, -0.587, -0.114])
    within = np.abs(red_less_luma[:, 0::2] - red_less_luma[:, 1::2]).mean()
    across = np.abs(red_less_luma[:, 1:-1:2] - red_less_luma[:, 2::2]).mean()
    assert within < across / 2, "pixels that share a chroma sample differ in colour"
