import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vlbias import rooms
from vlbias.errors import BadInput, BadSuite
from vlbias.organisms.architecture import split, vocabulary
from vlbias.probes import conflict
from vlbias.probes._rivals import contradiction
from vlbias.probes._world import TASKS, contents, truths
from vlbias.strictyaml import parse, read

DRAWN = """
name: tiny
kind: conflict
version: 1
description: a drawn suite
licence: Apache-2.0
segments: {segments}
evidence: {evidence}
rival: {rival}
source: {{drawn: {{clips: 24, seed: 5, size_px: [32, 32], duration_s: 1.0, fps: 4.0}}}}
"""


def suite_of(*, segments: int = 4, evidence: str = "clip", rival: str = "clip") -> conflict.Suite:
    text = DRAWN.format(segments=segments, evidence=evidence, rival=rival)
    return parse(text, where="tiny.yaml", model=conflict.Suite, error=BadSuite)


@pytest.fixture
def own(shown_folder: Callable[[str, list[dict[str, Any]]], Path], conflict_row: dict[str, Any]) -> Callable[..., Path]:
    def made(**changes: Any) -> Path:
        return shown_folder("conflict", [conflict_row | changes])

    return made


def load(folder: Path) -> list:
    suite = read(folder / "own.yaml", conflict.Suite, error=BadSuite)
    return conflict.probes(suite, folder=folder)


@pytest.mark.parametrize(("evidence", "rival"), [("clip", "clip"), ("image", "image"), ("clip", "text")])
def test_both_contents_stand_at_every_pair_of_slots_in_both_orders(evidence: str, rival: str) -> None:
    suite = suite_of(evidence=evidence, rival=rival)
    probes = conflict.probes(suite, folder=Path())
    trials = list(conflict.trials(probes, suite=suite, seed=1))
    assert len(probes) == 48 and len({t.trial_id for t in trials}) == len(trials) == 48 * 12
    for probe in probes:
        of_probe = [t for t in trials if t.probe == probe]
        pairs = Counter()
        for trial in of_probe:
            factors = dict(trial.factors)
            at = int(factors["rival_slot"])
            assert trial.segments[trial.slot] == probe.evidence and trial.segments[at] == probe.backgrounds[0]
            assert (trial.slot < at) == (factors["content_order"] == "ab")
            assert [s for s in trial.segments if s not in (probe.evidence, probe.backgrounds[0])] == list(
                probe.backgrounds[1:]
            )
            pairs[trial.slot, at] += 1
        assert pairs == {(a, b): 1 for a in range(4) for b in range(4) if a != b}
        assert len({t.option_order for t in of_probe}) == 1
        assert (probe.evidence.kind, probe.backgrounds[0].kind) == (evidence, rival)
        assert probe.rival_gold != probe.gold and {
            f[1] for t in of_probe for f in t.factors if f[0] == "rival_gold"
        } == {str(probe.rival_gold)}


def test_no_background_shows_the_shape_that_the_question_names() -> None:
    for probe in conflict.probes(suite_of(), folder=Path()):
        shapes = [s.scenes[0].sprites[0].form for s in (probe.evidence, *probe.backgrounds)]
        assert shapes[0] == shapes[1] and shapes[0] in probe.question and shapes[0] not in shapes[2:]


def test_a_contradiction_differs_in_what_is_asked_and_its_other_attributes_tell_nothing() -> None:
    rng = np.random.default_rng(0)
    for task in TASKS:
        agree = []
        for content in contents(400, rng=rng):
            if task not in truths(content):
                continue
            other = contradiction(content, task, rng=rng)
            assert truths(other)[task] != truths(content)[task] and other.shape == content.shape
            if task != "Attribute Perception":
                agree.append(other.colour == content.colour)
        assert not agree or abs(np.mean(agree) - 1 / 12) < 4 * (1 / 12 / len(agree)) ** 0.5


def test_without_motion_a_still_image_is_never_asked_which_way_it_moves() -> None:
    assert not any("move" in p.question for p in conflict.probes(suite_of(rival="image"), folder=Path()))
    assert any("move" in p.question for p in conflict.probes(suite_of(rival="text"), folder=Path()))


