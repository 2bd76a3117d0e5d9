"""What a design is said to find is found that often by the test of the metric itself."""

import numpy as np
import pytest

from vlbias.metrics._detectable_maps import MapTest, of_grid, of_places, smallest_on_map
from vlbias.metrics._simulate import effect_of
from vlbias.metrics._spatial_test import spatial_test
from vlbias.power import assumed


def test_the_pattern_of_a_grid_is_found_about_as_often_as_said() -> None:
    test, n = of_grid((3, 3)), 100
    least = smallest_on_map(test, assumed(9), np.ones(n, dtype=np.intp))
    assert least is not None and 0.05 < least < 0.25
    rng, named = np.random.default_rng(0), 0
    for _ in range(60):
        logit_NC = 1.5 * rng.normal(size=(n, 1)) + effect_of(0.65 + least * test.profile_C)
        right_NC = (rng.random((n, 9)) < 1 / (1 + np.exp(-logit_NC))).astype(float)
        named += spatial_test(right_NC, np.arange(n), (3, 3), rng=rng, draws=199).p_any <= test.level
    assert 38 <= named <= 57, "99.9 % range of a binomial of .8"


@pytest.mark.parametrize("test", [of_grid((2, 2)), of_places(4)])
def test_more_items_find_less_and_shared_clips_find_more(test: MapTest) -> None:
    noise = assumed(4)
    alone, apart = (smallest_on_map(test, noise, np.ones(n, dtype=np.intp)) for n in (100, 400))
    shared = smallest_on_map(test, noise, np.full(100, 4, dtype=np.intp))
    assert alone is not None and apart is not None and shared is not None
    assert apart == pytest.approx(alone / 2, rel=0.1) and apart < shared < alone
    twice = smallest_on_map(test, noise, np.ones(100, dtype=np.intp), answers=4)
    assert twice == pytest.approx(apart, rel=0.05)


def test_a_few_items_find_no_effect_at_all() -> None:
    assert smallest_on_map(of_grid((3, 3)), assumed(9), np.ones(2, dtype=np.intp), answers=0.2) is None


def test_a_grid_of_one_column_is_looked_at_from_top_to_bottom() -> None:
    assert of_grid((3, 1)).profile_C.tolist() == pytest.approx([0.5, 0, -0.5])
