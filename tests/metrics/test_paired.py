from dataclasses import replace

import numpy as np
import pytest

from vlbias.answers import Answer, Asked, Audit, Failure
from vlbias.errors import BadInput
from vlbias.estimates import Cost, RunInfo
from vlbias.metrics import paired
from vlbias.records import Identity

SLOTS = 5
AUDIT = Audit(prompt_sha256="d", segments=(), segment_spans=(), n_tokens=None, n_frames=0, batch_size=1)
COST = Cost(
    wall_s=0, decode_s=0, model_s=0, n_forwards=0, n_tokens=0, n_clips_decoded=0, peak_memory_bytes=None, sessions=1
)


def info(name, suite="s"):
    return RunInfo(
        run_name=name, created_utc="t", finished_utc=None, config={}, config_sha256="c", suite={}, suite_sha256=suite,
        identity=Identity(adapter="a", name=name), versions={}, machine={}, command="", canary="", cost=COST, n_asked=0,
    )  # fmt: skip


def asked(probe, slot, n_slots):
    return Asked(
        trial_id=f"{probe}-{slot}", probe_id=f"p{probe}", cluster_id=f"c{probe // 2}", background_ids=(), task="t",
        slot=slot, n_slots=n_slots, n_options=2, gold=0, option_order=(0, 1),
    )  # fmt: skip


def run(rng, curve, probes=120):
    out = []
    for probe in range(probes):
        for slot, chance in enumerate(curve):
            chosen = int(rng.random() >= chance)
            out.append(
                Answer(
                    asked=asked(probe, slot, len(curve)),
                    chosen=chosen,
                    logprobs=None,
                    level="generated",
                    reply=None,
                    audit=AUDIT,
                )  # fmt: skip
            )
    return out


FLAT, HEAD = [0.6] * SLOTS, [0.95, 0.6, 0.6, 0.6, 0.6]


def by_metric(found):
    return {(d.estimate.metric, d.first, d.second): d for d in found.differences}


def test_a_planted_head_effect_is_found_and_other_contrasts_are_not():
    rng = np.random.default_rng(1)
    found = by_metric(paired.compare([(info("a"), run(rng, HEAD)), (info("b"), run(rng, FLAT))], rng=rng))
    head = found["accuracy_head_minus_middle", "a", "b"]
    assert head.p_value < 0.002 and head.estimate.low > 0
    assert head.estimate.low < 35 < head.estimate.high
    assert found["accuracy_neighbour_minus_middle", "a", "b"].p_value > 0.05
    assert found["accuracy_range", "a", "b"].p_value < 0.05
    assert head.estimate.clusters == 60 and head.estimate.n == 120


def test_a_difference_is_that_of_the_two_values():
    rng = np.random.default_rng(2)
    found = paired.compare([(info("a"), run(rng, HEAD)), (info("b"), run(rng, FLAT))], rng=rng)
    for d in found.differences:
        assert d.estimate.value == pytest.approx(d.first_value - d.second_value)
    mean = by_metric(found)["accuracy", "a", "b"]
    assert mean.first_value == pytest.approx(np.mean(found.curves[0]))


def test_two_runs_of_one_model_reject_no_more_than_the_level_says():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(60):
        pair = [(info("a"), run(rng, FLAT, probes=30)), (info("b"), run(rng, FLAT, probes=30))]
        hits += by_metric(paired.compare(pair, rng=rng))["accuracy", "a", "b"].p_value <= 0.05
    assert hits <= 8


def test_a_run_against_itself_shows_nothing():
    rows = run(np.random.default_rng(4), HEAD)
    found = paired.compare([(info("a"), rows), (info("a"), rows)], rng=np.random.default_rng(0))
    assert found.runs == ("a (1)", "a (2)")
    assert all(d.estimate.value == d.estimate.low == d.estimate.high == 0 for d in found.differences)
    assert all(d.p_value == 1 for d in found.differences)


def test_p_values_of_three_runs_are_stepped_down_over_their_pairs():
    rng = np.random.default_rng(5)
    three = [(info(n), run(rng, c)) for n, c in (("a", HEAD), ("b", FLAT), ("c", FLAT))]
    mine = [d for d in paired.compare(three, rng=rng).differences if d.estimate.metric == "accuracy"]
    ranked = sorted(mine, key=lambda d: d.p_value)
    assert ranked[0].p_adjusted == pytest.approx(min(1, 3 * ranked[0].p_value))
    assert all(d.adjusted == "Holm over 3 pairs" and d.p_adjusted >= d.p_value for d in mine)


