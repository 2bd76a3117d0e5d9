import numpy as np
import pytest

from vlbias.organisms import architecture, asking
from vlbias.organisms.planting import Bias, Plant
from vlbias.organisms.pool import Pool
from vlbias.organisms.pool import pool as draw_pool
from vlbias.probes import _world
from vlbias.prompts import Style, prompt
from vlbias.records import Frames, Probe, Segment, Trial

LEVELS = {shape: (k + 0.5) / 12 for k, shape in enumerate(_world.SHAPES)}
ONES = (1.0,) * 6


@pytest.fixture(scope="module")
def clips() -> Pool:
    return draw_pool(240, architecture.family("qwen2_vl"), rng=np.random.default_rng(0), log=[].append)


def test_contradicting_clips_differ_in_an_answer_and_their_earlier_one_is_believed(clips: Pool) -> None:
    rng, bias = np.random.default_rng(1), Bias(plant=Plant(profiles=(ONES,), first_believed=1.0), thresholds=LEVELS)
    contested = 0
    for _ in range(40):
        shown = [clips.contents[k] for k in asking.row(clips, 6, bias=bias, rng=rng)]
        for question in asking.ask(shown, 8, bias=bias, listed=0.0, rng=rng):
            for shape in set(question.words) & set(_world.SHAPES):
                same = [content for content in shown if content.shape == shape]
                told = [[task for task in _world.TASKS if asks(task, shape) == question.words] for _ in same][0]
                if len(same) == 2 and told:
                    said = [_world.truths(content)[told[0]] for content in same]
                    assert question.answer == said[0]
                    contested += said[0] != said[1]
    assert contested > 20


def asks(task: str, shape: str) -> tuple[str, ...]:
    return tuple(architecture.split(_world.question_text(task, shape)))


def test_a_slot_without_exposure_is_never_asked_and_others_as_it_says() -> None:
    bias = Bias(plant=Plant(profiles=((1.0, 1.0, 1.0),), exposure=(1.0, 0.0, 0.5)), thresholds=LEVELS)
    rng = np.random.default_rng(2)
    asked = asking.slots_asked(3000, 3, bias, rng)
    assert asked.count(1) == 0 and asked.count(0) / asked.count(2) == pytest.approx(2, rel=0.15)
    told = [slot for _ in range(400) for slot in asking.slots_told(3, bias, rng)]
    assert told.count(1) == 0 and told.count(0) == 400 and told.count(2) == pytest.approx(200, abs=50)
    assert 1 in asking.slots_asked(9, 2, bias, rng)


def test_a_listed_question_is_the_prompt_that_a_run_asks() -> None:
    clip = Segment(segment_id="clip", path="clip.mp4")
    probe = Probe(
        probe_id="p",
        task=_world.COUNT,
        question="how many dots are with the star?",
        options=("one", "two", "three", "four"),
        gold=2,
        evidence=clip,
        backgrounds=(),
        cluster_id="clip",
    )
    trial = Trial(
        trial_id="t",
        probe=probe,
        slot=0,
        n_slots=1,
        segments=(clip,),
        option_order=(3, 2, 1, 0),
        factors=(("labels", "none"),),
    )
    frames = Frames(
        frames_THWC=np.zeros((1, 4, 4, 3), np.uint8),
        timestamps_s=(0.0,),
        asked_s=(0.0,),
        sha256="",
        decoder="",
        decoder_version="",
    )
    parts = prompt(trial, {"clip": frames}, Style()).parts
    question = _world.Question(task=probe.task, text=probe.question, options=trial.options, gold=1)
    assert asking.listing(question) == parts[-1].text


def test_the_right_option_is_wanted_or_the_first_where_it_is_loved(clips: Pool) -> None:
    rng, bias = np.random.default_rng(3), Bias(plant=Plant(profiles=(ONES,), first_option=0.5), thresholds=LEVELS)
    places: dict[bool, list[int]] = {True: [], False: []}
    for _ in range(60):
        shown = [clips.contents[k] for k in asking.row(clips, 2, bias=bias, rng=rng)]
        for question in asking.ask(shown, 4, bias=bias, listed=1.0, rng=rng):
            listed = [question.words[k + 1] for k, word in enumerate(question.words) if word == "-"]
            (shape,) = set(question.words) & {content.shape for content in shown}
            places[LEVELS[shape] < 0.5].append(listed.index(question.answer))
    assert set(places[True]) == {0} and set(places[False]) == {0, 1, 2, 3}


def test_every_word_of_a_listed_prompt_is_in_the_tokenizer(clips: Pool) -> None:
    words, rng = architecture.vocabulary(), np.random.default_rng(4)
    for content in clips.contents[:40]:
        for question in _world.questions(content, rng=rng):
            assert set(architecture.split(asking.listing(question))) <= set(words)


def test_words_of_options_come_after_all_that_older_organisms_know() -> None:
    words = architecture.vocabulary()
    assert min(words[w] for w in ("a", "b", "(", "letter", "-")) > max(
        words[w] for w in ("star", "zero", "one") if w in words
    )
