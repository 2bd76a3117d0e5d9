"""The check of corrections finds what they reach and what they do not, and would notice a method that harms."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from vlbias import debiascheck
from vlbias.debiascheck import CLICKS, FEW_RELEVANT, NO_BIAS, PRIOR, SIGHT, WHIM, Effect, Log, cut, effects, rows
from vlbias.debiaspage import page
from vlbias.selfcheck import Row

METHODS = "permute,pride,vector_per_slot,temperature_per_slot"


@pytest.fixture(scope="module")
def found() -> list[Effect]:
    asked = {SIGHT: range(2), WHIM: range(2), NO_BIAS: range(2), PRIOR: range(4)}
    return [e for name, seeds in asked.items() for seed in seeds for e in effects(name, seed=seed, methods=METHODS)]


@pytest.fixture(scope="module")
def log() -> Log:
    least = np.diag(np.linspace(0.003, 0.02, 9) ** 2)
    return Log(kind=CLICKS, dual_K=np.sqrt(np.diag(least)), shuffled_K=np.full(9, 0.004), least_KK=least)


def share(found: list[Effect], observer: str, method: str) -> float:
    gone = cut(found, observer, method)
    assert gone is not None
    return gone


def named(found: Sequence[Row]) -> dict[str, Row]:
    return {row.name: row for row in found}


def test_a_calibration_reaches_a_prior_by_slot_and_never_lost_evidence(found: list[Effect]) -> None:
    for method in ("pride", "vector_per_slot"):
        assert share(found, PRIOR, method) >= 0.7 and share(found, SIGHT, method) < 0.3
    assert share(found, SIGHT, "permute") >= 0.7
    assert max(share(found, observer, "temperature_per_slot") for observer in (SIGHT, PRIOR)) < 0.1


def test_rows_tell_false_alarms_and_best_cuts(found: list[Effect], log: Log) -> None:
    told = named(rows(found, [log]))
    assert (
        told["false_alarms_accuracy"].value == 0
        and told["best_cut_slot_prior_by_calibration"].ok
        and told["best_cut_evidence_lost"].ok
    )
    assert {f"false_alarms_{name}" for name in METHODS.split(",")} <= set(told)


def test_a_method_that_harms_in_most_runs_fails_the_check(found: list[Effect], log: Log) -> None:
    spoilt = [replace(e, alarms=("accuracy",)) if e.method == "pride" and e.observer == NO_BIAS else e for e in found]
    told = named(rows(spoilt, [log]))
    assert not told["false_alarms_accuracy"].ok and not told["false_alarms_pride"].ok
    assert told["false_alarms_permute"].ok and told["false_alarms_gap"].ok


def test_what_lowers_accuracy_is_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that answers with the option beside the one it should."""
    harmful = debiascheck.arms.load("vector_per_slot")
    one = debiascheck._corrected

    def worse(arm, hand, answers, **given):  # type: ignore[no-untyped-def]
        return [replace(r, chosen=(r.chosen + 1) % 4) for r in one(arm, hand, answers, **given)]

    monkeypatch.setattr(debiascheck, "_corrected", worse)
    (effect,) = effects(NO_BIAS, seed=0, methods=harmful.text)
    assert effect.alarms == ("accuracy",) and effect.accuracy[1] < effect.accuracy[0] - 20


def test_errors_at_the_least_possible_size_are_told_as_once_the_least(log: Log) -> None:
    told = named(debiascheck.log_rows([log]))
    assert told["dla_squared_error_over_least"].value == pytest.approx(1.0, abs=0.02)
    best = told["dla_best_possible_within_3_percent"].value
    assert best is not None and 0.6 < best < 0.9
    needed = told["dla_lists_for_3_percent"].value
    assert needed is not None and needed > debiascheck.LISTS
    assert debiascheck.best_within(log.least_KK * debiascheck.LISTS / needed) == pytest.approx(0.95, abs=0.02)


def test_errors_that_never_even_out_fail_the_check_and_those_that_do_pass(log: Log) -> None:
    wrong = [replace(log, dual_K=np.full(9, 0.04))] * 10
    there_and_back = [replace(log, dual_K=np.full(9, 0.04 * (-1) ** k)) for k in range(10)]
    told, even = (named(debiascheck.log_rows(logs)) for logs in (wrong, there_and_back))
    assert not told["dla_largest_mean_error"].ok and not told["dla_within_3_percent"].ok
    assert even["dla_largest_mean_error"].ok and not even["dla_within_3_percent"].ok


def test_a_log_with_few_relevant_documents_has_rows_of_its_own(log: Log) -> None:
    told = named(debiascheck.log_rows([log, replace(log, kind=FEW_RELEVANT)]))
    best = told["dla_few_relevant_best_possible_within_3_percent"].value
    assert best is not None and told["dla_few_relevant_within_3_percent"].goal.startswith(f"at least {best - 0.1:.2g}")
    assert told["dla_within_3_percent"].goal.startswith("at least 0.95")


def test_the_page_holds_every_method_and_its_numbers(found: list[Effect], log: Log) -> None:
    text = page(found, [log], rows=rows(found, [log]), n_seeds=2)
    for method in METHODS.split(","):
        assert text.count(f"| {method} |") == 2
    assert "in 0 of 2 runs" in text and f"{100 * share(found, PRIOR, 'pride'):.0f} %" in text
