"""Repeats are the same trial again, one of each probe, spread over the slots."""

from collections import Counter
from dataclasses import replace

import pytest

from vlbias.config import RunConfig
from vlbias.plan import plan
from vlbias.prompts import prompt
from vlbias.records import Trial


def asked(**values: object) -> tuple[Trial, ...]:
    return plan(RunConfig(**{"tasks": "drawn", "model": "scripted", "limit": "20", **values})).trials


def test_each_probe_has_its_repeats_at_one_slot_and_the_slots_have_equal_shares() -> None:
    again = [t for t in asked(repeats=2) if ("repeat", "2") in t.factors]
    assert len({t.probe.probe_id for t in again}) == len(again) == 20
    assert set(Counter(t.slot for t in again).values()) == {2} and len({t.slot for t in again}) == 10


@pytest.mark.parametrize("orders", [None, "cyclic"])
def test_a_repeat_differs_from_its_trial_in_nothing_that_a_model_sees(orders: str | None) -> None:
    once, twice = asked(option_orders=orders), asked(option_orders=orders, repeats=1)
    assert tuple(t for t in twice if not t.trial_id.endswith("/repeat1")) == once
    assert len({t.trial_id for t in twice}) == len(twice) == len(once) + 20
    for again in (t for t in twice if t.trial_id.endswith("/repeat1")):
        name = again.trial_id.removesuffix("/repeat1")
        (first,) = [t for t in once if t.trial_id == name]
        assert replace(again, trial_id=name, factors=first.factors) == first
        style = plan(RunConfig(tasks="drawn", model="scripted", limit="1")).style
        assert prompt(again, {}, style).sha256 == prompt(first, {}, style).sha256
