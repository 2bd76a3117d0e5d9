"""The page on the instrument's error rates says what the simulated runs said."""

from collections import Counter

import pytest

from vlbias.metrics._rates import BIASED, Case, Tally
from vlbias.metrics._simulate import WORLDS
from vlbias.selfcheck import Row
from vlbias.validity import SIZES, cases, cell_rows, page


def perfect(case: Case, n: int) -> Tally:
    """What a perfect procedure would be told."""
    biased, small = case.points > 0, case.n_probes == min(SIZES)
    label = case.shape if biased else "undetermined"
    return Tally(
        case=case, n=n, found=n if biased else round(0.05 * n), found_gold=n if biased else round(0.05 * n),
        labels=Counter({label: n}), old_labels=Counter({"volatile": n}), sure=Counter({label: n} if biased else {}),
        covered=95 * n if not small else 94 * n, intervals=100 * n,
    )  # fmt: skip


TALLIES = [perfect(case, n) for case, n in cases(400)]


def test_every_world_size_and_shape_is_a_case_and_the_null_has_400_runs() -> None:
    asked = cases(400)
    assert len({case for case, _ in asked}) == len(asked) == len(WORLDS) * len(SIZES) * (1 + 3 * len(BIASED))
    assert {n for case, n in asked if case.points == 0} == {400}


def test_a_perfect_procedure_reaches_every_goal() -> None:
    assert all(row.ok for row in cell_rows(TALLIES))


@pytest.mark.parametrize(
    ("field", "value", "missed"),
    [
        ("found", 60, "false_alarm_independent_300"),
        ("labels", Counter({"volatile": 400}), "right_label_12pt_300_independent"),
        ("sure", Counter({"none": 40}), "wrong_when_sure_all"),
        ("found_gold", 0, "gold_finds_less"),
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
    text = page([row], TALLIES, seed=7, replicates=400)
    assert "`vlbias selfcheck --full --seed 7 --replicates 400`" in text
    assert "| a_row | – | 0.25 | – | a goal | NO |" in text
    assert "| independent | 300 | 5.0 (3.3 to 7.6) | 5.0 | 100.0 |" in text
    assert "| sticky | 1177 | 6 | 100.0 | 100.0 | 100.0 | 20.0 | 100.0 | 0.0 | 0 |" in text
    assert "| clustered | 300 | 95.0 |" in text
    assert "| head | 0 (0) | 100 (0) | 0 (0) | 0 (0) | 0 (0) | 0 (100) | 0 (0) |" in text
