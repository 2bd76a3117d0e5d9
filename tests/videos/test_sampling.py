import pytest

from vlbias.videos import decode_av, sampling


def test_linspace_takes_the_frame_numbers_of_levelgauge(clip):
    asked = sampling.timestamps(start_s=0, end_s=1, count=4, rule="linspace", fps=10)
    assert [round(t * 10) for t in decode_av.frames(clip, asked)[1]] == [int(i * 9 / 3) for i in range(4)]


def test_midpoints_stand_in_the_middle_of_equal_parts():
    assert sampling.timestamps(start_s=2, end_s=6, count=4, rule="midpoints") == (2.5, 3.5, 4.5, 5.5)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"end_s": 0.0}, {"start_s": -1.0}, {"rule": "linspace"}])
def test_a_part_without_frames_is_refused(wrong):
    with pytest.raises(ValueError):
        sampling.timestamps(**{"start_s": 0.0, "end_s": 1.0, "count": 2, "rule": "midpoints", **wrong})
