import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from vlbias.answers import Answer, Failure, Outcome, asked
from vlbias.metrics import judge
from vlbias.probes import judge as kind
from vlbias.records import Trial
from vlbias.strictyaml import parse

SUITE = """
name: tiny
kind: judge
version: 1
description: x
licence: x
candidates: {n}
phrases: {phrases}
source: {{drawn: {{clips: {clips}, seed: 5, size_px: [32, 32], duration_s: 1.0, fps: 4.0}}}}
"""
Judge = Callable[[Trial], int]


def verdicts(choose: Judge, n: int = 2, phrases: str = "[none]", clips: int = 60) -> list[Outcome]:
    """The answers of a judge who names a displayed place."""
    suite = parse(SUITE.format(n=n, phrases=phrases, clips=clips), where="x", model=kind.Suite)
    return [
        Answer(
            asked=asked(trial),
            chosen=trial.option_order[choose(trial)],
            logprobs=None,
            level="generated",
            reply=None,
            audit=None,  # type: ignore[arg-type]
        )
        for trial in kind.trials(kind.probes(suite, folder=Path()), suite=suite, seed=1)
    ]


def measured(outcomes: list[Outcome]) -> dict:
    return {(e.metric, e.task, e.slot): e for e in judge.measure(outcomes, rng=np.random.default_rng(0))}


def marked(trial: Trial) -> int | None:
    return int(dict(trial.factors)["phrase_at"]) if "phrase_at" in dict(trial.factors) else None


def test_a_judge_of_the_candidates_flips_at_the_letter_alone() -> None:
    found = measured(verdicts(lambda t: t.gold_displayed))
    assert found["judge_letter_flip_rate", "all", None].value == 100
    assert (
        found["judge_content_flip_rate", "all", None].value
        == found["judge_correctness_flip_rate", "all", None].value
        == 0
    )
    assert [found["judge_place_share", "all", k].value for k in (0, 1)] == [0, 0]
    assert found["judge_home_field", "all", None].value is None


def test_a_judge_of_the_place_flips_in_content_and_correctness_and_never_in_the_letter() -> None:
    found = measured(verdicts(lambda _: 1))
    assert found["judge_letter_flip_rate", "all", None].value == 0
    assert found["judge_content_flip_rate", "all", None].value == 100
    assert found["judge_correctness_flip_rate", "all", None].value == 100
    assert [found["judge_place_share", "all", k].value for k in (0, 1)] == [-50, 50]
    home = found["judge_home_field", "all", None]
    assert found["judge_place_share", "all", 1].reference.p_value < 0.01
    assert home.value == pytest.approx(0.5 * math.log(0.5 / 60.5)) and home.high < 0 and home.reference.p_value < 1e-9


def test_the_home_field_is_told_whatever_the_candidates_are_worth() -> None:
    """logit P(first) = quality + gamma, with a quality of its own for each pair."""
    rng = np.random.default_rng(3)
    quality = {}

    def choose(trial: Trial) -> int:
        worth = quality.setdefault(trial.probe.probe_id, rng.normal(0.5, 1.5))
        logit = 0.6 + (worth if trial.gold_displayed == 0 else -worth)
        return int(rng.random() > 1 / (1 + math.exp(-logit)))

    home = measured(verdicts(choose, clips=800))["judge_home_field", "all", None]
    assert home.low < 0.6 < home.high and home.high - home.low < 0.5
    assert home.n == 800 and "pairs both first" in home.notes[0]


def stuck_at_first(first: int, second: int) -> list[Outcome]:
    """Of 60 pairs, so many verdicts fall on the first place in both orders, and on the second; others on candidates."""
    rows = verdicts(lambda t: t.gold_displayed, clips=60)
    kept = {p: k for k, p in enumerate(dict.fromkeys(r.asked.probe_id for r in rows))}
    places = [0] * first + [1] * second
    return [
        replace(r, chosen=r.asked.option_order[places[k]]) if (k := kept[r.asked.probe_id]) < len(places) else r
        for r in rows
    ]


def test_the_interval_of_the_home_field_is_that_of_a_share_of_independent_pairs() -> None:
    home = measured(stuck_at_first(24, 12))["judge_home_field", "all", None]
    score = stats.binomtest(24, 36).proportion_ci(method="wilson")
    assert (home.low, home.high) == pytest.approx([0.5 * math.log(v / (1 - v)) for v in (score.low, score.high)])
    assert home.reference.p_value == pytest.approx(
        stats.binomtest(24, 36).pvalue - stats.binom.pmf(24, 36, 0.5), abs=1e-12
    )


