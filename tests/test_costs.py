"""The cost of a correction beside that of vanilla: multiples of time and tokens, memory, and what is not known."""

from dataclasses import replace
from typing import Any

import pytest

from vlbias.costs import NOT_ASKED, Replay, beside, computes, model_seconds
from vlbias.estimates import MethodCost
from vlbias.models._counting import Work
from vlbias.records import Identity

BARE = MethodCost(passes=1.0, tokens=None, seconds_per_trial=0.002, fit_prompts=0)
PLAIN = Replay(seconds_per_trial=0.04, work=Work(n_tokens=500, peak_bytes=7000))


class Run:
    """What a cost reads of a run."""

    def __init__(self, adapter: str) -> None:
        self.identity = Identity(adapter=adapter, name="m")
        self.n_asked, self.cost = 880, type("Spent", (), {"model_s": 44.0})


def told(shape: Any, *, cost: MethodCost = BARE, observed: bool = False, timed: bool = True) -> MethodCost:
    return beside(cost, PLAIN, shape=shape, observed=observed, timed=timed)


def test_a_calibration_comes_on_top_of_a_vanilla_pass_and_takes_its_memory() -> None:
    found = told("after", cost=replace(BARE, peak_reason=NOT_ASKED))
    assert found.time == pytest.approx(1.05)
    assert (found.computed, found.peak_bytes, found.peak_reason) == (1.0, 7000, None)


def test_a_method_that_asks_is_told_by_its_own_seconds_tokens_and_memory() -> None:
    for shape in ("before", "inside"):
        found = told(shape, cost=replace(BARE, computed=125, peak_bytes=9000))
        assert found.time == pytest.approx(0.05)
        assert (found.computed, found.peak_bytes) == (0.25, 9000)


def test_what_is_not_counted_stays_unknown() -> None:
    found = told("after", cost=replace(BARE, peak_reason=NOT_ASKED), observed=True)
    assert (found.computed, found.peak_bytes, found.peak_reason) == (None, None, NOT_ASKED)
    assert told("before", timed=False).time is None
    assert beside(BARE, None, shape="before", observed=False, timed=True) == BARE


def test_only_a_model_that_computes_has_seconds_to_compare_with() -> None:
    run: Any = Run("hf")
    assert model_seconds(run) == pytest.approx(0.05)
    for adapter in ("scripted", "imported"):
        script: Any = Run(adapter)
        assert not computes(script)
        assert model_seconds(script) is None
