"""A planted love of one letter comes back from answers in several orders; without one nothing is found."""

from dataclasses import replace

import numpy as np
import pytest

from vlbias.answers import Answer, Asked, Audit, Failure
from vlbias.metrics import options

AUDIT = Audit(prompt_sha256="d", segments=(), segment_spans=(), n_tokens=None, n_frames=0, batch_size=1)


def cyclic(rng, *, probes=60, right=0.6, first=0.0, noisy=True, sure=None, style="letters"):
    """Four options in four rotations; `first` is the chance to choose what is displayed first, whatever it is.

    `sure` is the probability that the responder gives its choice; without it there are no log-probabilities.
    """
    out = []
    for probe in range(probes):
        luck = rng.random(), rng.integers(4)
        for k in range(4):
            order = tuple((probe + k + j) % 4 for j in range(4))
            draw = (rng.random(), rng.integers(4)) if noisy else luck
            chosen = order[0] if rng.random() < first else (1 if draw[0] < right else int(draw[1]))
            asked = Asked(trial_id=f"{probe}/cyclic{k}", probe_id=f"p{probe:04d}", cluster_id=f"c{probe // 2}",
                          background_ids=(), task="ab"[probe % 2], slot=0, n_slots=1, n_options=4, gold=1,
                          option_order=order, factors=(("labels", style), ("order", f"cyclic{k}")))  # fmt: skip
            scores = None if sure is None else tuple(np.log(sure if j == chosen else (1 - sure) / 3) for j in order)
            out.append(Answer(asked=asked, chosen=chosen, logprobs=scores, level="exact", reply=None, audit=AUDIT))
    return out


def of_one_task(rows):
    """The same rows under one task, so that one table is measured and not three."""
    return [replace(row, asked=replace(row.asked, task="a")) for row in rows]


def measured(rows, seed=0):
    found = options.measure(rows, rng=np.random.default_rng(seed))
    return {(e.metric, e.task, e.slot): e for e in found}


def test_a_love_of_the_first_option_shows_in_its_share_recall_and_spread():
    found = measured(cyclic(np.random.default_rng(0), first=0.4))
    share = [found["option_share", "all", p].value for p in range(4)]
    assert share[0] > max(share[1:]) + 10
    assert found["option_share", "all", 0].low < 100 * (0.4 + 0.6 / 4) < found["option_share", "all", 0].high
    for metric, slot in (("option_share", 0), ("option_recall", 0), ("option_rstd", None), ("option_kl", None)):
        assert found[metric, "all", slot].reference.p_value < 0.01


def test_recall_and_its_spread_equal_plain_counting():
    rows = cyclic(np.random.default_rng(1), first=0.2)
    found = measured(rows)
    recall = [100 * np.mean([r.correct for r in rows if r.asked.option_order.index(1) == place]) for place in range(4)]
    assert [found["option_recall", "all", p].value for p in range(4)] == pytest.approx(recall)
    assert found["option_rstd", "all", None].value == pytest.approx(np.std(recall))


def test_without_a_love_of_places_the_spread_is_what_chance_makes_it():
    rng = np.random.default_rng(2)
    runs = [measured(of_one_task(cyclic(rng, probes=24)), seed=s) for s in range(10)]
    p = [run["option_rstd", "all", None].reference.p_value for run in runs]
    assert sum(v <= 0.05 for v in p) <= 3
    found = measured(cyclic(rng))["option_rstd", "all", None]
    assert found.value > 0 and found.reference.low < found.value < found.reference.high


def test_a_model_that_follows_content_is_consistent_and_changes_nothing():
    found = measured(cyclic(np.random.default_rng(3), noisy=False))
    assert found["option_consistency", "all", None].value == 100
    assert found["option_consistency", "all", None].low < 100
    assert found["option_prediction_change", "all", None].value == 0
    assert found["option_accuracy_change", "all", None].value == 0


def test_a_model_that_follows_places_changes_its_answer_in_every_order():
    found = measured(cyclic(np.random.default_rng(3), first=1.0))
    assert found["option_consistency", "all", None].value == 0
    assert found["option_prediction_change", "all", None].value == 100
    assert found["option_share", "all", 0].value == 100
    assert found["option_kl", "all", None].value == pytest.approx(np.log(4))


def test_a_question_with_a_failed_order_leaves_and_is_counted():
    rows = cyclic(np.random.default_rng(4), probes=10)
    rows[5] = Failure(asked=rows[5].asked, kind="refused", reason="no")
    found = measured(rows)["option_rstd", "all", None]
    assert found.n == 36 and "1 of 10" in found.notes[0]


