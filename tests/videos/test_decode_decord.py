import pytest

from vlbias.errors import DecodeError
from vlbias.videos import decode_decord


def test_two_equal_failures_say_the_same_without_clock_or_source_file(awkward_data):
    with pytest.raises(DecodeError) as told:
        decode_decord.frames(awkward_data / "videos" / "av1_video.mkv", [0.1])
    assert told.value.reason.startswith("Check failed") and "video_reader.cc" not in told.value.reason
