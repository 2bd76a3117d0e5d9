"""The benchmark of corrections: what is timed is the real correction of the real model's answers."""

import time

import pytest

from vlbias.bench import corrections
from vlbias.errors import UnknownName


def spun(s: float) -> None:
    until = time.process_time() + s
    while time.process_time() < until:
        pass


@pytest.mark.parametrize(("each_s", "ok"), [(0.0, True), (0.01, False)])
def test_a_correction_that_takes_a_tenth_of_the_answers_misses_the_goal(each_s: float, ok: bool) -> None:
    row = corrections.on_top("x", lambda _: spun(each_s), [None] * 2, lambda: spun(0.2))
    assert row.ok is ok and row.goal == "<= 1.05"
    assert 1 <= row.low <= row.value <= row.high


def test_every_answer_of_the_bundled_model_is_corrected(monkeypatch) -> None:
    timed = []
    monkeypatch.setattr(corrections, "N_PROBES", 2)
    monkeypatch.setattr(corrections, "on_top", lambda *given: timed.append(given) or given[0])
    names = ["contextual_over_vanilla", "pride_over_vanilla"]
    assert list(corrections.rows(only=names, device="cpu", seed=0)) == names
    for _, correction, answers, _ in timed:
        changed = [correction(a).logprobs != a.logprobs for a in answers]
        assert len(answers) == 2 * 11 and any(changed)


def test_a_figure_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnknownName, match="pride_over_vanilla"):
        list(corrections.rows(only=["prid_over_vanilla"], device="cpu", seed=0))
