"""What is planted in the scripted model comes back through the probe kinds and their metrics, seed after seed.

Six seeds a case here; `vlbias recovery` counts hundreds and writes docs/order_probes.md.
"""

import json
from dataclasses import replace

import pytest
from scipy import stats

from vlbias import recovery
from vlbias.errors import BadInput
from vlbias.recovery import Case, Figure, Rate, as_json, cases, continued, from_json, rates

SEEDS = 6
RARE = 1e-4


def holds(hits: int, n: int, *, low: float, high: float) -> bool:
    """Whether so many hits are no surprise for a rate somewhere from `low` to `high`."""
    return bool(stats.binom.cdf(hits, n, low) > RARE and stats.binom.sf(hits - 1, n, high) > RARE)


def name(case: Case) -> str:
    return f"{case.kind}: {case.planted}"


@pytest.mark.parametrize("case", cases(), ids=name)
def test_what_is_planted_comes_back_within_its_intervals_and_nothing_else_is_found(case: Case) -> None:
    found = rates([case], seeds=SEEDS)
    assert [rate.figure for rate in found] == list(case.figures)
    for rate in found:
        if rate.figure.truth is not None:
            assert holds(rate.inside, SEEDS, low=recovery.COVERED[0], high=recovery.COVERED[1])
        if rate.is_false_alarm:
            assert holds(rate.found, SEEDS, low=0.0, high=recovery.FALSE_ALARMS[1])
    effects = [rate for rate in found if rate.figure.any_place or rate.figure.metric in ("preference_index",)]
    assert not case.effect or not effects or max(rate.found for rate in effects) > 0.8 * SEEDS


def test_a_wrong_truth_lies_outside_its_intervals() -> None:
    case = next(c for c in cases() if c.kind == "conflict" and not c.effect)
    lie = replace(case, figures=(Figure(metric="preference_index", truth=50.0),))
    assert rates([lie], seeds=4)[0].inside == 0


def test_rates_do_not_depend_on_how_seeds_are_cut() -> None:
    case = next(c for c in cases() if c.kind == "judge" and c.effect)
    first, second = rates([case], seeds=2), rates([case], seeds=1, first=2)
    (whole,) = rates([case], seeds=3)
    assert whole.inside == first[0].inside + second[0].inside
    assert whole.mean == pytest.approx((2 * first[0].mean + second[0].mean) / 3)


def test_more_seeds_add_to_the_rates_that_are_kept_and_cases_that_are_not_are_asked_from_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    two = tuple(c for c in cases() if c.kind == "judge")[:2]
    monkeypatch.setattr(recovery, "cases", lambda: two)
    whole = continued([], seeds=5)
    assert [rate.n for rate in whole] == [5, 5]
    again = continued([*rates(two[:1], seeds=3)], seeds=5)
    assert [(r.inside, r.found, r.n) for r in again] == [(r.inside, r.found, r.n) for r in whole]
    assert [r.mean for r in again] == pytest.approx([r.mean for r in whole])
    assert continued(whole, seeds=2) == whole


def test_kept_rates_are_read_again_and_rows_of_other_cases_are_refused() -> None:
    made = [Rate(case=c, figure=f, n=4, inside=3, found=1, mean=0.5) for c in cases() for f in c.figures]
    rows = json.loads(json.dumps(as_json(made), allow_nan=False))
    assert from_json(rows, where="kept.json") == made
    with pytest.raises(BadInput, match=r"kept\.json: .*'head 9'.* is no figure of the cases of today"):
        from_json([{**rows[0], "planted": "head 9"}], where="kept.json")
