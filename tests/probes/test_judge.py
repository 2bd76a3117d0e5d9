import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vlbias import rooms
from vlbias.errors import BadInput, BadSuite
from vlbias.probes import judge
from vlbias.prompts import Style, prompt
from vlbias.records import Frames, Trial
from vlbias.strictyaml import parse, read

DRAWN = """
name: tiny
kind: judge
version: 1
description: a drawn suite
licence: Apache-2.0
candidates: {n}
phrases: {phrases}
source: {{drawn: {{clips: 24, seed: 5, size_px: [32, 32], duration_s: 1.0, fps: 4.0}}}}
"""


def suite_of(n: int = 2, phrases: str = "[none]") -> judge.Suite:
    return parse(DRAWN.format(n=n, phrases=phrases), where="tiny.yaml", model=judge.Suite, error=BadSuite)


def asked(suite: judge.Suite) -> list[Trial]:
    return list(judge.trials(judge.probes(suite, folder=Path()), suite=suite, seed=1))


@pytest.mark.parametrize("n", [2, 3, 6])
def test_every_candidate_stands_at_every_place_equally_often(n: int) -> None:
    trials = asked(suite_of(n))
    assert len(trials) == 24 * n == len({t.trial_id for t in trials})
    places = Counter((t.probe.probe_id, k, t.option_order[k]) for t in trials for k in range(n))
    assert set(places.values()) == {1} and all(t.slot == t.gold_displayed for t in trials)


def test_each_phrase_is_said_of_each_place_in_each_order() -> None:
    trials = asked(suite_of(phrases="[none, authority, distractor]"))
    told = Counter((t.probe.probe_id, *(v for k, v in t.factors)) for t in trials)
    assert len(trials) == 24 * 2 * (1 + 2 * 2) and set(told.values()) == {1}


def test_a_phrase_stands_behind_the_candidate_that_it_is_said_of() -> None:
    pixels = Frames(frames_THWC=np.zeros((1, 8, 8, 3), np.uint8), timestamps_s=(0.0,), asked_s=(0.0,), sha256="0",
                    decoder="x", decoder_version="1")  # fmt: skip
    for trial in asked(suite_of(phrases="[none, bandwagon]"))[:6]:
        text = prompt(trial, {s.segment_id: pixels for s in trial.segments}, Style()).parts[-1].text or ""
        shown = [line for line in text.splitlines() if line.startswith("(") and line[2] == ")"]
        marked = [k for k, line in enumerate(shown) if "90% of people" in line]
        told = dict(trial.factors)
        assert marked == ([int(told["phrase_at"])] if told["phrase"] == "bandwagon" else [])
        assert len(shown) == 2


def test_captions_are_of_one_form_and_the_wrong_ones_differ_in_one_word() -> None:
    for probe in judge.probes(suite_of(4), folder=Path()):
        right = probe.options[probe.gold].replace(" dots are", " are").split()
        for caption in probe.options:
            words = caption.replace(" dots are", " are").split()
            if len(words) == len(right):
                assert sum(a != b for a, b in zip(words, right, strict=True)) == (caption != probe.options[probe.gold])
            else:  # "above" against "to the left of"
                assert {"above", "below"} & (set(words) ^ set(right))
    assert not any("moves" not in o for p in judge.probes(suite_of(2), folder=Path()) for o in p.options)


@pytest.fixture
def own(shown_folder: Callable[..., Path]) -> Callable[..., Path]:
    evidence = {"kind": "image", "path": "i0.png", "sha256": hashlib.sha256(b"i0.png").hexdigest()}

    def made(more: str = "", **changes: Any) -> Path:
        row = {"probe_id": "p0", "task": "t", "question": "which is better?", "options": ["a cat", "a cat on a mat"],
               "gold": 1, "evidence": evidence, "cluster_id": "i0"}  # fmt: skip
        return shown_folder("judge", [row | changes], more)

    return made


def load(folder: Path) -> list:
    return judge.probes(read(folder / "own.yaml", judge.Suite, error=BadSuite), folder=folder)


def test_a_users_own_pair_may_hold_one_answer_within_the_other(own: Any) -> None:
    assert load(own())[0].options == ("a cat", "a cat on a mat")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": ["a cat", "A cat"]}, "probe p0: options: 'a cat' and 'A cat' are the same"),
        ({"options": ["a", "b", "c"]}, "probe p0: found 3 candidates; right are 2"),
    ],
)
def test_a_bad_pair_is_refused_by_name(own: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSuite, match=message):
        load(own(**changes))


def test_phrases_without_a_baseline_and_a_cloze_suite_are_refused(own: Any) -> None:
    for more, message in (("phrases: [authority]\n", "none is missing"), ("prompt: {style: cloze}\n", "no candidates")):
        folder = own(more)
        suite = read(folder / "own.yaml", judge.Suite, error=BadSuite)
        with pytest.raises(BadInput, match=message):
            list(judge.trials(load(folder), suite=suite, seed=0))


@pytest.mark.parametrize(("name", "n"), [("judge", 300), ("judge-phrases", 96)])
def test_the_bundled_suites_are_sound(name: str, n: int) -> None:
    path = rooms.data("probes") / f"{name}.yaml"
    assert len(judge.probes(read(path, judge.Suite, error=BadSuite), folder=path.parent)) == n
