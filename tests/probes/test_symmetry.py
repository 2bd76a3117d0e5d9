"""A picture that looks like its own turn or mirror image is found, whatever hides the likeness."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlbias.disk import sha256_of_file
from vlbias.probes._symmetry import LEAST_LEVELS, difference, symmetry

RNG = np.random.default_rng(7)
Y, X = np.mgrid[-50:50, -50:50] + 0.5
ELBOW = ((X < -20) | ((Y < -20) & (X < 30))) & (abs(X) < 40) & (abs(Y) < 40)
PINWHEEL = ((X > 0) & (Y < 0) & (Y > -20)) | ((X < 0) & (Y > 0) & (Y < 20))
WHEEL = PINWHEEL | np.rot90(PINWHEEL)
DIAGONAL = (abs(X - Y) < 15) & (X + Y < 0)


def reasons(tmp_path: Path, pixels: np.ndarray, *forms: str) -> str | None:
    file = tmp_path / "x.png"
    grey = np.clip(np.asarray(pixels, dtype=float), 0, 255).astype(np.uint8)
    Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2)).save(file)
    return symmetry(
        str(file), sha256_of_file(file), side_px=96, ground_rgb=(20, 20, 20), forms=forms or ("turn", "mirror")
    )


def test_a_picture_without_symmetry_can_be_asked_about(tmp_path: Path) -> None:
    assert reasons(tmp_path, 255 * ELBOW) is None
    assert reasons(tmp_path, 90 + 40 * ELBOW + 30 * RNG.standard_normal(ELBOW.shape)) is None


@pytest.mark.parametrize(
    ("pixels", "forms", "words"),
    [
        (np.full((100, 100), 130), "turn mirror", ["a quarter turn", "half a turn", "its mirror image"]),
        (130 + 12 * RNG.standard_normal((100, 100)), "turn mirror", ["a quarter turn", "half a turn", "its mirror"]),
        (255 * (np.hypot(X, Y) < 35), "turn mirror", ["a quarter turn", "half a turn", "its mirror image"]),
        (255 * (abs(X) < 15), "turn mirror", ["half a turn", "its mirror image"]),
        (255 * ((abs(X) < 15) & (Y < 0)), "mirror", ["its mirror image"]),
        (255 * DIAGONAL, "mirror", ["its mirror image"]),
        (255 * PINWHEEL, "turn", ["half a turn"]),
        (255 * WHEEL, "turn", ["a quarter turn", "half a turn"]),
        (np.full((50, 100), 200), "turn mirror", ["half a turn", "its mirror image"]),
    ],
)  # fmt: skip
def test_every_symmetry_is_named_and_no_other(tmp_path: Path, pixels: np.ndarray, forms: str, words: list[str]) -> None:
    told = reasons(tmp_path, pixels)
    assert told is not None and f"leave {forms.replace(' ', ' and ')} out of forms" in told
    assert [word in told for word in ("a quarter turn", "half a turn", "its mirror")] == [
        any(word in w or w in word for w in words) for word in ("a quarter turn", "half a turn", "its mirror")
    ]


def test_a_symmetry_counts_in_the_form_that_asks_about_it_only(tmp_path: Path) -> None:
    assert reasons(tmp_path, 255 * WHEEL, "mirror", "perspective") is None
    assert reasons(tmp_path, 255 * ((abs(X) < 15) & (Y < 0)), "turn") is None
    assert reasons(tmp_path, np.full((100, 100), 130), "perspective") is None


def test_a_difference_is_in_grey_levels_and_hue_alone_makes_one() -> None:
    blank = np.full((32, 32, 3), 100.0)
    assert difference(blank, blank + 12) == pytest.approx(12)
    half = blank.copy()
    half[:, 16:] += 12
    assert difference(blank, half) == pytest.approx(6)
    red, green = blank + (60, 0, 0), blank + (0, 60, 0)
    assert difference(red, green) == pytest.approx(60)
    assert difference(blank, blank + 30 * RNG.standard_normal(blank.shape)) < 30 and LEAST_LEVELS < 12
