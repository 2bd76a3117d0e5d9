from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from vlbias.disk import sha256_of_file
from vlbias.errors import BadInput
from vlbias.records import Picture, Scene, Sprite
from vlbias.videos import draw, media

SCENE = Scene(
    sprites=(
        Sprite(form="square", colour_rgb=(220, 30, 30), centre_xy=(0.3, 0.5), radius=0.2, velocity_xy=(0.1, 0.0)),
        Sprite(form="7", colour_rgb=(235, 235, 235), centre_xy=(0.75, 0.5), radius=0.15),
    ),
    backdrop_rgb=(30, 60, 110),
    texture="checks",
    duration_s=1.0,
    fps=8.0,
    size_wh_px=(128, 96),
    seed=3,
)


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as box:
        return np.stack(
            [f.reformat(format="rgb24", src_colorspace=f.colorspace).to_ndarray() for f in box.decode(video=0)]
        )


def test_a_film_decodes_back_to_the_drawn_frames(tmp_path: Path) -> None:
    scenes = (SCENE, replace(SCENE, seed=4, texture="plain"))
    drawn = draw.frames(scenes).astype(int)
    back = decoded(draw.film(scenes, folder=tmp_path)).astype(int)
    assert back.shape == drawn.shape == (16, 96, 128, 3)
    assert np.abs(back - drawn).mean() < 2.5
    # Flat colours far from edges come back within a few levels, each channel: the matrix is tagged and right.
    corner = np.abs(back[8:, :20, :].mean((0, 1, 2)) - drawn[8:, :20, :].mean((0, 1, 2)))
    middle = np.abs(back[3, 44:52, 34:42].mean((0, 1)) - drawn[3, 44:52, 34:42].mean((0, 1)))
    assert corner.max() < 3 and middle.max() < 5


def test_a_film_says_that_it_is_bt709_in_limited_range_and_has_a_keyframe_each_half_second(tmp_path: Path) -> None:
    with av.open(str(draw.film((SCENE, SCENE), folder=tmp_path))) as box:
        stream = box.streams.video[0]
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)
        assert [k for k, frame in enumerate(box.decode(stream)) if frame.key_frame] == [0, 4, 8, 12]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"


def test_the_same_scenes_give_the_same_bytes_and_other_scenes_another_name(tmp_path: Path) -> None:
    one, two = (draw.film((SCENE,), folder=tmp_path / name) for name in "ab")
    assert one.name == two.name and one.read_bytes() == two.read_bytes()
    assert draw.film((replace(SCENE, seed=9),), folder=tmp_path / "a").name != one.name
    assert sorted(p.suffix for p in (tmp_path / "a").iterdir()) == [".mp4", ".mp4", ".sha256", ".sha256"]


def test_a_film_that_is_whole_is_left_alone_and_a_damaged_one_is_drawn_again(tmp_path: Path) -> None:
    path = draw.film((SCENE,), folder=tmp_path)
    first, born_ns = path.read_bytes(), path.stat().st_mtime_ns
    assert draw.film((SCENE,), folder=tmp_path).stat().st_mtime_ns == born_ns
    path.write_bytes(first[:-9] + bytes([first[-9] ^ 1]) + first[-8:])
    assert draw.film((SCENE,), folder=tmp_path).read_bytes() == first
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".mp4", ".sha256"]


def test_a_sprite_stands_at_its_centre_at_half_time_and_moves_with_its_velocity() -> None:
    red = [image[:, :, 0].astype(float) - image[:, :, 1] for image in draw.snapshots(SCENE, (0.0, 0.5, 1.0))]
    centres = [float((np.where(r > 100)[1]).mean()) / 128 for r in red]
    assert centres == pytest.approx([0.25, 0.3, 0.35], abs=0.01)


def test_every_form_is_drawn_and_no_two_look_alike() -> None:
    def picture(form: str) -> np.ndarray:
        sprite = Sprite(form=form, colour_rgb=(255, 255, 255), centre_xy=(0.5, 0.5), radius=0.3)
        scene = replace(SCENE, sprites=(sprite,), texture="plain", backdrop_rgb=(0, 0, 0), size_wh_px=(56, 56))
        return draw.snapshots(scene, (0.5,))[0, :, :, 0] > 128

    pictures = {form: picture(form) for form in draw.FORMS if form != "dot"}
    for form, one in pictures.items():
        assert one.sum() > 60, form
        assert all((one ^ other).sum() > 40 for name, other in pictures.items() if name != form), form


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"texture": "velvet"}, "velvet"),
        ({"size_wh_px": (113, 112)}, "113"),
        ({"duration_s": 0.01}, "at least one frame"),
        ({"sprites": (replace(SCENE.sprites[0], form="unicorn"),)}, "unicorn"),
    ],
)
def test_a_scene_that_cannot_be_drawn_is_named(change: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        draw.frames((replace(SCENE, **change),))


def test_scenes_of_two_sizes_are_no_film() -> None:
    with pytest.raises(BadInput, match="share size"):
        draw.frames((SCENE, replace(SCENE, size_wh_px=(64, 64))))


def test_what_is_drawn_before_leaves_nothing_in_the_backdrop() -> None:
    bare = replace(SCENE, sprites=())
    first = draw.frames([bare])
    assert (draw.frames([SCENE]) != first).any() and (draw.frames([bare]) == first).all()
    assert (draw.frames([replace(bare, seed=4)]) != first).any()


def test_a_picture_is_read_once_for_all_its_places_and_anew_when_its_file_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, read = tmp_path / "x.png", []
    real = media.image
    monkeypatch.setattr(media, "image", lambda path: read.append(path) or real(path))

    def level(box: tuple[float, float, float, float], turn_deg: float = 0.0) -> float:
        one = Picture(path=str(file), sha256=sha256_of_file(file), box_xyxy=box, turn_deg=turn_deg)
        bare = replace(SCENE, sprites=(), texture="plain", pictures=(one,), size_wh_px=(96, 96))
        x, y = int(96 * (box[0] + box[2]) / 2), int(96 * (box[1] + box[3]) / 2)
        return float(draw.snapshots(bare, (0.5,))[0, y, x].mean())

    for grey in (200, 90):
        Image.new("RGB", (50, 50), (grey,) * 3).save(file)
        before = len(read)
        places = [level((0, 0, 0.5, 0.5)), level((0.5, 0, 1, 0.5)), level((0, 0.5, 0.5, 1), 90.0)]
        assert places == pytest.approx([grey] * 3, abs=4) and len(read) == before + 1
