"""The rotation probe: what is asked is what is drawn, and no letter is right more often than another."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vlbias.errors import BadSuite
from vlbias.probes import rotation
from vlbias.strictyaml import parse
from vlbias.videos import draw

SUITE = """
name: tiny
kind: rotation
version: 1
description: x
licence: x
{more}
source: {{drawn: {{items: 4, seed: 3, size_px: [160, 120]}}}}
"""


def suite_of(more: str = "") -> rotation.Suite:
    return parse(SUITE.format(more=more), where="tiny.yaml", model=rotation.Suite, error=BadSuite)


@pytest.fixture(scope="module")
def trials() -> list:
    suite = suite_of()
    return list(rotation.trials(rotation.probes(suite, folder=Path()), suite=suite, seed=1))


def told(trial) -> dict:
    return dict(trial.factors)


def figure(trial, left: bool) -> np.ndarray:
    """One figure of a pair as a square of 1 and 0."""
    scene = trial.segments[0].scenes[0]
    seen = draw.snapshots(scene, [0.5])[0].astype(int)
    away = np.abs(seen - np.array(scene.backdrop_rgb)).max(axis=2) > 25
    middle = round((0.27 if left else 0.73) * 160)
    return away[60 - 30 : 60 + 31, middle - 30 : middle + 31].astype(float)


def alike(one: np.ndarray, other: np.ndarray) -> float:
    return float((one * other).sum() / max(one.sum(), other.sum()))


def test_the_right_answer_to_a_turn_turns_the_left_figure_into_the_right_one(trials: list) -> None:
    for trial in (t for t in trials if told(t)["form"] == "turn" and told(t)["item"] in ("item-0000", "item-0002")):
        left, right = figure(trial, True), figure(trial, False)
        fits = [alike(np.rot90(left, -quarters), right) for quarters in range(4)]
        assert int(np.argmax(fits)) == trial.probe.gold and fits[trial.probe.gold] > 0.9
        assert sorted(fits)[-2] < 0.85


def test_a_mirrored_figure_is_made_by_no_turn_and_the_same_one_by_one(trials: list) -> None:
    for trial in (t for t in trials if told(t)["form"] == "mirror" and told(t)["item"] in ("item-0001", "item-0003")):
        left, right = figure(trial, True), figure(trial, False)
        turned = max(alike(np.rot90(left, k), right) for k in range(4))
        flipped = max(alike(np.rot90(left[:, ::-1], k), right) for k in range(4))
        assert (turned > 0.9 > flipped) == (trial.probe.gold == 0) and (flipped > 0.9 > turned) == (
            trial.probe.gold == 1
        )


def test_another_view_is_the_image_turned_until_the_arrow_points_up(trials: list) -> None:
    place = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1)}
    for trial in (t for t in trials if told(t)["form"] == "perspective"):
        arrow, thing = trial.segments[0].scenes[0].sprites
        x, y = ((b - a) * s for a, b, s in zip(arrow.centre_xy, thing.centre_xy, (160, 120), strict=True))
        away = x / np.hypot(x, y), y / np.hypot(x, y)
        assert away == pytest.approx(place[int(told(trial)["viewer"])], abs=1e-9)
        back = np.radians(-arrow.turn_deg)
        own = away[0] * np.cos(back) - away[1] * np.sin(back), away[0] * np.sin(back) + away[1] * np.cos(back)
        assert own == pytest.approx(place[trial.probe.gold], abs=1e-9)
        assert (told(trial)["viewer"] == told(trial)["side"]) == (arrow.turn_deg == 0)


def test_every_option_is_right_equally_often_and_at_every_letter(trials: list) -> None:
    assert Counter(told(t)["form"] for t in trials) == {"turn": 32, "mirror": 64, "perspective": 64}
    for form, n in (("turn", 4), ("mirror", 2), ("perspective", 4)):
        mine = [t for t in trials if told(t)["form"] == form]
        assert set(Counter(t.probe.gold for t in mine).values()) == {len(mine) // n}
        assert set(Counter(t.gold_displayed for t in mine).values()) == {len(mine) // n}


@pytest.mark.parametrize(
    ("more", "words"),
    [("forms: [turn, turn]", "one stands twice"), ("prompt: {style: cloze}", "give letters"), ("forms: []", "forms")],
)
def test_a_rotation_suite_that_cannot_be_asked_is_refused(more: str, words: str) -> None:
    with pytest.raises(BadSuite, match=words):
        suite_of(more)