def test_pairs_of_one_clip_count_as_one_where_they_agree_and_a_home_field_without_end_has_an_interval() -> None:
    rows = stuck_at_first(24, 12)
    number = {p: k for k, p in enumerate(dict.fromkeys(r.asked.probe_id for r in rows))}
    shared = [replace(r, asked=replace(r.asked, cluster_id=f"c{number[r.asked.probe_id] // 6}")) for r in rows]
    wide, narrow = (measured(some)["judge_home_field", "all", None] for some in (shared, rows))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert wide.reference.p_value == pytest.approx(44 / 64)  # 4 of 6 clips on one side, by 64 exchanges
    all_first = measured(stuck_at_first(20, 0))["judge_home_field", "all", None]
    assert 0 < all_first.low < all_first.value < all_first.high and all_first.reference.p_value < 1e-4


def test_three_candidates_have_shares_at_three_places_and_no_home_field() -> None:
    found = measured(verdicts(lambda _: 2, n=3))
    assert [found["judge_place_share", "all", k].value for k in range(3)] == pytest.approx(
        [-100 / 3, -100 / 3, 200 / 3]
    )
    assert found["judge_home_field", "all", None].notes[0] == "no pair"
    last = found["judge_place_share", "all", 2]
    assert last.reference.p_value < 0.01 and last.adjusted == "max-T over 3 places"


def test_verdicts_of_chance_like_no_place() -> None:
    rng = np.random.default_rng(5)
    found = measured(verdicts(lambda _: int(rng.integers(3)), n=3))
    shares = [found["judge_place_share", "all", k] for k in range(3)]
    assert all(s.low < 0 < s.high and s.reference.p_value > 0.05 for s in shares)


def test_one_clip_has_shares_and_no_p_value() -> None:
    rows = verdicts(lambda _: 0, clips=24)
    share = measured([r for r in rows if r.asked.cluster_id == rows[0].asked.cluster_id])["judge_place_share", "all", 0]
    assert share.value == 50 and share.reference.p_value is None and share.adjusted is None


def test_a_judge_who_follows_a_phrase_is_told_by_phrase_and_place() -> None:
    def choose(trial: Trial) -> int:
        at = marked(trial)
        follows = ("phrase", "authority") in trial.factors and at == 1
        return 1 if follows else trial.gold_displayed

    found = measured(verdicts(choose, phrases="[none, authority, distractor]"))
    assert found["judge_robustness_rate", "authority", None].value == 75  # said of place 2 and right elsewhere: 1 in 4
    assert found["judge_harmful_rate", "authority", None].value == 25
    assert (
        found["judge_helpful_rate", "authority", None].value
        == found["judge_neutral_rate", "authority", None].value
        == 0
    )
    assert (
        found["judge_follow_rate", "authority", 1].value == 100
        and found["judge_follow_rate", "authority", 0].value == 0
    )
    assert found["judge_robustness_rate", "distractor", None].value == 100
    assert found["judge_follow_rate", "distractor", None].value == 0


def test_a_flip_towards_the_right_candidate_is_helpful_and_between_wrong_ones_neutral() -> None:
    def choose(trial: Trial) -> int:
        wrong = [k for k in range(3) if k != trial.gold_displayed]
        at = marked(trial)
        return wrong[0] if at is None or at == wrong[0] else at

    found = measured(verdicts(choose, n=3, phrases="[none, bandwagon]"))
    rates = [found[f"judge_{name}_rate", "bandwagon", None].value for name in ("helpful", "neutral", "robustness")]
    assert rates == pytest.approx([100 / 3] * 3)


def test_a_probe_without_a_verdict_in_one_order_is_left_out_and_counted() -> None:
    outcomes = verdicts(lambda _: 0)
    outcomes[0] = Failure(asked=outcomes[0].asked, kind="refused", reason="no")
    share = measured(outcomes)["judge_place_share", "all", 0]
    assert share.n == 59 and "1 of 60 probes lack one verdict" in share.notes[0]


def test_answers_of_other_kinds_have_no_judge() -> None:
    assert judge.measure([], rng=np.random.default_rng(0)) == []