def test_chosen_slots_leave_their_pairs_only() -> None:
    suite = suite_of()
    probes = conflict.probes(suite, folder=Path())[:1]
    found = {tuple(sorted((t.slot, int(dict(t.factors)["rival_slot"])))) for t in
             conflict.trials(probes, suite=suite, seed=1, slots=[0, 3, 1])}  # fmt: skip
    assert found == set(combinations([0, 1, 3], 2))
    with pytest.raises(BadInput, match="right are 0 to 3"):
        list(conflict.trials(probes, suite=suite, seed=1, slots=[0, 4]))


def test_a_users_own_items_become_probes_with_the_rival_first_among_the_backgrounds(own: Callable[..., Path]) -> None:
    (probe,) = load(own())
    assert probe.options[probe.rival_gold] == "blue" and probe.options[probe.gold] == "red"
    assert [s.kind for s in (probe.evidence, *probe.backgrounds)] == ["clip", "text", "clip"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rival_gold": "red"}, r"probe p0: the two segments do not contradict: both say 'red'"),
        ({"options": ["red", "Red ", "blue"], "gold": 0}, r"probe p0: options: 'red' and 'Red ' are the same"),
        (
            {"options": ["red", "dark red", "blue"]},
            r"probe p0: options: one of 'red' and 'dark red' contains the other",
        ),
        ({"options": ["red", "blue", *(f"c{k}" for k in range(25))]}, r"probe p0: options: found 27.*26 labels"),
        ({"rival": None, "rival_gold": None}, r"probe p0: no segment contradicts the evidence"),
        ({"rival_gold": None}, r"own.jsonl:1: rival and rival_gold go together"),
        ({"rival_gold": "green"}, r"own.jsonl:1: rival_gold: 'green' is not among the options"),
        ({"backgrounds": []}, r"probe p0: found 0 backgrounds besides the rival; right are 1"),
        ({"rival": {"kind": "text"}}, r"own.jsonl:1: rival: .*a text needs text; found none"),
        ({"colour": 1}, r"own.jsonl:1: colour: .*known keys: probe_id, task"),
    ],
)
def test_a_bad_item_is_refused_by_name(own: Callable[..., Path], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSuite, match=message):
        load(own(**changes))


def test_a_clip_whose_bytes_changed_is_refused(own: Callable[..., Path]) -> None:
    folder = own()
    (folder / "media" / "e.mp4").write_bytes(b"other")
    with pytest.raises(BadSuite, match=r"own.jsonl:1: .*e.mp4: sha256 is"):
        load(folder)


def test_probes_that_share_a_name_or_a_segment_are_refused() -> None:
    suite = suite_of()
    first, second, *_ = conflict.probes(suite, folder=Path())
    assert "2 probes have this name" in conflict.check(suite, [first, first])[0]
    twin = replace(second, backgrounds=(second.evidence, *second.backgrounds[1:]))
    assert "is the evidence itself" in conflict.check(suite, [twin])[0]


@pytest.mark.parametrize("name", ["conflict", "conflict-images", "conflict-passage"])
def test_the_bundled_suites_are_sound(name: str) -> None:
    path = rooms.data("probes") / f"{name}.yaml"
    suite = read(path, conflict.Suite, error=BadSuite)
    probes = conflict.probes(suite, folder=path.parent)
    assert len(probes) == 96 and suite.name == name and json.dumps(suite.model_dump(mode="json"))
    assert set(Counter(p.task for p in probes).values()) <= {15, 16, 17, 19, 20, 24, 32}


@pytest.mark.parametrize(
    ("name", "spoken"), [("conflict", True), ("conflict-images", True), ("conflict-passage", False)]
)
def test_an_organism_knows_every_word_of_the_suites_without_passages(name: str, spoken: bool) -> None:
    """A passage tells of a thing in words that no question and no answer has."""
    path = rooms.data("probes") / f"{name}.yaml"
    probes = conflict.probes(read(path, conflict.Suite, error=BadSuite), folder=path.parent)
    texts = [text for p in probes for text in (p.question, *p.options, *(s.text or "" for s in p.backgrounds))]
    assert ({word for text in texts for word in split(text)} <= set(vocabulary())) is spoken