def test_one_order_per_question_has_no_value_and_says_why():
    rows = [r for r in cyclic(np.random.default_rng(5)) if r.asked.trial_id.endswith("cyclic0")]
    assert all(e.value is None and "two or more orders" in e.notes[0] for e in measured(rows).values())


def test_gold_that_never_moves_has_no_recall_but_shares():
    rows = cyclic(np.random.default_rng(6), probes=20)
    rows = [r for r in rows if r.asked.option_order.index(1) < 2]
    found = measured(rows)
    assert found["option_recall", "all", None].value is None
    assert found["option_share", "all", 0].value is not None


def test_spread_and_divergence_less_their_reference_hold_zero_without_a_love_and_not_with_one():
    rng = np.random.default_rng(8)
    names = ("option_rstd_above_reference", "option_kl_above_reference", "option_ece_of_places_above_reference")
    runs = [measured(of_one_task(cyclic(rng, probes=48, sure=0.9)), seed=s) for s in range(8)]
    loving = measured(of_one_task(cyclic(rng, first=0.5, sure=0.9)))
    for name in names:
        found = [run[name, "all", None] for run in runs]
        assert sum(e.low <= 0 <= e.high for e in found) >= 6
        assert abs(np.mean([e.value for e in found])) < np.mean([e.reference.high for e in found])
        assert loving[name, "all", None].low > 0


def test_a_spread_and_what_it_is_above_its_reference_have_one_interval():
    found = measured(of_one_task(cyclic(np.random.default_rng(9), first=0.4, sure=0.9)))
    for name in ("option_rstd", "option_kl", "option_ece_of_places"):
        spread, above = found[name, "all", None], found[f"{name}_above_reference", "all", None]
        mean = spread.reference.mean
        assert (spread.value, spread.low, spread.high) == pytest.approx(
            (above.value + mean, max(0, above.low + mean), above.high + mean)
        )
        assert above.low < above.value < above.high


def test_the_calibration_error_equals_plain_counting():
    rows = cyclic(np.random.default_rng(9), probes=80, sure=0.93)
    found = measured(rows)["option_ece", "all", None]
    # The responder says .93 or .07 / 3, so of ten bins two are filled: those of its choice and of the others.
    gaps = []
    for place in range(4):
        gold = [r.asked.option_order.index(1) == place for r in rows]
        chosen = [r.asked.option_order.index(r.chosen) == place for r in rows]
        for picked, said in ((True, 0.93), (False, 0.07 / 3)):
            gaps.append(abs(sum(said - g for g, c in zip(gold, chosen, strict=True) if c == picked)))
    assert found.value == pytest.approx(100 * sum(gaps) / (4 * len(rows)))
    assert found.value > 10 and found.value == pytest.approx(found.reference.mean)
    assert found.reference.p_value is None


def test_a_model_that_is_too_sure_alike_at_every_place_has_no_calibration_error_of_places():
    found = measured(cyclic(np.random.default_rng(9), noisy=False, sure=0.99))
    assert found["option_ece", "all", None].value > 15
    assert found["option_ece_of_places", "all", None].value == pytest.approx(0, abs=1e-9)
    loving = measured(cyclic(np.random.default_rng(9), first=0.5, sure=0.99))["option_ece_of_places", "all", None]
    assert loving.value > 5 and loving.reference.p_value < 0.01


def test_answers_without_log_probabilities_have_no_calibration_error_and_say_why():
    found = measured(cyclic(np.random.default_rng(9), probes=20))["option_ece", "all", None]
    assert (found.value, found.low) == (None, None) and "no log-probabilities" in found.notes[0]


def test_each_style_of_labels_has_numbers_of_its_own():
    rng = np.random.default_rng(10)
    both = [*cyclic(rng, first=0.8), *cyclic(rng, first=0.0, style="numbers")]
    rows = [replace(r, asked=replace(r.asked, trial_id=f"{dict(r.asked.factors)['labels']}/{r.asked.trial_id}"))
            for r in both]  # fmt: skip
    found = measured(rows)
    letters, numbers = (found["option_share", f"labels: {style}", 0] for style in ("letters", "numbers"))
    assert letters.n == numbers.n == found["option_share", "all", 0].n / 2
    assert letters.value > 60 > 40 > numbers.value
    assert found["option_share", "all", 0].value == pytest.approx((letters.value + numbers.value) / 2)
    assert ("option_share", "labels: letters", 0) not in measured(cyclic(rng, probes=8))
