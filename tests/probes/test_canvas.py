"""The canvas probe: one picture, every place, several backgrounds, and nothing else changes."""

from pathlib import Path

import numpy as np
import pytest

from vlbias.errors import BadSuite
from vlbias.probes import canvas
from vlbias.strictyaml import parse
from vlbias.videos.draw import snapshots

SUITE = """
name: tiny
kind: canvas
version: 1
description: x
licence: x
rows: {rows}
columns: 3
size_px: [96, 64]
{more}
source: {{drawn: {{items: 6, seed: 3}}}}
"""


def suite_of(rows: int = 2, more: str = "") -> canvas.Suite:
    return parse(SUITE.format(rows=rows, more=more), where="tiny.yaml", model=canvas.Suite, error=BadSuite)


def asked(suite: canvas.Suite) -> list:
    return list(canvas.trials(canvas.probes(suite, folder=Path()), suite=suite, seed=1))


def test_every_picture_stands_once_in_every_cell_of_every_background():
    trials = asked(suite_of())
    told = {(t.probe.probe_id, *(v for _, v in t.factors)) for t in trials}
    assert len(trials) == len(told) == 6 * 3 * 6 and {t.n_slots for t in trials} == {6}


def test_the_canvas_is_empty_but_for_the_picture_and_alike_at_every_place():
    trials = [t for t in asked(suite_of()) if t.probe.probe_id == "thing-0000" and ("background", "black") in t.factors]
    images = [snapshots(t.segments[0].scenes[0], (0.5,))[0].astype(int) for t in trials]
    for trial, image in zip(trials, images, strict=True):
        row, column = (int(v) for v in dict(trial.factors)["cell"].split(","))
        cell = image[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32]
        rest = image.copy()
        rest[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32] = 0
        assert cell.max() > 100 and rest.max() < 12
    assert np.ptp([image.sum() for image in images]) < 0.02 * images[0].sum()


def test_backgrounds_differ_and_the_noisy_one_has_a_texture():
    by_ground = {}
    for trial in asked(suite_of()):
        if trial.probe.probe_id == "thing-0000" and trial.slot == 0:
            image = snapshots(trial.segments[0].scenes[0], (0.5,))[0].astype(float)
            by_ground[dict(trial.factors)["background"]] = image[40:, 40:]
    assert by_ground["black"].mean() < 2 < 120 < by_ground["grey"].mean() < 136
    assert by_ground["noise"].std() > 3 * by_ground["grey"].std()


def test_wrong_labels_share_neither_shape_nor_colour_with_the_right_one():
    for probe in canvas.probes(suite_of(), folder=Path()):
        words = set(probe.options[probe.gold].split()) - {"a"}
        assert len(probe.options) == 4 and not any(
            words & set(o.split()) for o in probe.options if o != probe.options[probe.gold]
        )


@pytest.mark.parametrize(
    ("rows", "more", "words"),
    [
        (8, "", "a cell needs 16 pixels a side, found 8"),
        (2, "backgrounds: [grey, grey]", "one stands twice"),
        (2, "prompt: {style: letters}", "scores the label itself"),
    ],
)
def test_a_canvas_that_cannot_be_asked_is_refused(rows, more, words):
    with pytest.raises(BadSuite, match=words):
        suite_of(rows, more)
