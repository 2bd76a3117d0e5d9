"""The needle probe: the thing in every cell of every image, the same things around it."""

from pathlib import Path

import pytest

from vlbias.errors import BadSuite
from vlbias.probes import needle
from vlbias.strictyaml import parse

SUITE = """
name: tiny
kind: needle
version: 1
description: x
licence: x
images: {images}
side: {side}
size_px: [64, 64]
{more}
source: {{drawn: {{items: 4, seed: 3}}}}
"""


def suite_of(images: int = 3, side: int = 2, more: str = "") -> needle.Suite:
    text = SUITE.format(images=images, side=side, more=more)
    return parse(text, where="tiny.yaml", model=needle.Suite, error=BadSuite)


@pytest.fixture(scope="module")
def trials():
    suite = suite_of()
    return list(needle.trials(needle.probes(suite, folder=Path()), suite=suite, seed=1))


def looks(segment):
    return [(s.form, s.colour_rgb) for s in segment.scenes[0].sprites]


def test_each_coordinate_and_both_versions_of_presence_are_asked_in_every_cell(trials):
    assert len(trials) == len({t.trial_id for t in trials}) == 4 * 5 * 12
    assert {len(t.segments) for t in trials} == {3} and {len(looks(s)) for t in trials for s in t.segments} == {4}


def test_the_thing_stands_where_the_factors_say_and_the_gold_is_displayed_there(trials):
    for trial in trials:
        told = dict(trial.factors)
        row, column = (int(v) for v in told["cell"].split(","))
        thing = trial.probe.evidence.scenes[0].sprites[0]
        at = trial.segments[int(told["in_image"])].scenes[0].sprites[2 * row + column]
        assert (at.form, at.colour_rgb) == (thing.form, thing.colour_rgb)
        assert at.centre_xy == pytest.approx(((column + 0.5) / 2, (row + 0.5) / 2))
        if told["coordinate"] != "there":
            true = {"image": int(told["in_image"]), "row": row, "column": column}[told["coordinate"]]
            assert trial.gold_displayed == true and sorted(trial.option_order) == list(range(len(trial.options)))


def test_two_places_of_an_item_differ_by_one_exchange(trials):
    mine = [t for t in trials if t.probe.probe_id == "thing-0000/row"]
    spread = [[look for s in t.segments for look in looks(s)] for t in mine]
    home = spread[0]
    for slot, shown in enumerate(spread):
        assert sorted(shown) == sorted(home) and shown[slot] == home[0]
        assert sum(a != b for a, b in zip(shown, home, strict=True)) == (2 if slot else 0)


def test_in_the_absent_version_the_thing_is_nowhere(trials):
    for trial in trials:
        if trial.probe.probe_id == "thing-0001/there-no":
            thing = next(t.probe for t in trials if t.probe.probe_id == "thing-0001/there-yes").evidence.scenes[0]
            wanted = thing.sprites[0].form, thing.sprites[0].colour_rgb
            assert wanted not in [look for s in trial.segments for look in looks(s)] and trial.probe.gold == 1


def test_yes_is_displayed_first_for_half_of_the_things(trials):
    first = {dict(t.factors)["item"]: t.option_order[0] for t in trials if dict(t.factors)["coordinate"] == "there"}
    assert sorted(first.values()) == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("images", "side", "more", "words"),
    [
        (1, 2, "", "image has one answer only"),
        (3, 1, "", "row has one answer only"),
        (3, 2, "asks: [row, row]", "one stands twice"),
        (3, 8, "", "a cell needs 16 pixels"),
    ],
)
def test_a_needle_suite_that_cannot_be_asked_is_refused(images, side, more, words):
    with pytest.raises(BadSuite, match=words):
        suite_of(images, side, more)


def test_too_few_pictures_for_the_cells_are_refused():
    with pytest.raises(BadSuite, match="images of 4 x 4"):
        needle.probes(suite_of(images=20, side=4), folder=Path())
