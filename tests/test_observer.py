"""The observer answers by what a prompt shows: pixels that are noised, moved or taken away change what it sees."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from vlbias import arms
from vlbias.debias._content_free import without_segments
from vlbias.errors import ModelError
from vlbias.observer import NAMES, Bias, Observer, Shelf, World, world
from vlbias.prompts import Style, prompt
from vlbias.records import OptionScores, Prompt, Reply, Trial


@pytest.fixture(scope="module")
def place() -> World:
    return world(12, seed=3)


def shown(place: World, trial: Trial) -> Prompt:
    return prompt(trial, {s.segment_id: Shelf(place.frames).frames(s) for s in trial.segments}, Style())


def scores(model: Observer, one: Prompt) -> np.ndarray:
    (found,) = model.score([one])
    assert isinstance(found, OptionScores)
    return np.array(found.logprobs)


def test_every_slot_is_asked_and_the_right_option_stands_at_each_place_equally_often(place: World) -> None:
    places = Counter((t.slot, t.gold_displayed) for t in place.trials)
    assert set(places) == {(slot, at) for slot in range(4) for at in range(4)} and set(places.values()) == {6}


def test_without_luck_it_sees_the_colour_of_the_evidence_in_every_slot_alike(place: World) -> None:
    model = Observer(seed=0, luck=0.0)
    by_probe: dict[str, set[float]] = {}
    for trial in place.trials:
        logs = scores(model, shown(place, trial))
        assert NAMES[trial.probe.gold or 0] == trial.options[int(logs.argmax())]
        by_probe.setdefault(trial.probe.probe_id, set()).add(round(float(logs.max()), 9))
    assert all(len(found) == 1 for found in by_probe.values())


def test_a_prompt_shows_less_when_its_frames_are_noised_and_nothing_when_they_are_gone(place: World) -> None:
    model, trial = Observer(seed=0, luck=0.0), place.trials[0]
    plain = shown(place, trial)
    noised = arms.load("vcd").method.expand(plain, write=lambda _: plain, rng=np.random.default_rng(0))[1]
    blind = without_segments(plain, fill="template", where="all")
    sure = [float(scores(model, p).max()) for p in (plain, noised, blind)]
    assert sure[0] > sure[1] > sure[2]
    assert np.allclose(scores(model, blind), np.log(0.25), atol=1e-6)


def test_a_planted_loss_takes_evidence_and_a_planted_prior_adds_to_places(place: World) -> None:
    first, last = place.trials[0], place.trials[3]
    lost = Observer(seed=0, luck=0.0, bias=Bias(sight_S=(1.0, 0.5, 0.2, 0.0)))
    assert scores(lost, shown(place, first)).max() > np.log(0.3)
    assert np.abs(np.exp(scores(lost, shown(place, last))) - 0.25).max() < 0.1
    prior = Observer(seed=0, luck=0.0, bias=Bias(prior_SO=((0.25,) * 4,) * 3 + ((0.7, 0.1, 0.1, 0.1),)))
    plain = Observer(seed=0, luck=0.0)
    moved = scores(prior, shown(place, last)) - scores(plain, shown(place, last))
    assert np.allclose(moved - moved[1], [np.log(7), 0, 0, 0])


def test_words_move_it_a_leading_question_and_its_own_notes(place: World) -> None:
    model, one = Observer(seed=0), shown(place, place.trials[0])
    assert one.trial is not None
    lqcd = arms.load("lqcd").method.expand(one, write=lambda t: shown(place, t), rng=np.random.default_rng(0))
    name = one.trial.probe.options[1]
    at = one.trial.options.index(name)
    assert scores(model, lqcd[2])[at] > scores(model, one)[at]
    cot: Any = arms.load("cot").method
    note = cot.then(one, f"One clip is {name}.", write=lambda t: shown(place, t))
    assert scores(model, note)[at] > scores(model, one)[at]


def test_it_writes_a_note_or_probabilities_as_it_is_asked(place: World) -> None:
    model, one = Observer(seed=0), shown(place, place.trials[0])
    (note,) = model.generate([one], max_new_tokens=9)
    assert isinstance(note, Reply) and note.text.startswith("One clip is ")
    verbal: Any = arms.load("verbalized").method
    (told,) = model.generate([verbal.first(one, write=lambda t: shown(place, t))], max_new_tokens=9)
    assert isinstance(told, Reply)
    read = verbal.then(one, told.text, write=lambda t: shown(place, t))
    assert isinstance(read, OptionScores)
    assert np.allclose(np.exp(read.logprobs), np.exp(scores(model, one)), atol=2e-4)


def test_whims_come_with_every_change_of_the_prompt_and_only_then(place: World) -> None:
    model, one = Observer(seed=0, luck=0.0, whim=1.0), shown(place, place.trials[0])
    assert np.array_equal(scores(model, one), scores(model, one))
    assert not np.allclose(scores(model, one), scores(Observer(seed=0, luck=0.0), one))


def test_a_free_prompt_is_refused(place: World) -> None:
    free = Prompt(trial_id="x", parts=(), options=("A", "B"))
    with pytest.raises(ModelError, match="carries no trial"):
        Observer(seed=0).score([free])
