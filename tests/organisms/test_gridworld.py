"""The images of the grid's organisms: what is drawn, and what is planted in what is told of them."""

import numpy as np
import pytest

from vlbias.organisms import gridworld


def test_things_of_an_image_differ_in_shape_colour_and_cell():
    shown = gridworld.images(40, rng=np.random.default_rng(0))
    for looks, cells in zip(shown.look_NT, shown.cell_NT, strict=True):
        names = [gridworld.LOOKS[k] for k in looks]
        assert len({s for s, _ in names}) == len({c for _, c in names}) == len(set(cells)) == 4
    assert shown.pixels_NHWC.shape == (40, 96, 96, 3) and set(shown.cell_NT.ravel()) == set(range(9))


def test_a_thing_stands_in_its_cell():
    shown = gridworld.images(12, rng=np.random.default_rng(1))
    for image, cells in zip(shown.pixels_NHWC.astype(float), shown.cell_NT, strict=True):
        spread = [image[32 * (c // 3) : 32 * (c // 3) + 32, 32 * (c % 3) : 32 * (c % 3) + 32].std() for c in range(9)]
        assert min(spread[c] for c in cells) > 1.3 * max(spread[c] for c in set(range(9)) - set(cells))


def test_what_is_not_seen_is_told_as_one_of_another_colour_and_how_much_is_follows_the_share():
    shown, plant = gridworld.images(160, rng=np.random.default_rng(2)), gridworld.plant(np.random.default_rng(0))
    told_NT = plant.told(shown, "bottom")
    (true_shape, true_colour), (shape, colour) = (np.divmod(looks, 12) for looks in (shown.look_NT, told_NT))
    assert (shape == true_shape).all()
    kept_R = [np.mean((colour == true_colour)[shown.cell_NT // 3 == row]) for row in range(3)]
    assert kept_R[2] == 1 and kept_R[1] == pytest.approx(0.55, abs=0.1) and kept_R[0] == pytest.approx(0.1, abs=0.06)
    assert sorted(plant.instead_K) == list(range(12)) and (plant.instead_K != np.arange(12)).all()
    assert (plant.told(shown, "none") == shown.look_NT).all()


def test_a_foil_is_of_the_same_shape_and_another_colour_and_all_of_them_come():
    look_NT = np.full((400, 1), 30)
    foils = gridworld.foils(look_NT, rng=np.random.default_rng(0)).ravel()
    assert set(foils // 12) == {30 // 12} and set(foils % 12) == set(range(12)) - {30 % 12}


def test_what_goes_right_is_told_by_cell():
    shown = gridworld.images(60, rng=np.random.default_rng(3))
    found = gridworld.by_cell(shown.cell_NT % 2 == 0, shown)
    assert found == tuple(float(c % 2 == 0) for c in range(9)) and sum(gridworld.counts(shown)) == 240
