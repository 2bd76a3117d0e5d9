"""Patterns of cells that are planted come back, of every way of asking, and none is seldom called one."""

import numpy as np
import pytest

from vlbias import cellcheck
from vlbias.cellcheck import Count, Job, Setting
from vlbias.metrics import detection
from vlbias.prompts import prompt


def test_a_flat_detector_is_seldom_called_biased_and_its_precision_lies_in_its_intervals():
    found = cellcheck.count(Job(setting=Setting(kind="detector", side=3, items=16), planted="none", first=0, n=12))
    assert found.n == 12 and found.patterned <= 3 and found.named == 12 - found.patterned
    assert found.intervals == 12 * 8 and 0.85 <= found.inside / found.intervals <= 0.99


@pytest.mark.parametrize(
    ("kind", "items", "planted"),
    [
        ("detection", 60, "checkerboard"),
        ("detection", 60, "bottom_right"),
        ("canvas", 80, "left"),
        ("needle", 16, "left"),
    ],
)
def test_a_planted_pattern_is_named(kind, items, planted):
    setting = Setting(kind=kind, side=3, items=items)
    found = cellcheck.count(Job(setting=setting, planted=planted, first=1, n=1))
    assert (found.named, found.patterned) == (1, 1)


def test_what_a_detector_does_not_find_has_no_box_and_what_it_finds_has_a_score():
    asked = cellcheck.planned(Setting(kind="detector", side=3, items=24))
    shown = [prompt(trial, {}, asked.style) for trial in asked.trials]
    words = cellcheck.answers(shown, planted="none", graded=False, seed=1)
    boxes = [cellcheck.as_detector(one, rng=np.random.default_rng(k)) for k, one in enumerate(words)]
    found = [bool(one.detections) for one in boxes]
    assert 0.5 < np.mean(found) < 0.7
    assert all((one.box_xyxy is not None) == is_found for one, is_found in zip(boxes, found, strict=True))
    share = {
        (e.metric, e.cell): e.value
        for e in detection.measure(boxes, rng=np.random.default_rng(0))
        if e.metric in ("detection_accuracy", "detection_miss", "detection_wrong_place")
    }
    assert share["detection_accuracy", None] == pytest.approx(100 * np.mean(found))
    assert share["detection_miss", None] == pytest.approx(100 - 100 * np.mean(found))
    assert share["detection_wrong_place", None] == 0


def test_counts_of_chunks_are_one_count_and_make_one_row(monkeypatch):
    monkeypatch.setattr(cellcheck, "CHUNK", 2)
    settings = (Setting(kind="detector", side=3, items=4),)
    found = cellcheck.counted(settings, flat=3, planted=1)
    assert [(one.planted, one.n) for one in found] == [("none", 3), *((name, 1) for name in cellcheck.PLANTED)]
    text = cellcheck.page([*found, Count(setting="canvas", planted="none", n=7, named=6, patterned=1)])
    assert text.splitlines()[0] == "| | centre | bottom right | left | checkerboard | none, called biased |"
    assert f"| detector, 3 x 3, 4 items | {found[1].named} of 1 |" in text
    assert "| canvas |  |  |  |  | 1 of 7 |" in text
    assert f"{found[0].inside} of {found[0].intervals}." in text and found[0].intervals > 0
