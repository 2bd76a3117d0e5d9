from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from vlbias.answers import Answer, Asked, Failure, asked
from vlbias.estimates import Estimate
from vlbias.metrics import spatial
from vlbias.metrics._spatial_contrasts import contrast_rows
from vlbias.metrics._spatial_test import cochran_q, mcnemar_pairs, pattern_rows, spatial_test
from vlbias.models import scripted
from vlbias.models._margin import weight
from vlbias.probes import grid
from vlbias.prompts import Style, prompt
from vlbias.strictyaml import parse

SHAPES = ("centre", "bottom_right", "left", "checkerboard")
SUITE = """
name: tiny
kind: grid
version: 1
description: x
licence: x
source: {drawn: {items: 80, seed: 3, size_px: [96, 96]}}
"""


def truth_C(kind: str, side: int, effect: float) -> np.ndarray:
    if kind == "none":
        return np.full(side * side, 0.6)
    raw = np.array([weight(kind, r, c, (side, side)) for r in range(side) for c in range(side)])
    return 0.6 + effect * (raw - raw.mean()) / np.ptp(raw)


def table_of(chance_C: np.ndarray, n: int, rng: np.random.Generator, sd: float = 1.0) -> np.ndarray:
    """Right answers of n items of which some are harder in every cell."""
    logit_NC = np.log(chance_C / (1 - chance_C)) + sd * rng.standard_normal((n, 1))
    return (rng.random((n, len(chance_C))) < 1 / (1 + np.exp(-logit_NC))).astype(float)


def outcomes(hit_NC: np.ndarray, false_NC: np.ndarray | None, side: tuple[int, int], per: int = 1) -> list[Answer]:
    out = []
    for version, table in (("yes", hit_NC), ("no", false_NC)):
        for i, row in enumerate(table if table is not None else []):
            for c, said in enumerate(row):
                gold = 0 if version == "yes" else 1
                factors = (("cell", f"{c // side[1]},{c % side[1]}"), ("grid", f"{side[0]}x{side[1]}"),
                           ("present", version), ("shift", "0,0"))  # fmt: skip
                what = Asked(trial_id=f"{i}{version}{c}", probe_id=f"item-{i:04d}-{version}", cluster_id=f"c{i // per}",
                              background_ids=(), task="Presence", slot=c, n_slots=len(row), n_options=2, gold=gold,
                              option_order=(0, 1), factors=factors)  # fmt: skip
                out.append(Answer(asked=what, chosen=int(not said), logprobs=None, level="generated", reply=None,
                                  audit=None))  # type: ignore[arg-type]  # fmt: skip
    return out


def measured(rows: list) -> dict[tuple, Estimate]:
    return {(e.metric, e.cell): e for e in spatial.measure(rows, rng=np.random.default_rng(0))}


def test_hits_false_alarms_sight_and_leaning_of_a_cell_are_told_apart() -> None:
    hit, false = np.zeros((40, 4)), np.zeros((40, 4))
    hit[:30, 0], false[:10, 0] = 1, 1  # sees
    hit[:30, 1], false[:30, 1] = 1, 1  # says yes
    found = measured(outcomes(hit, false, (2, 2)))
    assert found["spatial_hit_rate", (0, 0)].value == found["spatial_hit_rate", (0, 1)].value == 75
    assert found["spatial_false_alarm_rate", (0, 1)].value == 75 and found["spatial_accuracy", (0, 1)].value == 50
    z = stats.norm.ppf([30.5 / 41, 10.5 / 41])
    assert found["spatial_dprime", (0, 0)].value == pytest.approx(z[0] - z[1])
    assert found["spatial_dprime", (0, 1)].value == pytest.approx(0)
    assert found["spatial_criterion", (0, 1)].value == pytest.approx(-z[0])
    one = found["spatial_hit_rate", (0, 0)]
    assert one.low < 75 < one.high and found["spatial_hit_rate", (1, 1)].high == pytest.approx(
        100 * stats.beta.ppf(0.975, 1, 40)
    )


def test_without_absent_versions_sight_is_not_available() -> None:
    found = measured(outcomes(table_of(truth_C("none", 2, 0), 30, np.random.default_rng(0)), None, (2, 2)))
    assert found["spatial_dprime", None].value is None and "nothing absent" in found["spatial_dprime", None].notes[0]
    assert ("spatial_leaning_pattern", None) not in found and found["spatial_pattern", None].label == "none"


