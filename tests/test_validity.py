"""The page on the instrument's error rates says what the simulated runs said."""

from collections import Counter
from dataclasses import replace

import pytest

from vlbias.metrics._few_clusters import METHODS, FewClusters, Held
from vlbias.metrics._rates import BIASED, INTERVALS, Case, Tally
from vlbias.metrics._simulate import WORLDS
from vlbias.selfcheck import Row
from vlbias.validity import SIZES, cases, cell_rows, few_rows, page


def perfect(case: Case, n: int) -> Tally:
    """What a perfect procedure would be told."""
    biased = case.points > 0
    label = case.shape if biased else "undetermined"
    return Tally(
        case=case, n=n, found=n if biased else round(0.05 * n), found_gold=n if biased else round(0.05 * n),
        labels=Counter({label: n}), old_labels=Counter({"volatile": n}), sure=Counter({label: n} if biased else {}),
        held=Counter(dict.fromkeys(INTERVALS, 95 * n)), intervals=Counter(dict.fromkeys(INTERVALS, 100 * n)),
    )  # fmt: skip


TALLIES = [perfect(case, n) for case, n in cases(400)]
HELD = Held(
    case=FewClusters(n_clusters=20, share=0.9),
    held=Counter({"score": 95, "t": 90, "percentile": 91, "BCa": 94}),
    made=Counter(dict.fromkeys(METHODS, 100)),
)


def test_every_world_size_and_shape_is_a_case_and_the_null_has_three_times_the_runs() -> None:
    asked = cases(400)
    assert len({case for case, _ in asked}) == len(asked) == len(WORLDS) * len(SIZES) * (1 + 2 * len(BIASED))
    assert {n for case, n in asked if case.points == 0} == {1200}
    assert {n for case, n in asked if case.points > 0} == {400}


def test_a_perfect_procedure_reaches_every_goal() -> None:
    assert all(row.ok for row in [*cell_rows(TALLIES), *few_rows([HELD])])


def test_an_interval_that_is_too_short_for_few_clusters_is_not_ok() -> None:
    (row,) = few_rows([replace(HELD, held=Counter({"score": 80}))])
    assert row.name == "coverage_share_0.9_20_clusters" and not row.ok


@pytest.mark.parametrize(
    ("field", "value", "missed"),
    [
        ("found", 180, "false_alarm_independent_300"),
        ("labels", Counter({"volatile": 400}), "right_label_12pt_300_independent"),
        ("sure", Counter({"none": 40}), "wrong_when_sure_independent_300"),
        ("sure", Counter({"neighbour": 5, "head": 5}), "opposite_when_sure_all"),
        ("held", Counter(dict.fromkeys(INTERVALS, 32_000)), "coverage_size_independent_300"),
        ("only_right", 30, "gold_finds_less"),
    ],
)
def test_a_fault_in_one_world_misses_its_goal(field: str, value: object, missed: str) -> None:
    broken = []
    for t in TALLIES:
        mine = t.case.world == "independent" and t.case.n_probes == 300
        mine = mine and (t.case.points == 0) == (field == "found") and t.case.shape != "volatile"
        broken.append(Tally(**{**vars(t), field: value}) if mine else t)
    assert not next(row for row in cell_rows(broken) if row.name == missed).ok


def test_the_page_holds_the_command_the_old_label_and_every_row() -> None:
    row = Row(name="a_row", value=None, low=0.25, high=None, goal="a goal", ok=False)
    text = page([row], TALLIES, [HELD], seed=7, replicates=400)
    assert "`vlbias selfcheck --full --seed 7 --replicates 400`" in text
    assert "| a_row | – | 0.25 | – | a goal | NO |" in text
    assert "| independent | 300 | 5.0 (3.9 to 6.4) | 5.0 | 100.0 |" in text
    assert "| sticky | 1177 | 6 | 100.0 | 100.0 | 100.0 | 20.0 | 100.0 | 0.0 | 0 |" in text
    assert "| clustered | 300 | 95.0 | 95.0 | 95.0 |" in text
    assert "| 0.9 | 20 | 95.0 | 90.0 | 91.0 | 94.0 |" in text
    assert "| sticky | 300 | 6 | 100.0 | 100.0 | 100.0 | 100.0 | 100.0 |" in text
    assert "| clustered | 120 | 12 | +0.0 (-0.1 to +0.1) | head: +0.0 |" in text
    assert "| head | 0 (0) | 100 (0) | 0 (0) | 0 (0) | 0 (0) | 0 (100) | 0 (0) |" in text
