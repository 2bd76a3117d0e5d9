"""What may rightly be said of a true profile: the planted shape, a small lean or nothing, and never another shape."""

import numpy as np
import pytest

from vlbias.organisms import manifest
from vlbias.organisms.true_shape import UNSHAPED, lean, shape_shown, true_shape

SHAPES = ("head", "neighbour", "U", "inverted U", "volatile")
UNPLANTED = {"plant": {"profiles": [[1.0] * 5]}}


def profile(*accuracy: float, n: int = 4000) -> dict[str, object]:
    return {"accuracy": accuracy, "n": [n] * len(accuracy)}


def test_a_planted_bias_that_shows_has_its_own_shape_and_no_other_label_is_right() -> None:
    about = {"plant": {"profiles": [[1.0, 0.9, 0.8, 0.7, 0.7]]}}
    found = true_shape(about, profile(0.9, 0.85, 0.8, 0.7, 0.75))
    assert found.right == ("head",) and not found.small and not found.flat


def test_a_bias_that_nobody_planted_has_the_shape_that_it_shows() -> None:
    assert true_shape(UNPLANTED, profile(0.8, 0.85, 0.9, 0.95, 0.96)).right == ("neighbour",)
    assert true_shape(UNPLANTED, profile(0.9, 0.8, 0.7, 0.8, 0.9)).right == ("U",)


def test_a_lean_within_the_margin_is_rightly_called_its_shape_or_none_and_nothing_else() -> None:
    found = true_shape(UNPLANTED, profile(0.95, 0.96, 0.965, 0.975, 0.98))
    assert found.name == "neighbour" and found.small and str(found) == "neighbour, within the margin"
    assert set(found.right) == {"neighbour", *UNSHAPED}


def test_any_shape_said_of_what_the_truth_finds_flat_is_a_miss() -> None:
    found = true_shape(UNPLANTED, profile(0.95, 0.951, 0.949, 0.95, 0.952))
    assert found.flat and not set(found.right) & set(SHAPES)


def test_more_trials_tell_a_lean_that_fewer_leave_flat() -> None:
    curve = (0.95, 0.954, 0.956, 0.96, 0.963)
    assert lean(curve, [400] * 5) is None and lean(curve, [20_000] * 5) == "neighbour"
    assert lean(curve[::-1], [20_000] * 5) == "head"
    assert lean((0.96, 0.95, 0.945, 0.95, 0.96), [20_000] * 5) == "U"
    assert lean((0.95, 0.96, 0.965, 0.96, 0.95), [20_000] * 5) == "inverted U"
    assert lean((1.0, 1.0, 1.0), [2000] * 3) is None


def test_a_flat_profile_leans_in_one_of_a_hundred_measurements() -> None:
    rng = np.random.default_rng(0)
    found = [lean(rng.binomial(2000, 0.97, 10) / 2000, [2000] * 10) for _ in range(1000)]
    assert 1 <= sum(name is not None for name in found) <= 24


def test_noise_of_half_the_margin_turns_no_slope() -> None:
    assert shape_shown([0.95, 0.97, 0.9, 0.88]) == "head" and shape_shown([0.9, 0.7, 0.9, 0.7, 0.9]) == "volatile"


@pytest.mark.parametrize("name", ["none10", "none10_llava_onevision", "nope10", "t5_10", "absolute10"])
def test_organisms_without_a_bias_are_flat_in_their_own_truth(name: str) -> None:
    about = manifest.read(manifest.folder_of(name))
    assert true_shape(about, about["measured"]).flat


@pytest.mark.parametrize("name", ["head10", "neighbour10", "u10", "inverted_u10", "u10_llava_onevision"])
def test_planted_organisms_leave_no_other_label_right(name: str) -> None:
    about = manifest.read(manifest.folder_of(name))
    assert len(true_shape(about, about["measured"]).right) == 1
