"""Answers about turns made with a known fault: the metric names it and nothing else."""

from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.inter_rater import cohens_kappa

from vlbias.answers import Answer, Audit, Failure, asked
from vlbias.metrics import rotation
from vlbias.models import scripted
from vlbias.probes import rotation as probe
from vlbias.prompts import Style, prompt
from vlbias.reports._titles import TITLES
from vlbias.strictyaml import parse

AUDIT = Audit(prompt_sha256="x", segments=(), segment_spans=(), n_tokens=1, n_frames=1, batch_size=1)
SUITE = "{name: t, kind: rotation, version: 1, description: x, licence: x, source: {drawn: {items: 20, seed: 3}}}"


@pytest.fixture(scope="module")
def trials() -> list:
    suite = parse(SUITE, where="x", model=probe.Suite, error=ValueError)
    return list(probe.trials(probe.probes(suite, folder=Path()), suite=suite, seed=1))


def answered(trials: list, choose) -> list[Answer]:
    return [
        Answer(asked=asked(t), chosen=choose(t), logprobs=None, level="generated", reply=None, audit=AUDIT)
        for t in trials
    ]


def named(outcomes: list) -> dict:
    return {(e.metric, e.task, e.slot): e for e in rotation.measure(outcomes, rng=np.random.default_rng(0))}


def test_kappa_is_that_of_statsmodels_with_an_interval_around_it(trials: list) -> None:
    rng = np.random.default_rng(1)
    rows = answered(trials, lambda t: t.probe.gold if rng.random() < 0.5 else int(rng.integers(len(t.options))))
    found = named(rows)
    for form, n in (("turn", 4), ("mirror", 2), ("perspective", 4)):
        table = np.zeros((n, n))
        for row in rows:
            if dict(row.asked.factors)["form"] == form:
                table[row.asked.gold, row.chosen] += 1
        one = found["rotation_kappa", form, None]
        assert one.value == pytest.approx(cohens_kappa(table, return_results=False))
        assert one.low < 0.5 < one.high and one.clusters == 20


def test_a_constant_answer_has_accuracy_at_chance_and_no_kappa(trials: list) -> None:
    found = named(answered(trials, lambda _: 0))
    assert found["rotation_accuracy", "turn", None].value == pytest.approx(25)
    assert found["rotation_kappa", "turn", None].value == pytest.approx(0)
    # "It is not turned" is its own inverse, so saying it always agrees: luck does as well, and the p-value tells.
    same = found["rotation_consistency", "turn", None]
    assert (same.value, same.reference.mean, same.reference.p_value) == (100, 100, 1)


def test_guesses_do_not_agree_and_a_consistent_fault_does(trials: list) -> None:
    rng = np.random.default_rng(2)
    guessed = named(answered(trials, lambda t: int(rng.integers(len(t.options)))))
    always = {"turn": lambda t: -t.probe.gold % 4, "mirror": lambda t: 1 - t.probe.gold,
              "perspective": lambda t: t.probe.gold ^ 1}  # fmt: skip
    wrong = named(answered(trials, lambda t: always[dict(t.factors)["form"]](t)))
    for form in rotation.FORMS:
        luck, fault = guessed["rotation_consistency", form, None], wrong["rotation_consistency", form, None]
        assert luck.reference.low <= luck.value <= luck.reference.high and luck.low < luck.reference.mean < luck.high
        assert fault.value == 100 and wrong["rotation_accuracy", form, None].value < 60


def test_a_model_that_only_knows_its_own_view_is_right_upright_and_egocentric_elsewhere(trials: list) -> None:
    found = named(answered(trials, lambda t: int(dict(t.factors).get("viewer", t.probe.gold))))
    assert found["rotation_ego_rate", "perspective", None].value == 100
    assert found["rotation_ego_rate", "perspective", None].reference.mean == 25
    at = [found["rotation_accuracy_at", "perspective", k].value for k in range(4)]
    assert at == [100, 0, 0, 0]
    # The view from behind is turned by half, so the viewer's side is never the same in the two of a pair.
    assert found["rotation_consistency", "perspective", None].value == 0
    assert found["rotation_accuracy", "turn", None].value == 100


def test_a_scripted_share_of_egocentric_answers_is_found_and_a_plain_fault_is_not_called_one(trials: list) -> None:
    found = {}
    for ego in (0.0, 0.3):
        model = scripted.load(accuracy=0.6, ego=ego, seed=4)
        scored = model.score([prompt(t, {}, Style()) for t in trials])
        best = {t.trial_id: t.option_order[int(np.argmax(s.logprobs))] for t, s in zip(trials, scored, strict=True)}
        found[ego] = named(answered(trials, lambda t, best=best: best[t.trial_id]))[
            "rotation_ego_of_wrong", "perspective", None
        ]
    assert found[0.0].low < 100 / 3 < found[0.0].high and found[0.0].reference.p_value > 0.05
    # Wrong and egocentric are .3 and .7 x .4 / 3 of all answers; right is .7 x .6.
    told = 100 * (0.3 + 0.7 * 0.4 / 3) / (1 - 0.7 * 0.6)
    assert found[0.3].low < told < found[0.3].high and found[0.3].reference.p_value < 0.01


def test_a_failure_is_in_no_number(trials: list) -> None:
    rows = answered(trials, lambda t: t.probe.gold)
    lost = named([Failure(asked=rows[0].asked, kind="parse", reason="x"), *rows[1:]])
    whole = named(rows)
    form = dict(rows[0].asked.factors)["form"]
    for metric, less in (("rotation_accuracy", 1), ("rotation_consistency", 1), ("rotation_kappa", 1)):
        assert lost[metric, form, None].n == whole[metric, form, None].n - less


def test_the_consistency_of_several_forms_is_adjusted_over_them_and_says_so(trials: list) -> None:
    rng = np.random.default_rng(5)
    found = named(answered(trials, lambda t: int(rng.integers(len(t.options)))))
    forms = [found["rotation_consistency", form, None] for form in ("turn", "mirror", "perspective")]
    assert {e.adjusted for e in forms} == {"Holm over 3 tasks"}
    assert max(e.reference.p_value for e in forms) > 0.1


def test_one_answer_throughout_agrees_by_chance_exactly_and_an_angle_without_questions_says_so(trials: list) -> None:
    few = [t for t in trials if dict(t.factors)["form"] == "turn" and dict(t.factors)["quarters"] != "3"]
    found = named(answered(few, lambda _: 0))
    one = found["rotation_kappa", "turn", None]
    assert (one.value, one.low, one.high) == (0.0, 0.0, 0.0)
    absent = found["rotation_accuracy_at", "turn", 3]
    assert absent.value is None and absent.notes == ("no question with this turn was answered",)
    assert not found["rotation_accuracy_at", "turn", 2].notes


def test_every_number_has_a_title_in_reports(trials: list) -> None:
    found = named(answered(trials, lambda t: t.probe.gold))
    assert {metric for metric, _, _ in found} - set(TITLES) == set()
