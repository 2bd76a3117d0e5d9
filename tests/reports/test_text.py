import pytest

from vlbias.reports._text import clean, pathless, save


def test_escapes_controls_and_direction_overrides_do_not_survive():
    assert clean("a\x1b[31mb\x07c\u202ed\ne\x9bf\ud800") == "ab c d e f"
    assert clean("\x1b]8;;file:///x\x07link\x1b]8;;\x07") == "link"
    assert clean("x" * 9, 4) == "xxx…"


def test_a_file_that_cannot_be_put_in_place_leaves_no_draft(tmp_path):
    place = tmp_path / "report.html"
    (place / "kept").mkdir(parents=True)
    with pytest.raises(OSError, match="directory|Directory"):
        save(place, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_a_file_is_replaced_whole(tmp_path):
    save(tmp_path / "a" / "b.txt", "old and long")
    assert save(tmp_path / "a" / "b.txt", "new").read_text() == "new"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/data/me/a/b.mp4: broken", "…/b.mp4: broken"),
        ("pretrained=~/models/tiny/,x=1", "pretrained=…/tiny,x=1"),
        ("C:\\Users\\me\\clip.mp4", "…/clip.mp4"),
        ("Org/Model of https://a.org/b/c, 3/4, and/or a / b", "Org/Model of https://a.org/b/c, 3/4, and/or a / b"),
    ],
)
def test_a_path_of_the_machine_is_told_by_its_last_part_and_nothing_else_changes(text, said):
    assert pathless(text) == said
