"""The phrase on a method says what it did to the gap and to accuracy, also what it cost."""

from collections.abc import Callable

import pytest

from vlbias.estimates import Change, Estimate, MethodProof
from vlbias.reports._corrections import in_points, verdict


def changed(before: float, after: float, interval: tuple[float, float], p_adjusted: float) -> Change:
    return Change(
        before=before, before_interval=(before - 5, before + 5), after=after, after_interval=(after - 5, after + 5),
        change=after - before, change_interval=interval, p_value=p_adjusted / 4, interval="t", p_adjusted=p_adjusted,
    )  # fmt: skip


@pytest.fixture
def proof() -> Callable[..., MethodProof]:
    def make(accuracy: Change, *, left: float = 0) -> MethodProof:
        flip = Estimate(metric="flips", value=0.0, n=10, clusters=5)
        return MethodProof(
            method="rotor", n=100, clusters=50,
            changes={"accuracy": accuracy, "gap": changed(23, left, (-30, -15), 0.01)},
            reduction=(1.0, 0.9, 1.0), curve_before=(), curve_after=(), recall_spread=(None, None), flips=(flip, flip),
            failures=0, shape="inside",
        )  # fmt: skip

    return make


def test_accuracy_that_fell_by_its_own_interval_is_told_also_where_it_is_not_significant_over_all_methods(proof):
    assert verdict(proof(changed(89, 82, (-14.6, -0.4), 0.2))) == "closes the gap; accuracy fell by 7.0"
    assert verdict(proof(changed(89, 82, (-14.6, 0.4), 0.2))) == "closes the gap"
    assert verdict(proof(changed(89, 82, (-14.6, -0.4), 0.01))) == "LOWERS ACCURACY"
    assert verdict(proof(changed(89, 98, (4.5, 13.9), 0.01))) == "closes the gap, raises accuracy"


def test_a_gap_of_which_more_than_noise_is_left_is_narrowed_not_closed(proof):
    assert verdict(proof(changed(89, 90, (-1, 3), 0.3), left=12)) == "narrows the gap"
    assert verdict(proof(changed(89, 98, (4.5, 13.9), 0.01), left=6)) == "narrows the gap, raises accuracy"
    assert verdict(proof(changed(89, 90, (-1, 3), 0.3), left=4)) == "closes the gap"


def test_a_gap_that_rounds_to_nothing_has_no_sign() -> None:
    assert [in_points(v) for v in (-0.04, 0.0, -0.06, 12.34)] == ["0.0", "0.0", "-0.1", "12.3"]
