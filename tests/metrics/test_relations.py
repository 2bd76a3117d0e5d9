"""Answerers of known habits through the questions of the real suite: each habit shows where it must, and only there."""

from pathlib import Path

import numpy as np
import pytest

from vlbias.answers import Answer, Audit, Failure, asked
from vlbias.metrics import relations as metric
from vlbias.probes import relations
from vlbias.strictyaml import parse

AUDIT = Audit(prompt_sha256="x", segments=(), segment_spans=(), n_tokens=1, n_frames=1, batch_size=1)
SUITE = """
name: tiny
kind: relations
version: 1
description: x
licence: x
source: {drawn: {items: 24, seed: 3, size_px: [64, 64]}}
"""


@pytest.fixture(scope="module")
def trials():
    suite = parse(SUITE, where="tiny.yaml", model=relations.Suite)
    return list(relations.trials(relations.probes(suite, folder=Path()), suite=suite, seed=0))


def measured(trials, choose) -> dict:
    """The estimates for an answerer; `choose(trial, told)` is the suite's index of an option, or None for no answer."""
    rows = []
    for trial in trials:
        chosen = choose(trial, dict(trial.factors))
        if chosen is None:
            rows.append(Failure(asked=asked(trial), kind="parse", reason="x"))
        else:
            rows.append(
                Answer(asked=asked(trial), chosen=chosen, logprobs=None, level="generated", reply=None, audit=AUDIT)
            )
    found = metric.measure(rows, rng=np.random.default_rng(0))
    return {(e.metric, e.task): e for e in found}


def right(trial, _):
    return trial.probe.gold


def test_who_is_always_right_has_every_pair_and_set_and_agrees_with_himself(trials):
    found = measured(trials, right)
    for name in ("pair_accuracy", "set_accuracy"):
        assert found[f"relation_{name}", "captions"].value == 100
    for name in ("symmetry", "mirror", "negation", "antonym"):
        assert found[f"relation_{name}_consistency", "plain"].value == 100
    assert found["relation_yes_less_no", "plain"].value == 0 == found["relation_ego_rate", "perspective"].value
    assert (
        found["relation_lexical_attraction", "ternary"].value == 0 == found["relation_template_spread", "plain"].value
    )


def test_who_always_affirms_agrees_where_facts_repeat_and_never_where_they_turn(trials):
    found = measured(trials, lambda *_: 0)
    for name, value in (("symmetry", 100), ("mirror", 100), ("negation", 0), ("antonym", 0)):
        one = found[f"relation_{name}_consistency", "plain"]
        assert one.value == value == one.reference.mean and one.reference.p_value == 1
    assert found["relation_yes_less_no", "plain"].value == 100
    assert found["relation_accuracy", "plain"].value == 50


def test_who_always_takes_one_letter_gets_no_pair(trials):
    found = measured(trials, lambda trial, _: trial.option_order[0])
    assert found["relation_pair_accuracy", "captions"].value == 0 == found["relation_set_accuracy", "captions"].value
    assert found["relation_accuracy", "captions"].value == pytest.approx(25)
    assert found["relation_ego_rate", "perspective"].value == pytest.approx(50)


def test_who_guesses_agrees_no_more_than_luck_gives(trials):
    rng = np.random.default_rng(1)
    found = measured(trials, lambda trial, _: int(rng.integers(len(trial.options))))
    for name in ("symmetry", "negation", "antonym"):
        one = found[f"relation_{name}_consistency", "plain"]
        assert one.reference.low - 3 <= one.value <= one.reference.high + 3 and one.reference.p_value > 0.01
    assert found["relation_template_spread", "plain"].reference.p_value > 0.01


def test_who_sees_through_his_own_eyes_only_has_an_ego_rate_of_100(trials):
    found = measured(trials, lambda t, told: 1 if told.get("facing") == "down" else t.probe.gold)
    assert found["relation_ego_rate", "perspective"].value == 100
    assert found["relation_accuracy", "perspective"].value == 50


def test_who_falls_for_a_word_that_is_added_is_told_apart_from_who_does_not_see(trials):
    def falls(trial, told):
        return 2 if told["form"] == "ternary" and int(told["item"][-1]) < 5 else trial.probe.gold

    found = measured(trials, falls)
    assert found["relation_lexical_attraction", "ternary"].low > 30
    blind = measured(trials, lambda t, told: 1 if told["form"] == "binary" else falls(t, told))
    assert blind["relation_lexical_attraction", "ternary"].value is None, "none was sure of two"


def test_a_wording_that_is_not_understood_lowers_answered_and_not_correct_of_answered(trials):
    found = measured(trials, lambda t, told: None if told.get("template") == "3" else right(t, told))
    assert found["relation_answered", "template 3"].value == 0 == found["relation_correct_of_all", "template 3"].value
    assert found["relation_correct_of_answered", "template 3"].value is None
    assert found["relation_correct_of_answered", "template 2"].value == 100
    spread = found["relation_template_spread", "plain"]
    assert spread.value == pytest.approx(50) and spread.reference.p_value < 0.01


def test_an_image_that_comes_last_and_is_not_seen_is_a_style_change(trials):
    found = measured(trials, lambda t, told: 0 if told["placement"] == "visual_last" else right(t, told))
    last = found["relation_style_change", "visual_last"]
    assert last.value == -50 and last.reference.p_value < 0.01 and "Holm" in last.adjusted
    assert found["relation_style_change", "visual_between"].value == 0


def test_kinds_of_twins_are_one_family_and_say_so(trials):
    def wrong_about_half(trial, told):
        return (trial.probe.gold + int(told["item"][-1]) % 2) % len(trial.probe.options)

    found = measured(trials, wrong_about_half)
    twins = [found[f"relation_{name}_consistency", "plain"] for name in ("symmetry", "mirror", "negation", "antonym")]
    assert {e.adjusted for e in twins} == {"Holm over 4 forms"}
    # 999 draws give .001 at least, so four of them stepped down give .004.
    assert min(e.reference.p_value for e in twins) == pytest.approx(0.004)