def test_a_liking_for_yes_at_the_left_is_a_leaning_and_no_difference_in_sight() -> None:
    rng = np.random.default_rng(5)
    yes = truth_C("left", 3, 0.5)
    hit, false = table_of(yes, 150, rng), table_of(yes, 150, rng)
    found = measured(outcomes(hit, false, (3, 3)))
    assert found["spatial_leaning_pattern", None].label == "left" and found["spatial_pattern", None].label == "none"
    assert found["spatial_leaning_left_right", None].low > 0 > found["spatial_left_right", None].low


@pytest.mark.parametrize("kind", sorted(SHAPES))
@pytest.mark.parametrize("side", [3, 8])
def test_a_planted_pattern_is_named_in_nearly_every_run(kind: str, side: int) -> None:
    rng = np.random.default_rng(7)
    found = Counter()
    for _ in range(20):
        table = table_of(truth_C(kind, side, 0.4), 100, rng)
        found[spatial_test(table, np.arange(100), (side, side), rng=rng, draws=199).label] += 1
    assert found[kind] >= 19, found


def test_a_flat_model_is_named_in_at_most_five_of_a_hundred_runs() -> None:
    rng = np.random.default_rng(11)
    labels = [
        spatial_test(table_of(truth_C("none", 3, 0), 40, rng), np.arange(40), (3, 3), rng=rng, draws=199).label
        for _ in range(200)
    ]
    alarms = sum(label != "none" for label in labels)
    assert 1 <= alarms <= 10, alarms


def test_a_pattern_that_no_word_fits_is_other() -> None:
    rng = np.random.default_rng(1)
    chance = np.full(64, 0.6)
    chance[[9, 22, 36, 51]] = 0.02
    assert spatial_test(table_of(chance, 100, rng), np.arange(100), (8, 8), rng=rng, draws=199).label == "other"


def test_questions_that_share_a_cluster_are_permuted_together() -> None:
    rng = np.random.default_rng(2)
    labels = []
    for _ in range(100):
        table = np.repeat(table_of(truth_C("none", 3, 0), 20, rng), 5, axis=0)
        labels.append(spatial_test(table, np.repeat(np.arange(20), 5), (3, 3), rng=rng, draws=199).label)
    assert sum(label != "none" for label in labels) <= 10


def test_cochrans_q_and_mcnemar_agree_with_their_formulas() -> None:
    rng = np.random.default_rng(3)
    table = table_of(truth_C("left", 3, 0.4), 50, rng)
    q, p = cochran_q(table)
    column, row = table.sum(axis=0), table.sum(axis=1)
    expected = 9 * 8 * ((column - column.mean()) ** 2).sum() / (row * (9 - row)).sum()
    assert q == pytest.approx(expected) and p == pytest.approx(stats.chi2.sf(expected, 8))
    assert cochran_q(np.ones((4, 3))) is None
    pairs, p_P = mcnemar_pairs(table)
    a, b = pairs[5]
    one, two = ((table[:, a] > table[:, b]).sum(), (table[:, a] < table[:, b]).sum())
    assert p_P[5] == pytest.approx(stats.binomtest(int(one), int(one + two), 0.5).pvalue)


def test_the_variance_of_a_flat_model_is_about_zero_after_the_luck_is_taken_off() -> None:
    rng = np.random.default_rng(4)
    values = []
    for _ in range(30):
        table = 100 * table_of(truth_C("none", 3, 0), 60, rng)
        found = spatial_test(table, np.arange(60), (3, 3), rng=rng, draws=199)
        values.append((found.variance, found.variance - found.null_variance_B.mean()))
    raw, net = np.median(values, axis=0)
    assert raw > 20 and abs(net) < 12
    strong = measured(outcomes(table_of(truth_C("left", 3, 0.6), 300, rng, sd=0.1), None, (3, 3)))
    expected = 1e4 * truth_C("left", 3, 0.6).var()
    assert strong["spatial_cell_variance", None].value == pytest.approx(expected, rel=0.3)


def test_contrasts_compare_the_means_of_two_sides() -> None:
    rows = contrast_rows((3, 3))
    assert rows["centre_border"][4] == 1 and rows["centre_border"][0] == pytest.approx(-1 / 8)
    assert rows["top_bottom"].reshape(3, 3)[1].tolist() == [0, 0, 0]
    assert rows["first_last"][[0, 8]].tolist() == [1, -1] and set(contrast_rows((1, 2))) == {
        "left_right", "first_last", "checkerboard"}  # fmt: skip
    assert "centre" in pattern_rows((3, 3)) and list(pattern_rows((1, 2))) == ["left"]


