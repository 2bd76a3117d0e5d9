"""Average precision of zones: a detector that fails at the border is found to, and whole-image AP is as defined."""

import numpy as np
import pytest

from vlbias.metrics._detection import cells
from vlbias.metrics._zone_precision import Boxes, zone_precision


def boxes(centre_M2: np.ndarray, image_M: np.ndarray, score_M: np.ndarray | None = None) -> Boxes:
    half = np.array([0.04, 0.04])
    return Boxes(
        box_M4=np.concatenate([centre_M2 - half, centre_M2 + half], axis=1),
        image_M=image_M,
        category_M=np.zeros(len(image_M), dtype=np.intp),
        zone_M=cells(centre_M2, rows=1, columns=2),
        score_M=score_M,
    )


def test_a_zone_whose_things_are_missed_has_a_lower_precision_and_the_other_keeps_its_own() -> None:
    rng = np.random.default_rng(0)
    centre_T2 = np.stack([np.tile([0.25, 0.75], 60), rng.uniform(0.1, 0.9, 120)], axis=1)
    image_T = np.repeat(np.arange(60), 2)
    seen = (centre_T2[:, 0] < 0.5) | (np.arange(120) % 4 == 1)
    truth = boxes(centre_T2, image_T)
    said = boxes(centre_T2[seen], image_T[seen], rng.uniform(0.5, 1, int(seen.sum())))
    found = {(e.metric, e.slot): e for e in zone_precision(truth, said, task="columns", n_zones=2)}
    assert found["zone_average_precision_50", 0].value == 100
    half = found["zone_average_precision_50", 1]
    assert half.value == pytest.approx(50) and half.low < 50 < half.high < 80 and half.clusters == 60
    assert found["zone_average_precision_75", None].value == pytest.approx(75)


def test_a_false_detection_of_a_higher_score_costs_precision() -> None:
    centre_T2, image_T = np.array([[0.3, 0.5], [0.3, 0.5]]), np.array([0, 1])
    wrong = boxes(np.array([[0.3, 0.5], [0.3, 0.5], [0.1, 0.1]]), np.array([0, 1, 0]), np.array([0.5, 0.4, 0.9]))
    (first, *_, empty) = zone_precision(boxes(centre_T2, image_T), wrong, task="columns", n_zones=2)
    # Precision at each recall is 1/2, 2/3; made monotone both are 2/3.
    assert first.value == pytest.approx(100 * 2 / 3)
    assert empty.value is None and "no true box" in empty.notes[0]
