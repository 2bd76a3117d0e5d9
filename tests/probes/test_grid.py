from pathlib import Path

import numpy as np
import pytest

from vlbias import rooms
from vlbias.errors import BadSuite
from vlbias.probes import grid
from vlbias.records import Trial
from vlbias.strictyaml import parse, read
from vlbias.videos.draw import snapshots

SUITE = """
name: tiny
kind: grid
version: 1
description: x
licence: x
rows: {rows}
columns: {columns}
shifts_px: {shifts}
source: {{drawn: {{items: 12, seed: 3, size_px: [96, 64], distractors: {distractors}}}}}
"""


def suite_of(rows: int = 2, columns: int = 3, shifts: str = "[[0, 0]]", distractors: int = 2) -> grid.Suite:
    text = SUITE.format(rows=rows, columns=columns, shifts=shifts, distractors=distractors)
    return parse(text, where="tiny.yaml", model=grid.Suite, error=BadSuite)


def asked(suite: grid.Suite) -> list[Trial]:
    return list(grid.trials(grid.probes(suite, folder=Path()), suite=suite, seed=1))


def test_every_item_is_asked_in_every_cell_present_and_absent_at_every_shift() -> None:
    trials = asked(suite_of(shifts="[[0, 0], [3, -2]]"))
    assert len(trials) == len({t.trial_id for t in trials}) == 12 * 2 * 2 * 6
    told = [(t.probe.probe_id, *(v for _, v in t.factors)) for t in trials]
    assert len(set(told)) == len(told) and {t[3] for t in told} == {"yes", "no"}
    assert all(t.slot == 3 * int(c[0]) + int(c[2]) for t in trials for c in [dict(t.factors)["cell"]])


def test_the_thing_stands_in_the_middle_of_its_cell_and_the_others_stay() -> None:
    by_probe: dict[str, list[Trial]] = {}
    for trial in asked(suite_of()):
        by_probe.setdefault(trial.probe.probe_id, []).append(trial)
    for trials in by_probe.values():
        places = []
        for trial in trials:
            row, column = (int(v) for v in dict(trial.factors)["cell"].split(","))
            sprites = trial.segments[0].scenes[0].sprites
            assert sprites[0].centre_xy == pytest.approx(((column + 0.5) / 3, (row + 0.5) / 2))
            assert len({s.centre_xy for s in sprites}) == len(sprites) == 3
            places.append(tuple(s.centre_xy for s in sprites[1:]))
        home = trials[0].probe.evidence.scenes[0].sprites
        kept = sum(p == tuple(s.centre_xy for s in home[1:]) for p in places)
        assert kept == 4  # all cells but those of the two distractors, each of which moves in one


def test_a_foil_has_the_shape_but_not_the_colour_and_no_distractor_could_be_meant() -> None:
    for probe in grid.probes(suite_of(), folder=Path()):
        first, *rest = probe.evidence.scenes[0].sprites
        colour, shape = probe.question.split()[3:5]
        is_there = grid.COLOURS[colour] == first.colour_rgb
        assert first.form == shape and is_there == (probe.options[probe.gold] == "yes")
        assert all(s.form != shape and s.colour_rgb not in (grid.COLOURS[colour], first.colour_rgb) for s in rest)


def test_yes_is_displayed_first_in_half_of_the_items_and_alike_in_both_versions() -> None:
    orders = {t.probe.probe_id: t.options for t in asked(suite_of())}
    first = [orders[f"item-{k:04d}-yes"] for k in range(12)]
    assert first == [orders[f"item-{k:04d}-no"] for k in range(12)]
    assert 2 <= sum(o[0] == "yes" for o in first) <= 10


def test_a_shift_moves_all_sprites_by_its_pixels() -> None:
    trials = asked(suite_of(shifts="[[0, 0], [3, -2]]"))
    half = len(trials) // 24
    assert half == 12
    for trial, other in zip(trials[:6], trials[6:12], strict=True):
        for one, two in zip(trial.segments[0].scenes[0].sprites, other.segments[0].scenes[0].sprites, strict=True):
            moved = np.subtract(two.centre_xy, one.centre_xy)
            assert moved == pytest.approx((3 / 96, -2 / 64))


def test_the_drawn_pixels_differ_only_where_the_thing_was_and_is() -> None:
    trials = asked(suite_of(rows=1, columns=3, distractors=0))[:3]
    images = [snapshots(t.segments[0].scenes[0], [0.5])[0].astype(int) for t in trials]
    changed = np.abs(images[0] - images[2]).max(axis=(0, 2)) > 20
    assert changed[:32].any() and changed[64:].any() and not changed[34:62].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 12}, "too few for 12 x 3 cells"),
        ({"rows": 1, "columns": 1, "distractors": 0}, "give at least 2"),
        ({"distractors": 6}, "give at most 5"),
        ({"shifts": "[[9, 0]]"}, "cuts off"),
        ({"shifts": "[[0, 0], [0, 0]]"}, "stands twice"),
    ],
)
def test_a_grid_that_cannot_be_drawn_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(BadSuite, match=message):
        suite_of(**changes)


@pytest.mark.parametrize("name", ["grid", "grid-8x8", "grid-12x12"])
def test_the_bundled_suites_are_sound(name: str) -> None:
    path = rooms.data("probes") / f"{name}.yaml"
    suite = read(path, grid.Suite, error=BadSuite)
    found = grid.probes(suite, folder=path.parent)
    assert len(found) == 2 * suite.source.drawn.items


def test_asked_for_a_choice_the_images_stay_and_the_foil_is_the_other_answer() -> None:
    presence = asked(suite_of())
    text = SUITE.format(rows=2, columns=3, shifts="[[0, 0]]", distractors=2).replace("rows:", "asks: choice\nrows:")
    choice = asked(parse(text, where="tiny.yaml", model=grid.Suite, error=BadSuite))
    for one, other in zip(presence, choice, strict=True):
        assert (
            one.segments == other.segments and one.factors == other.factors and one.option_order == other.option_order
        )
        there, foil = other.probe.options
        shown = other.segments[0].scenes[0].sprites[0]
        named = there if dict(other.factors)["present"] == "yes" else foil
        assert named.endswith(f" {shown.form}") and other.probe.options[other.probe.gold] == named


def test_a_question_of_presence_names_its_thing_and_one_between_two_the_one_that_is_there() -> None:
    for probe in grid.probes(suite_of(), folder=Path()):
        assert probe.thing is not None and probe.question == f"Is there {probe.thing} in the image?"
    choice = suite_of().model_copy(update={"asks": "choice"})
    assert all(probe.thing == probe.options[probe.gold] for probe in grid.probes(choice, folder=Path()))
