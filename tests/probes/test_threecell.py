from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vlbias import rooms
from vlbias.errors import BadSuite
from vlbias.probes import threecell
from vlbias.records import Trial
from vlbias.strictyaml import parse, read
from vlbias.videos.draw import snapshots

SUITE = """
name: tiny
kind: threecell
version: 1
description: x
licence: x
rows: {rows}
columns: 3
source: {{drawn: {{items: 30, seed: 3, size_px: [{px}, {px}], fine: {fine}, reach: {reach}}}}}
"""


def suite_of(rows: int = 2, fine: int = 14, reach: int = 4, px: int = 112) -> threecell.Suite:
    text = SUITE.format(rows=rows, fine=fine, reach=reach, px=px)
    return parse(text, where="tiny.yaml", model=threecell.Suite, error=BadSuite)


def asked(suite: threecell.Suite) -> list[Trial]:
    return list(threecell.trials(threecell.probes(suite, folder=Path()), suite=suite, seed=1))


def centres(trial: Trial) -> np.ndarray:
    return np.array([s.centre_xy for s in trial.segments[0].scenes[0].sprites])


def test_the_right_answer_follows_from_the_distances_at_every_place() -> None:
    for trial in asked(suite_of()):
        red, green, blue = centres(trial) * 14
        to_green, to_blue = np.linalg.norm(green - red), np.linalg.norm(blue - red)
        assert trial.probe.gold == (2 if abs(to_green - to_blue) < 1e-9 else int(to_green > to_blue))
        side_a, side_b = green - red, blue - red
        assert abs(side_a[0] * side_b[1] - side_a[1] * side_b[0]) > 0.5


def test_the_three_answers_are_equally_frequent() -> None:
    probes = threecell.probes(suite_of(), folder=Path())
    assert Counter(p.gold for p in probes) == {0: 10, 1: 10, 2: 10}


def test_a_triple_moves_as_a_whole_and_never_leaves_the_image() -> None:
    trials = asked(suite_of())
    assert len(trials) == 30 * 6 == len({t.trial_id for t in trials})
    for k in range(0, len(trials), 6):
        shapes = [centres(t) - centres(t)[0] for t in trials[k : k + 6]]
        assert all(np.allclose(s, shapes[0]) for s in shapes)
        reds = np.array([centres(t)[0] for t in trials[k : k + 6]]) * 14 - 0.5
        assert np.allclose(reds, [(x, y) for y in (4, 9) for x in (4, 6, 9)])
    assert all((centres(t) > 0).all() and (centres(t) < 1).all() for t in trials)


def test_the_squares_are_drawn_in_their_colours() -> None:
    trial = asked(suite_of())[0]
    image = snapshots(trial.segments[0].scenes[0], [0.5])[0].astype(int)
    for (x, y), colour in zip(centres(trial), (threecell.RED, threecell.GREEN, threecell.BLUE), strict=True):
        assert np.abs(image[int(112 * y), int(112 * x)] - colour).max() < 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"reach": 6}, "leave 2 places"), ({"px": 40}, "too small"), ({"rows": 7}, "7 x 3 are wanted")],
)
def test_an_image_that_cannot_hold_the_places_is_refused(changes: dict, message: str) -> None:
    with pytest.raises(BadSuite, match=message):
        suite_of(**changes)


def test_the_bundled_suite_is_sound() -> None:
    path = rooms.data("probes") / "threecell.yaml"
    suite = read(path, threecell.Suite, error=BadSuite)
    assert len(threecell.probes(suite, folder=path.parent)) == 120
