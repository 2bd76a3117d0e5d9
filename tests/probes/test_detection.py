"""The detection probe: one thing in every cell, its true box beside the question, and nothing else that changes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlbias.disk import sha256_of_file
from vlbias.errors import BadSuite
from vlbias.probes import detection
from vlbias.strictyaml import parse
from vlbias.videos import draw

SUITE = """
name: tiny
kind: detection
version: 1
description: x
licence: x
rows: 2
columns: 3
{more}
source: {{drawn: {{items: 6, seed: 3, size_px: [240, 160], distractors: {distractors}, look: {look}}}}}
"""


def suite_of(look: str = "shapes", distractors: int = 2, more: str = "") -> detection.Suite:
    text = SUITE.format(look=look, distractors=distractors, more=more)
    return parse(text, where="tiny.yaml", model=detection.Suite, error=BadSuite)


def trials_of(suite: detection.Suite) -> list:
    return list(detection.trials(detection.probes(suite, folder=Path()), suite=suite, seed=0))


def told(trial) -> dict:
    return dict(trial.factors)


@pytest.mark.parametrize("look", ["shapes", "screen"])
def test_every_thing_stands_in_every_cell_and_its_box_is_there(look: str) -> None:
    suite = suite_of(look)
    trials = trials_of(suite)
    assert len(trials) == 6 * 6 and len({t.trial_id for t in trials}) == 36
    for trial in trials:
        row, column = (int(v) for v in told(trial)["cell"].split(","))
        x1, y1, x2, y2 = (float(v) for v in told(trial)["target"].split(","))
        assert column / 3 < x1 < x2 < (column + 1) / 3 and row / 2 < y1 < y2 < (row + 1) / 2
        assert trial.options == () and trial.probe.gold is None


def test_the_true_box_holds_the_pixels_that_change_colour_with_the_thing() -> None:
    trial = trials_of(suite_of(distractors=0))[4]
    scene = trial.segments[0].scenes[0]
    shown, empty = (draw.snapshots(s, [0.5])[0].astype(int) for s in (scene, replace(scene, sprites=())))
    y, x = np.nonzero(np.abs(shown - empty).max(axis=2) > 25)
    found = x.min() / 240, y.min() / 160, (x.max() + 1) / 240, (y.max() + 1) / 160
    assert found == pytest.approx([float(v) for v in told(trial)["target"].split(",")], abs=0.015)


def test_two_cells_of_a_thing_differ_by_one_exchange_and_nothing_else_is_like_it() -> None:
    for look in ("shapes", "screen"):
        mine = [t for t in trials_of(suite_of(look, distractors=4)) if t.probe.probe_id == "item-0001"]
        sprites = [t.segments[0].scenes[0].sprites for t in mine]
        looks = [[(s.form, s.colour_rgb, s.text) for s in shown] for shown in sprites]
        assert all(one == looks[0] for one in looks)
        home = mine[0].probe.evidence.scenes[0].sprites
        moved = [sum(a.centre_xy != b.centre_xy for a, b in zip(one, home, strict=True)) for one in sprites]
        assert moved.count(0) == 1 and max(moved) <= (2 if look == "shapes" else 4)
        if look == "shapes":
            assert all(
                s.form != sprites[0][0].form and s.colour_rgb != sprites[0][0].colour_rgb for s in sprites[0][1:]
            )
        else:
            says = [s.text or s.form for s in sprites[0] if s.form != "button"]
            assert len(set(says)) == len(says)


def test_the_question_names_the_thing_in_the_words_of_the_suite() -> None:
    words = {p.question for p in detection.probes(suite_of("screen", more="wording: detect {thing}"), folder=Path())}
    assert all(w.startswith(("detect the button", "detect the ")) for w in words) and any('"' in w for w in words)


def test_pictures_of_the_user_have_the_box_in_which_they_are_drawn(tmp_path: Path) -> None:
    lines = []
    for k in range(3):
        file = tmp_path / f"{k}.png"
        Image.fromarray(np.full((24, 60 + 20 * k, 3), 70 + 60 * k, np.uint8)).save(file)
        item = {"probe_id": f"p{k}", "path": f"{k}.png", "sha256": sha256_of_file(file)}
        lines.append(json.dumps({**item, "caption": f"thing {k}", "cluster_id": f"c{k}"}))
    (tmp_path / "items.jsonl").write_text("\n".join(lines))
    text = SUITE.split("source")[0].format(more="") + (
        "source: {pictures: {file: items.jsonl, media: ., size_px: [300, 200], distractors: 1}}"
    )
    suite = parse(text, where="own.yaml", model=detection.Suite, error=BadSuite)
    trials = list(detection.trials(detection.probes(suite, folder=tmp_path), suite=suite, seed=0))
    assert len(trials) == 18 and trials[0].probe.question == "Find the picture of thing 0 in the image."
    assert trials[0].probe.thing == "thing 0"
    for trial in trials:
        x1, y1, x2, y2 = (float(v) for v in told(trial)["target"].split(","))
        k = int(trial.probe.cluster_id[1:])
        assert (x2 - x1) * 300 / ((y2 - y1) * 200) == pytest.approx((60 + 20 * k) / 24, rel=0.06)


@pytest.mark.parametrize(
    ("more", "distractors", "words"),
    [
        ("wording: find it", 2, "must hold {thing} once"),
        ("prompt: {style: letters}", 2, "give cloze"),
        ("", 6, "give at most 5"),
        ("answer: mask", 2, "answer"),
    ],
)
def test_a_detection_suite_that_cannot_be_asked_is_refused(more: str, distractors: int, words: str) -> None:
    with pytest.raises(BadSuite, match=words):
        suite_of(distractors=distractors, more=more)


@pytest.mark.parametrize("look", ["shapes", "screen"])
def test_a_probe_names_what_it_looks_for_apart_from_its_question(look: str) -> None:
    for probe in detection.probes(suite_of(look), folder=Path()):
        assert probe.question == f"Find the {probe.thing} in the image." and not probe.thing.startswith("the ")
