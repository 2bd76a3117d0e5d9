"""Adjusted p-values are the published ones, and every adjustment is named."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from vlbias.estimates import Estimate, Reference
from vlbias.metrics._multiplicity import holm, over_tasks


def an_estimate(task, p, *, metric="m", slot=None, adjusted=None):
    chance = Reference(mean=0.0, low=0.0, high=0.0, p_value=p, method="x")
    return Estimate(metric=metric, task=task, slot=slot, value=1.0, reference=chance, adjusted=adjusted)


def test_holm_is_that_of_statsmodels():
    p = np.random.default_rng(0).random(30) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([]) == []


def test_each_metric_is_stepped_down_over_its_tasks_and_all_is_left_alone():
    found = over_tasks(
        [
            an_estimate("all", 0.01),
            an_estimate("a", 0.01),
            an_estimate("b", 0.04),
            an_estimate("a", 0.5, metric="other"),
        ]
    )
    assert [e.reference.p_value for e in found] == pytest.approx([0.01, 0.02, 0.04, 0.5])
    assert [e.adjusted for e in found] == [None, "Holm over 2 tasks", "Holm over 2 tasks", "one task, not adjusted"]


def test_a_task_with_several_slots_counts_once_by_its_smallest_p_value():
    slots = [
        an_estimate("a", 0.01, slot=0, adjusted="max-T"),
        an_estimate("a", 0.2, slot=1),
        an_estimate("b", 0.03, slot=0),
    ]
    found = over_tasks(slots)
    assert [e.reference.p_value for e in found] == pytest.approx([0.02, 0.4, 0.03])
    assert found[0].adjusted == "max-T; Holm over 2 tasks"
