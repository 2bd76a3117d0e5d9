"""The rotation probe: what is asked is what is drawn, and no letter is right more often than another."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vlbias.disk import sha256_of_file
from vlbias.errors import BadSuite
from vlbias.probes import rotation
from vlbias.strictyaml import parse
from vlbias.videos import draw
from vlbias.videos.extents import sprite_box

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


# --- pictures of the user


OWN = """
name: own
kind: rotation
version: 1
description: x
licence: x
{more}
source: {{pictures: {{file: own.jsonl, media: media, seed: 5{size}}}}}
"""


def own(folder: Path, more: str = "", size: str = ", size_px: [320, 240]") -> list:
    suite = parse(OWN.format(more=more, size=size), where="own.yaml", model=rotation.Suite, error=BadSuite)
    return list(rotation.trials(rotation.probes(suite, folder=folder), suite=suite, seed=1))


def cuts(trial) -> list[np.ndarray]:
    """The squares in which the left and the right picture stand, as they are drawn."""
    scene = trial.segments[0].scenes[0]
    seen = draw.snapshots(scene, [0.5])[0].astype(float)
    boxes = [np.rint(np.array(p.box_xyxy) * (320, 240, 320, 240)).astype(int) for p in scene.pictures]
    return [seen[y1:y2, x1:x2] for x1, y1, x2, y2 in boxes]


def near(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal but for the grain, of one grey level, that every drawing has."""
    return one.shape == other.shape and float(np.abs(one - other).mean()) < 1.5


def test_the_right_answer_to_a_turn_turns_the_left_picture_into_the_right_one_to_the_pixel(signs: Path) -> None:
    trials = own(signs, "forms: [turn]")
    assert len(trials) == 6 * 8 and "one picture twice" in trials[0].probe.question
    for trial in trials[:16]:
        left, right = cuts(trial)
        assert left.shape == (128, 128, 3)
        assert [near(np.rot90(left, -quarters), right) for quarters in range(4)].index(True) == trial.probe.gold
        assert sum(near(np.rot90(left, -quarters), right) for quarters in range(4)) == 1


def test_a_mirrored_picture_is_made_by_no_turn_and_the_same_one_by_one(signs: Path) -> None:
    for trial in own(signs, "forms: [mirror]")[:32]:
        left, right = cuts(trial)
        turned = any(near(np.rot90(left, k), right) for k in range(4))
        flipped = any(near(np.rot90(left[:, ::-1], k), right) for k in range(4))
        assert (turned, flipped) == (trial.probe.gold == 0, trial.probe.gold == 1)


def test_a_picture_stands_beside_the_arrow_on_the_side_that_is_right_and_is_called_by_its_caption(signs: Path) -> None:
    place = {0: (-1, 0), 1: (1, 0), 2: (0, -1), 3: (0, 1)}
    for trial in own(signs, "forms: [perspective]"):
        scene = trial.segments[0].scenes[0]
        (arrow,), (picture,) = scene.sprites, scene.pictures
        x1, y1, x2, y2 = picture.box_xyxy
        x, y = ((x1 + x2) / 2 - 0.5) * 320, ((y1 + y2) / 2 - 0.5) * 240
        back = np.radians(-arrow.turn_deg)
        at = np.array([x * np.cos(back) - y * np.sin(back), x * np.sin(back) + y * np.cos(back)]) / np.hypot(x, y)
        assert at == pytest.approx(place[trial.probe.gold], abs=0.02) and picture.turn_deg == 0 and not picture.mirrored
        assert np.hypot(x, y) - (x2 - x1) * 160 > arrow.radius * 240, "the arrow is not covered"
        assert trial.probe.question.endswith(f"as this person sees it: a {trial.probe.cluster_id} sign?")


