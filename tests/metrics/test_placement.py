from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from vlbias.answers import Answer, Failure, Outcome, asked
from vlbias.metrics import failures, placement
from vlbias.probes import placement as kind
from vlbias.records import Trial
from vlbias.strictyaml import parse

SUITE = """
name: tiny
kind: placement
version: 1
description: x
licence: x
source: {drawn: {clips: 120, seed: 5, size_px: [32, 32], duration_s: 1.0, fps: 4.0}}
"""


def outcomes(right: dict[str, float], rng: np.random.Generator, unfit: str = "") -> list[Outcome]:
    """Answers that are right with a chance of their own at each placement, whatever the others are."""
    suite = parse(SUITE, where="x", model=kind.Suite)
    return [
        answer(trial, rng.random() < right[dict(trial.factors)["placement"]], unfit)
        for trial in kind.trials(kind.probes(suite, folder=Path()), suite=suite, seed=1)
    ]


def answer(trial: Trial, right: bool, unfit: str) -> Outcome:
    if unfit == dict(trial.factors)["placement"]:
        return Failure(asked=asked(trial), kind="unfit", reason="the template takes no clip in the system turn")
    chosen = trial.probe.gold if right else (trial.probe.gold + 1) % 4
    return Answer(asked=asked(trial), chosen=chosen, logprobs=None, level="generated", reply=None, audit=None)  # type: ignore[arg-type]  # noqa: E501


def measured(rows: list[Outcome]) -> dict:
    return {(e.metric, e.task): e for e in placement.measure(rows, rng=np.random.default_rng(0))}


CHANCES = {"visual_first": 0.8, "visual_between": 0.8, "visual_last": 0.5, "visual_system": 0.8}


def test_a_place_that_costs_accuracy_is_told_and_the_others_are_not() -> None:
    found = measured(outcomes(CHANCES, np.random.default_rng(1)))
    lost = found["placement_accuracy_change", "visual_last"]
    assert lost.high < 0 and lost.reference.p_value < 1e-4 and lost.value < lost.reference.low and lost.n == 240
    same = found["placement_accuracy_change", "visual_between"]
    assert same.low < 0 < same.high and same.reference.low < same.value < same.reference.high
    change = found["placement_prediction_change", "visual_between"]
    assert change.low < 100 * 2 * 0.8 * 0.2 < change.high
    assert found["placement_accuracy", "visual_first"].notes == ("the baseline",)
    assert ("placement_accuracy_change", "visual_first") not in found


def test_p_values_are_signed_rank_over_clusters_and_adjusted_by_benjamini_and_hochberg() -> None:
    rows = outcomes(CHANCES, np.random.default_rng(2))
    found = measured(rows)
    raw = []
    for name in ("visual_between", "visual_last", "visual_system"):
        changes: dict[str, list[float]] = {}
        base = {r.asked.probe_id: r for r in rows if ("placement", "visual_first") in r.asked.factors}
        for row in rows:
            if ("placement", name) in row.asked.factors:
                changes.setdefault(row.asked.cluster_id, []).append(
                    float(row.correct) - float(base[row.asked.probe_id].correct)
                )
        raw.append(stats.wilcoxon([np.mean(v) for v in changes.values()], zero_method="pratt").pvalue)
    right = stats.false_discovery_control(raw)
    for name, p in zip(("visual_between", "visual_last", "visual_system"), right, strict=True):
        estimate = found["placement_accuracy_change", name]
        assert estimate.reference.p_value == pytest.approx(p) and "Benjamini" in estimate.adjusted


def test_a_model_that_never_changes_its_mind_has_no_change_and_a_p_value_of_one() -> None:
    found = measured(outcomes(dict.fromkeys(CHANCES, 1.0), np.random.default_rng(0)))
    for name in ("visual_between", "visual_last", "visual_system"):
        assert found["placement_accuracy_change", name].value == 0
        assert found["placement_accuracy_change", name].reference.p_value == 1
        assert found["placement_prediction_change", name].value == 0


def test_a_placement_that_the_model_cannot_take_is_not_applicable_and_says_why() -> None:
    found = measured(outcomes(CHANCES, np.random.default_rng(1), unfit="visual_system"))
    for metric in ("placement_accuracy", "placement_accuracy_change", "placement_prediction_change"):
        estimate = found[metric, "visual_system"]
        assert estimate.value is None and estimate.n == 0
        assert "not applicable to this model: the template takes no clip" in estimate.notes[0]
    assert found["placement_accuracy_change", "visual_last"].value is not None


def test_failures_are_counted_by_placement_and_those_of_one_that_the_model_cannot_take_raise_no_alarm() -> None:
    rows = outcomes(CHANCES, np.random.default_rng(1), unfit="visual_system")
    found = {(e.metric, e.task, e.slot): e for e in failures.measure(rows, rng=np.random.default_rng(0))}
    rates = {task: e.value for (metric, task, _), e in found.items() if metric == "failure_rate"}
    assert rates == {"all": 25.0, **dict.fromkeys(CHANCES, 0.0), "visual_system": 100.0}
    assert {slot for _, _, slot in found} == {None} and list(rates)[1:] == list(CHANCES)
    assert found["attrition_test", "all", None].value == 1 and found["attrition_test", "all", None].notes == ()


def test_answers_that_are_missing_more_at_one_placement_raise_an_alarm_that_names_placements() -> None:
    rows = outcomes(CHANCES, np.random.default_rng(1))
    lost = [r for r in rows if ("placement", "visual_last") in r.asked.factors][::2]
    broken = [Failure(asked=r.asked, kind="parse", reason="x") if r in lost else r for r in rows]
    test = failures.measure(broken, rng=np.random.default_rng(0))[-1]
    assert test.metric == "attrition_test" and test.value < 0.01 and "depend on the placement" in test.notes[0]
