"""Answers about needles made with a known fault: the metric names it and nothing else."""

import numpy as np
import pytest

from vlbias.answers import Answer, Asked, Audit, Failure
from vlbias.metrics import needle

AUDIT = Audit(prompt_sha256="x", segments=(), segment_spans=(), n_tokens=1, n_frames=1, batch_size=1)
IMAGES, SIDE = 3, 2


def answers(*, right: dict, rng: np.random.Generator, yes: tuple[float, float] = (0.9, 0.2), items: int = 60) -> list:
    """`right[coordinate](place)` is the chance of a right number; wrong ones fall evenly on the others."""
    out = []
    for k in range(items):
        for slot in range(IMAGES * SIDE**2):
            image, cell = divmod(slot, SIDE**2)
            place = dict(zip(("image", "row", "column"), (image, *divmod(cell, SIDE)), strict=True))
            for question in ("image", "row", "column", "there", "absent"):
                n = {"image": IMAGES, "row": SIDE, "column": SIDE}.get(question, 2)
                told = {"cell": f"{place['row']},{place['column']}", "grid": f"{SIDE}x{SIDE}", "in_image": str(image),
                        "item": f"i{k}", "coordinate": "there" if question == "absent" else question}  # fmt: skip
                if question in ("there", "absent"):
                    told["present"] = "yes" if question == "there" else "no"
                    order, gold = (0, 1), 0 if question == "there" else 1
                    says_yes = rng.random() < yes[question == "absent"]
                    chosen = 0 if says_yes else 1
                else:
                    at, gold = place[question], 0
                    order = (*range(1, at + 1), 0, *range(at + 1, n))
                    chance = right[question](place)
                    chosen = 0 if rng.random() < chance else int(rng.integers(1, n))
                asked = Asked(
                    trial_id=f"i{k}/{question}/{slot}", probe_id=f"i{k}/{question}", cluster_id=f"i{k}",
                    background_ids=(), task="x", slot=slot, n_slots=12, n_options=n, gold=gold, option_order=order,
                    factors=tuple(sorted(told.items())),
                )  # fmt: skip
                out.append(
                    Answer(asked=asked, chosen=chosen, logprobs=None, level="generated", reply=None, audit=AUDIT)
                )
    return out


def always(share: float):
    return lambda _: share


def named(outcomes) -> dict:
    found = needle.measure(outcomes, rng=np.random.default_rng(0))
    return {(e.metric, e.task, e.slot if e.cell is None else e.cell): e for e in found}


def test_a_middle_image_that_is_missed_shows_at_its_place_and_not_in_rows():
    lost = {"image": lambda at: 0.4 if at["image"] == 1 else 0.95, "row": always(0.9), "column": always(0.9)}
    found = named(answers(right=lost, rng=np.random.default_rng(0)))
    at = [found["needle_accuracy_at", "image", k] for k in range(3)]
    assert at[1].low < 40 < at[1].high < min(at[0].low, at[2].low) and at[0].reference.mean == pytest.approx(100 / 3)
    assert found["needle_accuracy", "row", None].low < 90 < found["needle_accuracy", "row", None].high
    assert found["needle_pattern", "all", None].label == "none"


def test_exact_needs_every_coordinate_and_its_guess_is_their_product():
    found = named(answers(right=dict.fromkeys(("image", "row", "column"), always(0.8)), rng=np.random.default_rng(1)))
    exact = found["needle_exact", "all", None]
    assert exact.low < 51.2 < exact.high and exact.reference.mean == pytest.approx(100 / 12)


def test_cells_at_the_left_that_are_missed_name_the_pattern():
    weak = {"image": always(1.0), "row": always(1.0), "column": lambda at: 0.5 if at["column"] == 0 else 0.95}
    found = named(answers(right=weak, rng=np.random.default_rng(2)))
    assert found["needle_pattern", "all", None].label == "right"
    assert found["needle_exact_at", "all", (0, 0)].high < found["needle_exact_at", "all", (0, 1)].low


def test_a_liking_for_the_first_number_is_told_from_being_right():
    liked = {"image": lambda at: 1.0 if at["image"] == 0 else 0.6, "row": always(0.9), "column": always(0.9)}
    rows = answers(right=liked, rng=np.random.default_rng(3))
    said = [
        Answer(asked=r.asked, chosen=r.asked.option_order[0], logprobs=None, level="generated", reply=None, audit=AUDIT)
        if dict(r.asked.factors)["coordinate"] == "image" and not r.correct
        else r
        for r in rows
    ]
    found = named(said)
    first = found["needle_said", "image", 0]
    assert first.low > 15 and first.reference.p_value < 0.01 and found["needle_said", "image", 1].high < 0
    fair = named(answers(right=dict.fromkeys(("image", "row", "column"), always(0.7)), rng=np.random.default_rng(4)))
    assert fair["needle_said", "image", 0].reference.p_value > 0.05


def test_hits_and_false_alarms_are_apart_and_an_item_with_a_failure_is_left_out():
    rows = answers(right=dict.fromkeys(("image", "row", "column"), always(0.9)), rng=np.random.default_rng(5))
    found = named(rows)
    assert found["needle_hit_rate", "all", None].low < 90 < found["needle_hit_rate", "all", None].high
    assert found["needle_false_alarm_rate", "all", None].low < 20 < found["needle_false_alarm_rate", "all", None].high
    lost = named([Failure(asked=rows[0].asked, kind="parse", reason="x"), *rows[1:]])
    assert lost["needle_exact", "all", None].n == 59 and "1 of 60 items" in lost["needle_exact", "all", None].notes[0]


def test_coordinates_are_adjusted_over_each_other_and_the_pattern_names_what_it_joins():
    everything = {name: always(0.9) for name in ("image", "row", "column")}
    found = named(answers(right=everything, rng=np.random.default_rng(7), items=20))
    said = [e.adjusted for (metric, _, _), e in found.items() if metric == "needle_said"]
    assert len(said) == 7 and all("max-T over" in a and "Holm over 3 tasks" in a for a in said)
    assert "min-p" in found["needle_pattern", "all", None].adjusted


def test_sides_of_the_images_are_compared_and_every_place_of_every_image_is_tested():
    left = {"image": always(0.95), "row": always(0.95), "column": lambda at: 0.5 if at["column"] == 0 else 0.95}
    found = named(answers(right=left, rng=np.random.default_rng(0), items=80))
    side = found["needle_left_right", "all", None]
    assert side.low < -40.6 < side.high and side.reference.p_value < 0.02 and "Holm over 4 contrasts" in side.adjusted
    q = found["needle_cochran_q", "all", None]
    assert q.unit == "chi2, 11 df" and q.reference.p_value < 1e-6
    pairs = found["needle_pairs_apart", "all", None]
    assert "Holm over 66 pairs" in pairs.adjusted and "image" in pairs.notes[0] and pairs.value > 0
    assert found["needle_flip_rate", "all", None].value > 90
    assert found["needle_cell_variance", "all", None].value > 100


def test_a_map_of_luck_has_the_mean_of_the_cells_and_none_of_their_pattern():
    left = {"image": always(1), "row": always(1), "column": lambda at: 0.5 if at["column"] == 0 else 1}
    found = named(answers(right=left, rng=np.random.default_rng(0), items=80))
    seen, luck = (
        np.array([found[name, "all", place].value for place in ((0, 0), (0, 1), (1, 0), (1, 1))])
        for name in ("needle_exact_at", "needle_exact_at_of_luck")
    )
    assert luck.mean() == pytest.approx(seen.mean()) and np.ptp(luck) < 0.5 * np.ptp(seen)