def test_a_picture_is_an_item_and_a_cluster_and_balanced_as_drawn_ones_are(signs: Path) -> None:
    trials = own(signs)
    assert {(told(t)["item"], t.probe.cluster_id) for t in trials} == {
        (n, n) for n in ("red", "green", "blue", "amber", "pink", "white")
    }
    for form, n in (("turn", 4), ("mirror", 2), ("perspective", 4)):
        mine = [t for t in trials if told(t)["form"] == form]
        assert set(Counter(t.gold_displayed for t in mine).values()) == {len(mine) // n}
    assert len({told(t)["quarters"] for t in trials}) == 4 and len({t.trial_id for t in trials}) == len(trials)


def test_a_limit_to_the_first_questions_takes_whole_pictures(signs: Path) -> None:
    first = own(signs)[:40]
    assert {told(t)["item"] for t in first} == {"red"}
    assert Counter(told(t)["form"] for t in first) == {"turn": 8, "mirror": 16, "perspective": 16}


def test_pictures_that_look_alike_after_a_turn_are_all_named_at_once(signs: Path, add_picture) -> None:
    y, x = np.mgrid[-40:40, -40:40] + 0.5
    add_picture("disc", np.repeat(np.where(np.hypot(x, y) < 30, 250, 60).astype(np.uint8)[:, :, None], 3, axis=2))
    add_picture("paper", np.full((60, 80, 3), 200, np.uint8))
    with pytest.raises(BadSuite) as refused:
        own(signs)
    first, second = str(refused.value).splitlines()
    assert "disc: " in first and "a quarter turn by" in first and "its mirror image by" in first
    assert "paper: " in second and "half a turn by" in second and "quarter" not in second
    assert "leave turn and mirror out of forms" in first
    assert len(own(signs, "forms: [perspective]")) == 8 * 16


@pytest.mark.parametrize(
    ("caption", "side"), [("the cup behind a book", "behind"), ("a face turned To the Left", "to the left")]
)
def test_a_caption_that_holds_an_answer_is_refused_where_it_is_asked_with(
    signs: Path, edit_line, caption, side
) -> None:
    edit_line(2, caption=caption)
    with pytest.raises(BadSuite, match=f"blue: the caption '{caption}' holds the answer '{side}'"):
        own(signs)
    assert own(signs, "forms: [turn, mirror]")


def test_pictures_that_cannot_be_used_are_refused(signs: Path, add_picture, edit_line) -> None:
    with pytest.raises(BadSuite, match="leaves a picture 24 pixels a side"):
        own(signs, size=", size_px: [120, 76]")
    with pytest.raises(BadSuite, match="both sides must be even"):
        own(signs, size=", size_px: [321, 240]")
    add_picture("strip", np.arange(10 * 400 * 3, dtype=np.uint32).reshape(10, 400, 3).astype(np.uint8))
    with pytest.raises(BadSuite, match="own.jsonl:7: .*400 x 10 pixels would be shown 1 pixels thin in a square of 76"):
        own(signs)
    edit_line(6, path="red.jpg", sha256=sha256_of_file(signs / "own.jsonl"))
    (signs / "media" / "red.jpg").write_bytes((signs / "own.jsonl").read_bytes())
    with pytest.raises(BadSuite, match="the item says"):
        own(signs)
    edit_line(6, path="red.jpg", sha256=sha256_of_file(signs / "media" / "red.jpg"))
    with pytest.raises(BadSuite, match="cannot be read: .*give another picture"):
        own(signs)
    (signs / "own.jsonl").write_text((signs / "own.jsonl").read_text().splitlines()[0] + "\n")
    with pytest.raises(BadSuite, match="found 1 picture; give at least 2"):
        own(signs)


def test_a_suite_of_drawn_figures_is_told_as_before_pictures_came() -> None:
    assert suite_of().model_dump(mode="json")["source"] == {"drawn": {"items": 4, "seed": 3, "size_px": [160, 120]}}


def test_figures_stand_in_the_frame_of_a_high_image_too() -> None:
    suite = parse(
        SUITE.format(more="").replace("[160, 120]", "[120, 240]"), where="x", model=rotation.Suite, error=BadSuite
    )
    for trial in rotation.trials(rotation.probes(suite, folder=Path()), suite=suite, seed=1):
        for sprite in trial.segments[0].scenes[0].sprites:
            sprite_box(sprite, size_wh_px=(120, 240))
