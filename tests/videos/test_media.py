import numpy as np
import pytest
from PIL import Image

from vlbias.errors import DecodeError
from vlbias.videos import media

ORIENTATION = 0x0112


@pytest.fixture
def picture():
    """Red above blue, wider than high."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:10, :, 0], pixels[10:, :, 2] = 200, 200
    return Image.fromarray(pixels)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_image_is_one_upright_frame(picture, tmp_path, kind):
    for orientation, turn in ((1, 0), (3, 180), (6, 90), (8, -90)):
        path = tmp_path / f"{orientation}.{kind.lower()}"
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        picture.rotate(turn, expand=True).save(path, format=kind, exif=exif)
        frame = media.image(path)
        assert frame.shape == (1, 20, 40, 3) and frame.dtype == np.uint8
        assert frame[0, :8, :, 0].mean() > 150 and frame[0, 12:, :, 2].mean() > 150, orientation


def test_transparency_and_grey_become_rgb(tmp_path):
    Image.new("LA", (6, 4), (90, 255)).save(tmp_path / "grey.png")
    assert (media.image(tmp_path / "grey.png") == 90).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_a_damaged_image_is_an_error_and_not_half_a_picture(tmp_path, share):
    path = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DecodeError, match=r"noise.png: pillow: cannot be read"):
        media.image(path)


def test_a_moving_or_huge_or_foreign_image_is_refused(picture, tmp_path):
    picture.save(tmp_path / "a.webp", save_all=True, append_images=[picture.rotate(180)])
    with pytest.raises(DecodeError, match="moving"):
        media.image(tmp_path / "a.webp")
    picture.save(tmp_path / "b.png")
    with pytest.raises(DecodeError, match="40 x 20 pixels, the limit is 700"):
        media.image(tmp_path / "b.png", max_px=700)
    picture.save(tmp_path / "c.bmp")
    with pytest.raises(DecodeError, match="cannot be read"):
        media.image(tmp_path / "c.bmp")


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_the_size_told_from_the_head_is_that_of_the_pixels(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (30, 20)).save(tmp_path / "x.jpg", exif=exif)
    assert media.size(tmp_path / "x.jpg") == media.image(tmp_path / "x.jpg").shape[2:0:-1]
    assert (media.size(tmp_path / "x.jpg") == (20, 30)) == (orientation > 4)


def test_a_file_that_is_no_image_has_no_size(tmp_path):
    (tmp_path / "x.jpg").write_text("no image")
    with pytest.raises(DecodeError, match="cannot be read"):
        media.size(tmp_path / "x.jpg")
