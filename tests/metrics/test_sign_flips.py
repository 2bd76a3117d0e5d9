"""Planned differences with signs flipped by cluster: exact where it can be counted, named where several are tested."""

import numpy as np
import pytest

from vlbias.estimates import Estimate
from vlbias.metrics._sign_flips import flipped, stepped

BLANK = Estimate(metric="m", unit="points")


def of(values: list[float], clusters: list[str], **more) -> Estimate:
    return flipped(BLANK, np.array(values), clusters, rng=np.random.default_rng(0), **more)


def test_the_p_value_is_the_share_of_sign_flips_that_go_as_far() -> None:
    found = of([10.0] * 6, list("abcdef"))
    assert found.reference.p_value == pytest.approx(2 / 2**6, abs=0.02) and found.value == 10
    assert abs(found.reference.mean) < 1 and found.reference.method == "signs of clusters flipped, 999 draws"


def test_a_cluster_is_flipped_whole() -> None:
    apart = of([10.0] * 12, list("abcdefghijkl")).reference.p_value
    together = of([10.0] * 12, list("aaaabbbbcccc")).reference.p_value
    assert apart < 0.01 and together == pytest.approx(2 / 2**3, abs=0.05)


def test_a_mean_is_tested_against_what_it_would_be() -> None:
    values, clusters = [60.0, 40.0, 55.0, 45.0] * 5, [str(k) for k in range(20)]
    assert of(values, clusters, around=50.0, bounds=(0.0, 100.0)).reference.p_value > 0.9
    far = of(values, clusters, around=20.0, bounds=(0.0, 100.0))
    assert far.reference.p_value < 0.01 and far.reference.mean == pytest.approx(20, abs=1) and far.value == 50


def test_nothing_to_average_has_no_value_and_no_p_value() -> None:
    found = of([], [])
    assert found.value is None and found.reference is None and "nothing to average" in found.interval


def test_a_family_is_stepped_down_by_holm_and_named_without_those_that_have_no_p_value() -> None:
    clusters = [str(k) for k in range(30)]
    rng = np.random.default_rng(1)
    family = [of([20.0] * 30, clusters), of(rng.normal(0, 20, 30).tolist(), clusters), of([], [])]
    alone = [e.reference.p_value for e in family[:2]]
    found = stepped(family, of="contrast")
    assert [e.reference.p_value for e in found[:2]] == pytest.approx([2 * alone[0], max(2 * alone[0], alone[1])])
    assert [e.adjusted for e in found] == ["Holm over 2 contrasts", "Holm over 2 contrasts", None]
