"""The box of a drawn thing is where its pixels are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlbias.disk import sha256_of_file
from vlbias.errors import BadInput
from vlbias.records import Picture, Scene, Sprite
from vlbias.videos import draw
from vlbias.videos._forms import FORMS
from vlbias.videos.extents import picture_box, sprite_box

SIZE = (240, 160)
EMPTY = Scene(sprites=(), backdrop_rgb=(0, 0, 0), texture="plain", duration_s=1.0, fps=1.0, size_wh_px=SIZE, seed=1)


def seen_box(scene: Scene) -> list[float]:
    """Where the image is bright, in pixels: the left, top, right and bottom edge."""
    bright = draw.snapshots(scene, [0.5])[0].max(axis=2) > 60
    y, x = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    return [x[0], y[0], x[-1] + 1, y[-1] + 1]


@pytest.mark.parametrize("turn_deg", [0.0, 90.0, 225.0])
@pytest.mark.parametrize("form", sorted(FORMS))
def test_the_box_of_a_sprite_is_where_its_pixels_are_within_two_pixels(form: str, turn_deg: float) -> None:
    sprite = Sprite(form=form, colour_rgb=(255, 255, 255), centre_xy=(0.4, 0.55), radius=0.25, turn_deg=turn_deg)
    seen = seen_box(replace(EMPTY, sprites=(sprite,)))
    told = np.array(sprite_box(sprite, size_wh_px=SIZE)) * (SIZE * 2)
    # A slanting line ends in a round cap, so the box may be wider than its pixels by half the line's breadth.
    slack = 6 if turn_deg == 225.0 else 2
    assert np.abs(told - seen).max() <= slack


def test_a_turn_is_clockwise_and_a_mirrored_figure_is_no_turned_one() -> None:
    hook = Sprite(form="hook", colour_rgb=(255, 255, 255), centre_xy=(0.5, 0.5), radius=0.3)
    square = replace(EMPTY, size_wh_px=(160, 160))

    def drawn(**changes: float) -> np.ndarray:
        return draw.snapshots(replace(square, sprites=(replace(hook, **changes),)), [0.5])[0].max(axis=2) > 128

    upright = drawn()
    for quarter in range(4):
        same = np.mean(drawn(turn_deg=90.0 * quarter) == np.rot90(upright, -quarter))
        assert same > 0.98
        assert np.mean(drawn(mirrored=True) == np.rot90(upright, quarter)) < 0.95
    assert np.mean(drawn(mirrored=True) == upright[:, ::-1]) > 0.98


def test_the_box_of_a_picture_is_where_it_is_drawn(tmp_path: Path) -> None:
    file = tmp_path / "white.png"
    Image.fromarray(np.full((30, 90, 3), 255, np.uint8)).save(file)
    hung = Picture(path=str(file), sha256=sha256_of_file(file), box_xyxy=(0.25, 0.1, 0.75, 0.9))
    seen = seen_box(replace(EMPTY, pictures=(hung,)))
    assert (np.array(picture_box(hung, size_wh_px=SIZE)) * (SIZE * 2)).tolist() == pytest.approx(seen)


def test_a_word_is_drawn_in_its_place_and_needs_a_text() -> None:
    word = Sprite(form="word", colour_rgb=(255, 255, 255), centre_xy=(0.5, 0.5), radius=0.1, text="Save")
    x1, y1, x2, y2 = seen_box(replace(EMPTY, sprites=(word,)))
    assert abs((x1 + x2) / 2 - 120) < 6 and abs((y1 + y2) / 2 - 80) < 6 and 20 < y2 - y1 < 45 and x2 - x1 > 40
    with pytest.raises(BadInput, match="needs a text"):
        draw.snapshots(replace(EMPTY, sprites=(replace(word, text=None),)), [0.5])
    with pytest.raises(BadInput, match="no other form has one"):
        draw.snapshots(replace(EMPTY, sprites=(replace(word, form="star"),)), [0.5])


def test_a_thing_that_reaches_out_of_the_frame_has_no_box() -> None:
    with pytest.raises(BadInput, match="does not lie in the frame"):
        sprite_box(Sprite(form="star", colour_rgb=(9, 9, 9), centre_xy=(0.01, 0.5), radius=0.2), size_wh_px=SIZE)
    with pytest.raises(BadInput, match="no box of its own"):
        word = Sprite(form="word", text="x", colour_rgb=(9, 9, 9), centre_xy=(0.5, 0.5), radius=0.2)
        sprite_box(word, size_wh_px=SIZE)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn_deg", [0.0, 90.0, 180.0, 270.0, -90.0, 450.0])
def test_a_turned_picture_holds_the_pixels_of_the_upright_one_and_its_box_is_where_it_is(
    tmp_path: Path, turn_deg: float, mirrored: bool
) -> None:
    file = tmp_path / "grain.png"
    Image.fromarray(np.random.default_rng(4).integers(90, 256, (37, 83, 3), dtype=np.uint8)).save(file)
    upright = Picture(path=str(file), sha256=sha256_of_file(file), box_xyxy=(0.0, 0.0, 0.5, 0.5))
    square = replace(EMPTY, size_wh_px=(160, 160))

    def cut(picture: Picture) -> np.ndarray:
        x1, y1, x2, y2 = np.rint(np.array(picture_box(picture, size_wh_px=(160, 160))) * 160).astype(int)
        scene = replace(square, pictures=(picture,))
        assert seen_box(scene) == [x1, y1, x2, y2]
        return draw.snapshots(scene, [0.5])[0, y1:y2, x1:x2].astype(int)

    as_it_is = cut(upright)
    assert as_it_is.shape == (35, 80, 3)
    one = cut(replace(upright, turn_deg=turn_deg, mirrored=mirrored))
    expected = np.rot90(as_it_is[:, ::-1] if mirrored else as_it_is, -round(turn_deg / 90))
    # What is left is the grain of the frame, which does not turn: two draws of one grey level.
    assert one.shape == expected.shape and np.abs(one - expected).mean() < 1.3 and np.abs(one - expected).max() < 9


@pytest.mark.parametrize("turn_deg", [45.0, float("nan"), float("inf")])
def test_a_picture_turned_by_no_quarter_is_refused(tmp_path: Path, turn_deg: float) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    sha256 = sha256_of_file(tmp_path / "x.png")
    slanting = Picture(path=str(tmp_path / "x.png"), sha256=sha256, box_xyxy=(0.0, 0.0, 1.0, 1.0), turn_deg=turn_deg)
    with pytest.raises(BadInput, match="0, 90, 180 or 270"):
        draw.snapshots(replace(EMPTY, pictures=(slanting,)), [0.5])
