"""Planted preferences between two contradicting segments come back; without one nothing is found."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from vlbias.answers import Answer, Asked, Audit, Failure
from vlbias.metrics import preference

SLOTS = 4
AUDIT = Audit(prompt_sha256="d", segments=(), segment_spans=(), n_tokens=None, n_frames=0, batch_size=1)


def asked_of(probe, slot, rival_slot):
    content = "ab" if slot < rival_slot else "ba"
    factors = (("rival_slot", str(rival_slot)), ("rival_gold", "2"), ("content_order", content))
    return Asked(
        trial_id=f"{probe}/{slot}-{rival_slot}", probe_id=f"p{probe:04d}", cluster_id=f"c{probe // 2}",
        background_ids=(), task="ab"[probe % 2], slot=slot, n_slots=SLOTS, n_options=4, gold=1,
        option_order=(0, 1, 2, 3), factors=factors,
    )  # fmt: skip


def conflicts(rng, *, probes=60, head=0.5, other=0.0, content=0.0, fade=0.0):
    """Answers that believe the head with this chance; `content` of the probes believe the evidence wherever it is."""
    out = []
    for probe in range(probes):
        follows = rng.random() < content
        for pair in combinations(range(SLOTS), 2):
            for slot, rival_slot in (pair, pair[::-1]):
                chance = 0.5 + (head - 0.5) * np.exp(-fade * (pair[1] - pair[0] - 1))
                believes_head = rng.random() < chance
                chosen = 1 if follows or believes_head == (slot < rival_slot) else 2
                if rng.random() < other:
                    chosen = 3
                asked = asked_of(probe, slot, rival_slot)
                out.append(
                    Answer(asked=asked, chosen=chosen, logprobs=None, level="generated", reply=None, audit=AUDIT)
                )
    return out


def measured(rows, seed=0):
    found = preference.measure(rows, rng=np.random.default_rng(seed))
    return {(e.metric, e.task, e.cell): e for e in found}


def test_a_planted_preference_for_the_head_is_inside_the_interval():
    found = measured(conflicts(np.random.default_rng(0), head=0.8))
    index = found["preference_index", "all", None]
    assert index.low < 60 < index.high and index.high - index.low < 20
    assert index.reference.p_value < 0.01 and abs(index.reference.mean) < 3
    assert found["preference_head", "all", None].value == pytest.approx(50 + index.value / 2)


def test_without_a_preference_nothing_is_found_in_most_runs():
    rng = np.random.default_rng(1)
    p = [
        measured(conflicts(rng, probes=16), seed=s)["preference_index", "all", None].reference.p_value
        for s in range(20)
    ]
    assert sum(v <= 0.05 for v in p) <= 3


def test_content_that_is_followed_is_not_a_preference_for_a_place():
    found = measured(conflicts(np.random.default_rng(2), content=1.0))
    assert found["preference_same_content", "all", None].value == 100
    assert found["preference_same_content", "all", None].low > 85
    assert found["preference_index", "all", None].value == 0
    assert found["preference_head_both_orders", "all", None].value == 0


def test_a_place_that_is_always_believed_is_believed_in_both_orders():
    found = measured(conflicts(np.random.default_rng(2), head=0.0))
    assert found["preference_neighbour_both_orders", "all", None].value == 100
    assert found["preference_index", "all", None].value == -100
    assert found["preference_neighbour", "all", None].reference.mean == pytest.approx(50, abs=2)


def test_a_preference_that_fades_with_distance_has_a_falling_slope():
    fading = measured(conflicts(np.random.default_rng(3), head=0.95, fade=1.0, probes=100))
    slope = fading["preference_distance_slope", "all", None]
    assert slope.high < 0 and slope.reference.p_value < 0.01
    steady = measured(conflicts(np.random.default_rng(3), head=0.8, probes=100))[
        "preference_distance_slope", "all", None
    ]
    assert steady.low < 0 < steady.high


def test_other_answers_are_their_own_share():
    found = measured(conflicts(np.random.default_rng(4), other=0.3))
    other = found["preference_other", "all", None]
    assert other.low < 30 < other.high and other.reference is None
    parts = [found[f"preference_{m}", "all", None].value for m in ("head", "neighbour", "other")]
    assert sum(parts) == pytest.approx(100)


def test_every_pair_of_slots_has_a_cell_adjusted_by_holm():
    found = measured(conflicts(np.random.default_rng(5), head=0.9))
    cells = [e for (metric, task, cell), e in found.items() if metric == "preference_index_pair" and task == "all"]
    assert {e.cell for e in cells} == set(combinations(range(SLOTS), 2))
    assert {e.adjusted for e in cells} == {"Holm over 6 pairs of slots"}
    mean = np.mean([e.value for e in cells])
    assert mean == pytest.approx(found["preference_index", "all", None].value)


def test_each_distance_has_the_index_of_its_pairs_adjusted_by_holm():
    rows = conflicts(np.random.default_rng(7), head=0.95, fade=0.9)
    found = preference.measure(rows, rng=np.random.default_rng(0))
    apart = [e for e in found if e.metric == "preference_index_distance" and e.task == "all"]
    cells = {e.cell: e.value for e in found if e.metric == "preference_index_pair" and e.task == "all"}
    assert [(e.slot, e.n) for e in apart] == [(0, 180), (1, 120), (2, 60)]
    for e in apart:
        assert e.value == pytest.approx(np.mean([v for (h, n), v in cells.items() if n - h == e.slot + 1]))
        truth = 200 * 0.45 * np.exp(-0.9 * e.slot)
        assert e.low < truth < e.high and e.adjusted == "Holm over 3 distances of pairs of slots"
    assert apart[0].value > apart[2].value and apart[0].reference.p_value < 0.01


def test_a_probe_with_a_failed_pair_leaves_and_is_counted():
    rows = conflicts(np.random.default_rng(6), probes=10)
    rows[0] = Failure(asked=rows[0].asked, kind="parse", reason="unclear")
    index = measured(rows)["preference_index", "all", None]
    assert index.n == 9 * 6 and "1 of 10" in index.notes[0]


def test_rows_without_a_rival_and_one_cluster_say_why():
    asked = Asked(trial_id="t", probe_id="p", cluster_id="c", background_ids=(), task="t", slot=0, n_slots=2,
                  n_options=2, gold=0, option_order=(0, 1))  # fmt: skip
    plain = Answer(asked=asked, chosen=0, logprobs=None, level="generated", reply=None, audit=AUDIT)
    assert all(e.value is None and "conflict" in e.notes[0] for e in measured([plain]).values())
    single = measured(conflicts(np.random.default_rng(0), probes=1))["preference_index", "all", None]
    assert (single.low, single.reference.p_value) == (None, None) and "one cluster" in single.interval


def test_answers_to_which_both_are_equally_likely_are_told_apart_and_believe_neither():
    rows = conflicts(np.random.default_rng(0), head=1.0)
    tied = [replace(r, logprobs=(-9.0, -1.0, -1.0, -9.0)) if k % 4 == 0 else r for k, r in enumerate(rows)]
    found = measured(tied)
    shares = {name: found[f"preference_{name}", "all", None].value for name in ("head", "neighbour", "other", "tied")}
    assert shares == pytest.approx({"head": 75.0, "neighbour": 0.0, "other": 0.0, "tied": 25.0})
    assert found["preference_index", "all", None].value == pytest.approx(75.0)
    assert measured(rows)["preference_tied", "all", None].value == 0
