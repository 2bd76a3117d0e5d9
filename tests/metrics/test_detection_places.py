"""Boxes and points said by a scripted model with a planted fault: the metric names the fault and its place."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vlbias.answers import Answer, Audit, Failure, asked
from vlbias.estimates import Estimate
from vlbias.metrics import detection
from vlbias.models import scripted
from vlbias.places import read_place
from vlbias.probes import detection as probe
from vlbias.prompts import Style, prompt
from vlbias.strictyaml import parse

AUDIT = Audit(prompt_sha256="x", segments=(), segment_spans=(), n_tokens=1, n_frames=1, batch_size=1)
SUITE = """
name: tiny
kind: detection
version: 1
description: x
licence: x
answer: {answer}
source: {{drawn: {{items: {items}, seed: 3, size_px: [160, 120], distractors: 2, look: {look}}}}}
"""


def outcomes(answer: str = "box", look: str = "shapes", items: int = 60, **script: object) -> list[Answer | Failure]:
    suite = parse(SUITE.format(answer=answer, look=look, items=items), where="x", model=probe.Suite, error=ValueError)
    trials = list(probe.trials(probe.probes(suite, folder=Path()), suite=suite, seed=1))
    model = scripted.load(**script)
    prompts = [prompt(t, {}, Style(style="cloze")) for t in trials]
    replies = model.generate(prompts, max_new_tokens=64)
    written_as = model.identity.box_format
    return [read_place(asked(t), r, t, AUDIT, box_format=written_as) for t, r in zip(trials, replies, strict=True)]


def measured(rows: list[Answer | Failure]) -> dict[object, Estimate]:
    found = detection.measure(rows, rng=np.random.default_rng(0))
    return {(e.metric, e.slot if e.cell is None else e.cell): e for e in found}


@pytest.mark.parametrize("planted", ["centre", "bottom_right", "left", "checkerboard", "none"])
def test_a_planted_spatial_bias_of_boxes_is_named(planted: str) -> None:
    script = {"accuracy": 0.6, "seed": 2} | ({} if planted == "none" else {"spatial": planted, "effect": 0.5})
    found = measured(outcomes(**script))
    assert found["detection_pattern", None].label == planted
    share = found["detection_accuracy", None]
    assert share.low < 60 < share.high and share.n == 540 and share.clusters == 60


def test_wrong_boxes_are_wrong_places_and_right_ones_are_tight() -> None:
    found = measured(outcomes(accuracy=0.7, items=24))
    shares = {k: found[f"detection_{k}", None].value for k in ("miss", "wrong_place", "off", "loose", "tight")}
    assert sum(shares.values()) == pytest.approx(100) and shares["miss"] == shares["off"] == 0
    assert shares["tight"] + shares["loose"] == pytest.approx(found["detection_accuracy", None].value)
    assert found["detection_iou", None].value == pytest.approx(shares["tight"] / 100, abs=0.05)


def test_a_pull_to_the_middle_shows_in_the_signed_errors_and_overlaps_of_the_border() -> None:
    found = measured(outcomes(accuracy=1.0, pull=0.1, items=24))
    assert (
        found["detection_error_right_hits", (1, 0)].value
        > 0.08
        > -0.08
        > found["detection_error_right_hits", (1, 2)].value
    )
    assert (
        found["detection_error_down_hits", (0, 1)].value
        > 0.05
        > -0.05
        > found["detection_error_down_hits", (2, 1)].value
    )
    assert abs(found["detection_error_right_hits", (1, 1)].value) < 0.02
    assert found["detection_iou", (0, 0)].high < found["detection_iou", (1, 1)].low
    assert found["detection_distance", (0, 0)].value > 3 * found["detection_distance", (1, 1)].value
    assert found["detection_accuracy_of_ring", 0].n == 24 * 8


def test_points_on_a_screen_are_right_inside_the_button_and_kinds_are_apart() -> None:
    rows = outcomes("point", "screen", 18, accuracy=0.8, box_format="qwen2_vl")
    found = measured(rows)
    truth = {a.asked.trial_id: [float(v) for v in dict(a.asked.factors)["target"].split(",")] for a in rows}
    inside = [truth[a.asked.trial_id][0] <= a.point_xy[0] <= truth[a.asked.trial_id][2]
              and truth[a.asked.trial_id][1] <= a.point_xy[1] <= truth[a.asked.trial_id][3] for a in rows]  # fmt: skip
    assert found["detection_accuracy", None].value == pytest.approx(100 * np.mean(inside))
    kinds = [e.task for e in detection.measure(rows, rng=np.random.default_rng(0)) if e.metric.endswith("of_kind")]
    assert kinds == ["point, 3x3, Detection: icon", "point, 3x3, Detection: text"]


def test_nothing_found_is_a_miss_and_a_failure_leaves_its_item_out() -> None:
    rows = outcomes(accuracy=1.0, items=8)
    none = replace(rows[0], box_xyxy=None)
    found = measured([none, *rows[1:]])
    assert (
        found["detection_miss", (0, 0)].value == pytest.approx(100 / 8) and found["detection_miss", (0, 1)].value == 0
    )
    assert found["detection_accuracy", (0, 0)].value == pytest.approx(100 * 7 / 8)
    assert "1 of 8 answers have no such value" in found["detection_iou", (0, 0)].notes
    lost = measured([Failure(asked=rows[0].asked, kind="parse", reason="x"), *rows[1:]])
    assert lost["detection_accuracy", (0, 0)].n == 7 and "1 of 8 items" in lost["detection_pattern", None].notes[-1]


def test_cells_pairs_and_flips_are_tested_without_resampling_and_luck_has_no_pattern() -> None:
    found = measured(outcomes(accuracy=0.6, seed=2, spatial="left", effect=0.5))
    q, pairs = found["detection_cochran_q", None], found["detection_pairs_apart", None]
    assert q.unit == "chi2, 8 df" and q.reference is not None and (q.reference.p_value or 1) < 1e-6
    assert (pairs.value or 0) > 3 and "row" in pairs.notes[0]
    flips = found["detection_flip_rate", None]
    assert flips.low is not None and flips.low < (flips.value or 0) <= 100 and flips.n == 60
    cells = [(r, c) for r in range(3) for c in range(3)]
    seen, luck = (
        np.array([found[name, cell].value for cell in cells])
        for name in ("detection_accuracy", "detection_accuracy_of_luck")
    )
    assert luck.mean() == pytest.approx(seen.mean()) and np.ptp(luck) < 0.6 * np.ptp(seen)
