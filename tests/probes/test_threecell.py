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


def test_cells_that_are_no_squares_are_refused() -> None:
    with pytest.raises(BadSuite, match="in which a cell is as wide as it is high"):
        parse(SUITE.format(rows=2, fine=14, reach=4, px=112).replace("[112, 112]", "[112, 224]"), where="x",
              model=threecell.Suite, error=BadSuite)  # fmt: skip


def test_a_reach_within_which_all_answers_cannot_be_made_is_refused() -> None:
    with pytest.raises(BadSuite, match="reach"):
        suite_of(reach=2)


# --- pictures of the user


OWN = """
name: own
kind: threecell
version: 1
description: x
licence: x
source: {{pictures: {{file: own.jsonl, media: media, seed: 5{more}}}}}
"""


def own(folder: Path, more: str = ", size_px: [384, 384]") -> list[Trial]:
    suite = parse(OWN.format(more=more), where="own.yaml", model=threecell.Suite, error=BadSuite)
    return list(threecell.trials(threecell.probes(suite, folder=folder), suite=suite, seed=1))


def corners_px(trial: Trial) -> np.ndarray:
    return np.array([p.box_xyxy for p in trial.segments[0].scenes[0].pictures]) * 384


def test_the_right_answer_follows_from_the_distances_of_the_pictures(signs: Path) -> None:
    for trial in own(signs):
        boxes = corners_px(trial)
        assert np.abs(boxes - np.rint(boxes)).max() < 1e-9, "whole pixels"
        assert np.rint(boxes).min() >= 0 and np.rint(boxes).max() <= 384
        to_all, to_first, to_second = (np.rint(boxes[:, :2] - boxes[0, :2]) ** 2).sum(axis=1)
        assert to_all == 0 and trial.probe.gold == (2 if to_first == to_second else int(to_first > to_second))


def test_the_answers_are_the_captions_and_the_same_words_have_each_answer_once(signs: Path) -> None:
    probes = list(dict.fromkeys(t.probe for t in own(signs, ", rounds: 2, size_px: [384, 384]")))
    assert len(probes) == 2 * 6 * 3 and Counter(p.cluster_id for p in probes) == dict.fromkeys(
        ["red", "green", "blue", "amber", "pink", "white"], 6
    )
    for k in range(0, len(probes), 3):
        assert len({(p.question, p.options) for p in probes[k : k + 3]}) == 1
        assert [p.gold for p in probes[k : k + 3]] == [0, 1, 2]
        paths = {tuple(Path(one.path).stem for one in p.evidence.scenes[0].pictures) for p in probes[k : k + 3]}
        ((third, first, second),) = paths
        assert probes[k].options == (f"a {first} sign", f"a {second} sign", "both are equally far")
        assert probes[k].question.endswith(f": a {third} sign?") and len({third, first, second}) == 3


def test_a_triple_of_pictures_has_the_same_pixels_at_every_place(signs: Path) -> None:
    def middle(trial: Trial) -> np.ndarray:
        x, y = np.rint(corners_px(trial)[0, :2]).astype(int)
        image = snapshots(trial.segments[0].scenes[0], [0.5])[0].astype(float)
        return image[y - 97 : y + 127, x - 97 : x + 127]  # a reach of three cells of 32 pixels, and its own

    trials = own(signs)
    assert len(trials) == 18 * 9 == len({t.trial_id for t in trials})
    first = middle(trials[0])
    for trial in trials[1:9]:
        assert trial.probe == trials[0].probe and np.abs(middle(trial) - first).mean() < 1.5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (", size_px: [360, 360]", "360 is too small for 12 cells; a cell needs 32 pixels a side"),
        (", size_px: [400, 400]", "be equally far; give 396"),
        (", size_px: [490, 490], fine: 15", "be equally far; give 480"),
        (", size_px: [480, 384]", "give a square"),
        (", fine: 8", "leave 2 places; 3 x 3 are wanted"),
        (", reach: 2", "reach"),
    ],
)
def test_an_image_that_cannot_hold_the_pictures_is_refused(more: str, message: str) -> None:
    with pytest.raises(BadSuite, match=message):
        own(Path(), more)


def test_pictures_that_no_words_tell_apart_are_not_put_side_by_side(signs: Path, edit_line) -> None:
    edit_line(1, caption="a red sign on a wall")
    pairs = [{*t.options, t.probe.question.rpartition(": ")[2].rstrip("?")} for t in own(signs)]
    assert not any({"a red sign", "a red sign on a wall"} <= pair for pair in pairs)
    edit_line(1, caption="two doors, both are equally far")
    with pytest.raises(BadSuite, match="green: found no two pictures to stand beside it among 5"):
        own(signs)


def test_cells_of_an_odd_number_of_pixels_hold_pictures_too(signs: Path) -> None:
    trial = own(signs, ", size_px: [396, 396]")[0]
    boxes = np.rint(np.array([p.box_xyxy for p in trial.segments[0].scenes[0].pictures]) * 396)
    assert (boxes[:, 2:] - boxes[:, :2] == 30).all() and len({tuple(box[:2] % 33) for box in boxes}) == 1


def test_too_few_clusters_and_thin_pictures_are_refused(signs: Path, add_picture, edit_line) -> None:
    add_picture("strip", np.full((10, 400, 3), 99, np.uint8))
    with pytest.raises(BadSuite, match="own.jsonl:7: .*would be shown 0 pixels thin in a square of 30"):
        own(signs)
    edit_line(6, path="none.png")
    with pytest.raises(BadSuite, match=r"own.jsonl:7: the file .*none.png is missing"):
        own(signs)
    (signs / "own.jsonl").write_text("\n".join((signs / "own.jsonl").read_text().splitlines()[:3]))
    edit_line(2, cluster_id="green")
    with pytest.raises(BadSuite, match="three need three clusters"):
        own(signs)