def test_failed_items_are_left_out_whole_and_shared_clusters_have_no_mcnemar() -> None:
    rng = np.random.default_rng(6)
    rows = outcomes(table_of(truth_C("none", 2, 0), 30, rng), table_of(truth_C("none", 2, 0), 30, rng), (2, 2), per=2)
    rows[0] = Failure(asked=rows[0].asked, kind="parse", reason="x")
    found = measured(rows)
    assert found["spatial_hit_rate", (0, 0)].n == 29 and "1 of 30 items" in found["spatial_pattern", None].notes[-1]
    q = found["spatial_cochran_q", None]
    assert q.value is None and "share clusters" in q.notes[0]


def scripted_rows(kind: str) -> list:
    suite = parse(SUITE, where="x", model=grid.Suite)
    effect = 0.0 if kind == "none" else 0.4
    model = scripted.load(accuracy=0.65, spatial=kind, difficulty=1.0, seed=3, effect=effect)
    rows = []
    for trial in grid.trials(grid.probes(suite, folder=Path()), suite=suite, seed=1):
        (scores,) = model.score([prompt(trial, {}, Style())])
        chosen = trial.option_order[int(np.argmax(scores.logprobs))]
        rows.append(Answer(asked=asked(trial), chosen=chosen, logprobs=scores.logprobs, level="exact", reply=None,
                           audit=None))  # type: ignore[arg-type]  # fmt: skip
    return rows


@pytest.mark.parametrize("kind", ["none", *SHAPES])
def test_the_scripted_model_is_recovered_through_the_grid_kind(kind: str) -> None:
    assert measured(scripted_rows(kind))["spatial_pattern", None].label == kind


def test_a_flip_is_an_item_whose_answer_changes() -> None:
    hit = np.ones((10, 4))
    hit[:3, 2] = 0
    assert measured(outcomes(hit, None, (2, 2)))["spatial_flip_rate", None].value == 30


def on_grids(n_grids: int, planted: np.ndarray) -> list[Answer]:
    """The same answers on several grids that are told apart by their background; only the first is planted."""
    rng, out = np.random.default_rng(2), []
    for k in range(n_grids):
        hit = planted if k == 0 else (rng.random(planted.shape) < 0.6).astype(float)
        for row in outcomes(hit, None, (2, 2)):
            asked_ = row.asked
            out.append(replace(row, asked=replace(asked_, factors=(*asked_.factors, ("background", f"b{k}")))))
    return out


def test_a_pattern_has_to_survive_the_other_grids_and_says_when_it_does_not() -> None:
    weak = table_of(np.array([0.53, 0.53, 0.69, 0.69]), 80, np.random.default_rng(34))

    def pattern(n_grids: int) -> Estimate:
        found = spatial.measure(on_grids(n_grids, weak), rng=np.random.default_rng(0))
        return next(e for e in found if e.metric == "spatial_pattern" and "b0" in e.task)

    alone, among = pattern(1), pattern(10)
    assert alone.label == "bottom_right" and 0.003 < alone.reference.p_value <= 0.03 and "one task" in alone.adjusted
    assert among.label == "none" and among.reference.p_value > 0.03 and "Holm over 10 tasks" in among.adjusted
    assert "bottom_right is withheld" in among.notes[0]


def test_the_map_of_luck_has_the_mean_of_the_real_one_and_none_of_its_pattern() -> None:
    rows = outcomes(table_of(truth_C("left", 3, 0.6), 300, np.random.default_rng(9), sd=0.1), None, (3, 3))
    found = measured(rows)
    real, luck = (np.array([found[name, divmod(c, 3)].value for c in range(9)])
                  for name in ("spatial_accuracy", "spatial_accuracy_of_luck"))  # fmt: skip
    assert luck.mean() == pytest.approx(real.mean())
    assert (
        real[[0, 3, 6]].mean() - real[[2, 5, 8]].mean() > 40 > 10 > abs(luck[[0, 3, 6]].mean() - luck[[2, 5, 8]].mean())
    )
    assert found["spatial_accuracy_of_luck", (0, 0)].low is None
