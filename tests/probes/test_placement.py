from pathlib import Path

import numpy as np
import pytest

from vlbias import rooms
from vlbias.errors import BadSuite
from vlbias.probes import placement
from vlbias.prompts import Style, prompt
from vlbias.records import Frames, Prompt, Trial
from vlbias.strictyaml import parse, read

DRAWN = """
name: tiny
kind: placement
version: 1
description: a drawn suite
licence: Apache-2.0
{keys}
source: {{drawn: {{clips: 24, seed: 5, size_px: [32, 32], duration_s: 1.0, fps: 4.0}}}}
"""
EVERY = (
    "placements: [visual_first, visual_between, visual_last, visual_system, question_first, instruction_last, "
    "instruction_system, no_demos, demos_ssp, demos_esp, demos_sum, demos_eum]\ndemos: [one, two]"
)
PIXELS = Frames(frames_THWC=np.zeros((1, 8, 8, 3), np.uint8), timestamps_s=(0.0,), asked_s=(0.0,), sha256="0",
                decoder="x", decoder_version="1")  # fmt: skip


def suite_of(keys: str = EVERY) -> placement.Suite:
    return parse(DRAWN.format(keys=keys), where="tiny.yaml", model=placement.Suite, error=BadSuite)


def asked(suite: placement.Suite, slots: list[int] | None = None) -> list[Trial]:
    return list(placement.trials(placement.probes(suite, folder=Path()), suite=suite, seed=1, slots=slots))


def written(trial: Trial) -> Prompt:
    return prompt(trial, {s.segment_id: PIXELS for s in trial.segments}, Style(instruction="INSTRUCT", closing="CLOSE"))


def order(made: Prompt) -> str:
    """The turn texts with V for the clip, pieces by their first words."""
    system = (made.system or "") + "".join(seen(p) for p in made.parts if p.turn == "system")
    return f"{system}|{''.join(seen(p) for p in made.parts if p.turn == 'user')}"


def seen(part) -> str:
    return "<V>" if part.frames else part.text


def test_every_probe_is_asked_in_every_placement_and_nothing_else_changes() -> None:
    trials = asked(suite_of())
    assert len(trials) == 48 * 12 == len({t.trial_id for t in trials})
    for k in range(0, len(trials), 12):
        group = trials[k : k + 12]
        assert [t.slot for t in group] == list(range(12)) and len({t.option_order for t in group}) == 1
        assert len({t.probe for t in group}) == 1


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("visual_first", "|<V> INSTRUCT Q O CLOSE"),
        ("visual_between", "|INSTRUCT Q <V> O CLOSE"),
        ("visual_last", "|INSTRUCT Q O <V> CLOSE"),
        ("visual_system", "<V>|INSTRUCT Q O CLOSE"),
        ("question_first", "|Q <V> INSTRUCT O CLOSE"),
        ("instruction_last", "|<V> Q O INSTRUCT CLOSE"),
        ("instruction_system", "INSTRUCT|<V> Q O CLOSE"),
        ("no_demos", "INSTRUCT|<V> Q O CLOSE"),
        ("demos_ssp", "D INSTRUCT|<V> Q O CLOSE"),
        ("demos_esp", "INSTRUCT D|<V> Q O CLOSE"),
        ("demos_sum", "INSTRUCT|D <V> Q O CLOSE"),
        ("demos_eum", "INSTRUCT|<V> Q O CLOSE D"),
    ],
)
def test_the_pieces_stand_where_the_placement_says(name: str, right: str) -> None:
    trial = next(t for t in asked(suite_of()) if ("placement", name) in t.factors)
    found = order(written(trial))
    marks = {"INSTRUCT": "INSTRUCT", "Q": f"Question: {trial.probe.question}", "O": "Options:", "CLOSE": "CLOSE",
             "<V>": "<V>", "D": "one\n\ntwo"}  # fmt: skip
    for turn, text in zip(right.split("|"), found.split("|"), strict=True):
        places = [text.index(marks[mark]) for mark in turn.split()]
        assert places == sorted(places)
        assert all(mark in turn.split() for mark, shown in marks.items() if shown in text)
    assert dict(trial.factors)["turn"] == ("system" if name in {
        "visual_system", "instruction_system", "demos_ssp", "demos_esp"} else "user")  # fmt: skip


def test_pieces_of_text_stand_on_lines_of_their_own() -> None:
    for trial in asked(suite_of())[:12]:
        for turn in order(written(trial)).split("|"):
            for text in ("INSTRUCT", "one", "two", "CLOSE", f"Question: {trial.probe.question}"):
                at = turn.find(text)
                after = turn[at + len(text) : at + len(text) + 1]
                assert at < 0 or (turn[at - 1 : at] in ("", "\n", ">") and after in ("", "\n", "<"))


def test_the_baseline_is_asked_whatever_slots_are_chosen() -> None:
    suite = suite_of("baseline: visual_last")
    assert {dict(t.factors)["placement"] for t in asked(suite, [1])} == {"visual_between", "visual_last"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("baseline: no_demos", "baseline: no_demos is not among the placements"),
        ("placements: [visual_first, visual_first]", "one stands twice"),
        ("placements: [visual_first, demos_ssp]", "demos: none given, but the placement demos_ssp"),
        ("placements: [visual_first, in_the_middle]", "placements.1"),
    ],
)
def test_a_suite_that_cannot_be_asked_is_refused(keys: str, message: str) -> None:
    with pytest.raises(BadSuite, match=message):
        suite_of(keys)


@pytest.mark.parametrize("name", ["placement", "placement-demos"])
def test_the_bundled_suites_are_sound(name: str) -> None:
    path = rooms.data("probes") / f"{name}.yaml"
    assert len(placement.probes(read(path, placement.Suite, error=BadSuite), folder=path.parent)) == 240
