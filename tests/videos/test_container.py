import pytest

from vlbias.errors import DecodeError
from vlbias.records import Segment
from vlbias.videos import cache, decode_av, decode_opencv


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("name", ["nasa_13013.mp4", "testsrc2_vp8.webm", "testsrc2_mpeg4.avi"])
def test_a_file_cut_short_is_refused_before_decoding(awkward_data, tmp_path, share, name):
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
def test_a_playlist_or_page_named_mp4_is_refused(tmp_path, text):
    path = tmp_path / "clip.mp4"
    path.write_bytes(text)
    with pytest.raises(DecodeError, match="playlist|not a video|empty"):
        decode_av.frames(path, [0.0])


def test_a_folder_and_a_missing_file_are_refused_by_name(tmp_path):
    for path in (tmp_path, tmp_path / "gone.mp4"):
        with pytest.raises(DecodeError, match=path.name):
            decode_av.frames(path, [0.0])