def test_probes_that_one_run_lacks_are_left_out_of_both_and_counted():
    rng = np.random.default_rng(6)
    a, b = run(rng, FLAT), run(rng, FLAT)
    b[0] = Failure(asked=b[0].asked, kind="memory", reason="out of memory")
    found = paired.compare([(info("a"), a), (info("b"), b[:-SLOTS])], rng=rng)
    assert found.n_probes == 118
    assert "2 of 120" in found.notes[0]


def test_the_order_of_the_rows_changes_nothing():
    rng = np.random.default_rng(7)
    a, b = run(rng, HEAD), run(rng, FLAT)
    one = paired.compare([(info("a"), a), (info("b"), b)], rng=np.random.default_rng(0))
    two = paired.compare([(info("a"), a[::-1]), (info("b"), b)], rng=np.random.default_rng(0))
    assert one == two


def test_runs_that_cannot_be_paired_are_refused():
    rng = np.random.default_rng(8)
    rows = run(rng, FLAT)
    for other, said in (
        ((info("b", suite="other"), rows), "only runs of one suite"),
        ((info("b"), run(rng, [0.5] * 3)), "number of slots"),
        ((info("b"), []), "nothing can be paired"),
    ):
        with pytest.raises(BadInput, match=said):
            paired.compare([(info("a"), rows), other], rng=rng)
    with pytest.raises(BadInput, match="two or more"):
        paired.compare([(info("a"), rows)], rng=rng)


def test_context_that_costs_accuracy_is_found_and_one_that_does_not_is_not(answers_of):
    rng = np.random.default_rng(0)
    for alone, lost in ((0.9, True), (0.6, False)):
        rows_ = answers_of(rng.random((150, 4)) < 0.6, rng.random(150) < alone, per=2)
        (found,) = [e for e in paired.measure(rows_, rng=np.random.default_rng(1)) if e.task == "all"]
        assert (found.reference.p_value < 0.01) == lost
        assert found.low < 100 * (0.6 - alone) < found.high and found.clusters == 75


def test_without_answers_alone_there_is_nothing_to_pair(answers_of):
    (found, *_) = paired.measure(answers_of(np.ones((6, 3))), rng=np.random.default_rng(0))
    assert found.value is None and "without context" in found.notes[0]


def test_runs_over_the_cells_of_an_image_are_compared_by_its_sides_and_not_by_head_and_neighbour():
    def cells(seed, curve):
        rows = run(np.random.default_rng(seed), curve)
        return [replace(r, asked=replace(r.asked, factors=(("grid", "3x3"),))) for r in rows]

    left, flat = cells(0, [0.9, 0.6, 0.4] * 3), cells(1, [0.6] * 9)
    comparison = paired.compare([(info("a"), left), (info("b"), flat)], rng=np.random.default_rng(0))
    found = {d.estimate.metric: d for d in comparison.differences}
    assert comparison.grid_rc == (3, 3) and not any("head" in metric for metric in found)
    assert found["spatial_left_right"].p_value < 0.01 and found["spatial_left_right"].estimate.low > 30
    assert found["spatial_top_bottom"].p_value > 0.05
    plain = run(np.random.default_rng(0), FLAT)
    again = paired.compare([(info("a"), plain), (info("b"), plain)], rng=np.random.default_rng(0))
    assert again.grid_rc is None and any("head" in d.estimate.metric for d in again.differences)


def test_runs_that_answer_with_points_are_compared_by_what_they_find_and_by_the_sides_of_the_image():
    def pointing(curve, seed):
        out = []
        for row in run(np.random.default_rng(seed), curve, probes=60):
            left = row.asked.slot / 4
            told = (("asks", "point"), ("cell", f"0,{row.asked.slot}"), ("grid", "1x4"), ("size_px", "80x20"),
                    ("target", f"{left},0,{left + 0.25},1"))  # fmt: skip
            place = (left + 0.1, 0.5) if row.chosen == 0 else None
            bare = replace(row.asked, gold=None, n_options=0, option_order=(), factors=told)
            out.append(replace(row, asked=bare, chosen=None, point_xy=place))
        return out

    runs = [(info("a"), pointing([0.9, 0.9, 0.3, 0.3], 1)), (info("b"), pointing([0.6] * 4, 2))]
    found = by_metric(paired.compare(runs, rng=np.random.default_rng(0)))
    sides = found["spatial_left_right", "a", "b"]
    assert sides.estimate.low < 60 < sides.estimate.high and sides.p_value < 0.001
    level = found["accuracy", "a", "b"]
    assert level.estimate.low < 0 < level.estimate.high and level.second_value == pytest.approx(60, abs=8)
