"""A model that does what its arguments say."""

import numpy as np
import pytest

from vlbias.errors import ModelError
from vlbias.models.scripted import load
from vlbias.prompts import Style, prompt
from vlbias.records import Fault, OptionScores, Probe, Prompt, Segment, Trial

N_PROBES, N_SLOTS = 2000, 3


def prompts() -> list[Prompt]:
    made = []
    for number in range(N_PROBES):
        probe = Probe(
            probe_id=f"p{number}", task="t", question="?", options=("a", "b", "c", "d"), gold=number % 4,
            evidence=Segment(segment_id="e", path="e.mp4"), backgrounds=(), cluster_id=f"c{number}",
        )  # fmt: skip
        for slot in range(N_SLOTS):
            trial = Trial(
                trial_id=f"p{number}/{slot}", probe=probe, slot=slot, n_slots=N_SLOTS, segments=(probe.evidence,),
                option_order=(0, 1, 2, 3),
            )  # fmt: skip
            made.append(prompt(trial, {}, Style()))
    return made


PROMPTS = prompts()


def chosen(model: object) -> np.ndarray:
    answers = model.score(PROMPTS)  # type: ignore[attr-defined]
    picks = [int(np.argmax(a.logprobs)) if isinstance(a, OptionScores) else -1 for a in answers]
    return np.array(picks).reshape(N_PROBES, N_SLOTS)


GOLD = np.arange(N_PROBES)[:, None] % 4


def test_accuracy_per_slot_follows_the_profile() -> None:
    right = (chosen(load(profile="1:.6:.3")) == GOLD).mean(axis=0)
    np.testing.assert_allclose(right, [1.0, 0.6, 0.3], atol=0.04)


def test_shared_noise_gives_the_same_answer_at_every_slot() -> None:
    picks = chosen(load(accuracy=0.5, noise="shared"))
    assert (picks == picks[:, :1]).all()
    assert 0.45 < (picks == GOLD).mean() < 0.55


def test_a_preferred_letter_is_chosen_more_often_than_it_is_right() -> None:
    picks = chosen(load(accuracy=0.7, prefer="B", preference=0.5))
    assert (picks == 1).mean() > 0.55


def test_refusals_are_faults_and_not_wrong_answers() -> None:
    answers = load(refusals=0.25).score(PROMPTS)
    faults = [a for a in answers if isinstance(a, Fault)]
    assert 0.22 < len(faults) / len(answers) < 0.28
    assert {f.kind for f in faults} == {"refused"}


def test_log_probabilities_sum_to_one() -> None:
    (answer,) = load().score(PROMPTS[:1])
    assert isinstance(answer, OptionScores)
    assert np.exp(answer.logprobs).sum() == pytest.approx(1.0)


def test_two_loads_with_one_seed_agree_and_with_another_do_not() -> None:
    assert load(seed=1).score(PROMPTS[:50]) == load(seed=1).score(PROMPTS[:50])
    assert load(seed=1).score(PROMPTS[:50]) != load(seed=2).score(PROMPTS[:50])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"acuracy": 0.5}, "did you mean accuracy"),
        ({"accuracy": 1.5}, "accuracy=1.5"),
        ({"profile": "a:b"}, "not numbers"),
        ({"profile": "2:1:0"}, "from 0 to 1"),
        ({"noise": "sheared"}, "did you mean shared"),
    ],
)
def test_a_bad_argument_is_named(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        load(**arguments)  # type: ignore[arg-type]


def test_a_profile_of_another_length_is_refused() -> None:
    with pytest.raises(ModelError, match="2 values and the suite 3 slots"):
        load(profile="1:0").score(PROMPTS[:1])
