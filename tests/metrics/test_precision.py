"""Average precision of a detector: where it is low, and that boxes without scores have none."""

import numpy as np
import pytest

from vlbias.answers import Answer, Asked, Failure
from vlbias.metrics import precision
from vlbias.records import Detection

SIDE = 3


def true_box(cell: int) -> tuple[float, float, float, float]:
    row, column = divmod(cell, SIDE)
    x, y = (column + 0.5) / SIDE, (row + 0.5) / SIDE
    return x - 0.1, y - 0.1, x + 0.1, y + 0.1


def answer(item: int, cell: int, found: tuple[Detection, ...] | None, asks: str = "box") -> Answer:
    row, column = divmod(cell, SIDE)
    told = {"asks": asks, "cell": f"{row},{column}", "grid": "3x3", "size_px": "90x90"}
    told["target"] = ",".join(map(str, true_box(cell)))
    asked = Asked(trial_id=f"{item}/{cell}", probe_id=f"p{item}", cluster_id=f"c{item:03d}", background_ids=(),
                  task="t", slot=cell, n_slots=9, n_options=0, gold=None, option_order=(),
                  factors=tuple(told.items()))  # fmt: skip
    return Answer(asked=asked, chosen=None, logprobs=None, level="generated", reply=None, audit=None,
                  box_xyxy=found[0].box_xyxy if found else None, detections=found)  # fmt: skip


def measured(rows):
    found = precision.measure(rows, rng=np.random.default_rng(0))
    return {(e.metric.removeprefix("detection_average_precision_"), e.cell or e.slot): e for e in found}


def seen(item: int, cell: int) -> bool:
    return cell % SIDE != 0 or item % 2 == 0


def detections(item: int, cell: int, score: float = 0.8) -> tuple[Detection, ...]:
    return (Detection(box_xyxy=true_box(cell), score=score),) if seen(item, cell) else ()


def test_a_column_in_which_things_are_missed_has_the_lower_precision() -> None:
    found = measured([answer(i, c, detections(i, c)) for i in range(40) for c in range(9)])
    assert [round(found["50_of_column", k].value) for k in range(3)] == [50, 100, 100]
    assert found["50", (1, 0)].value == pytest.approx(50) and found["50", (1, 1)].value == 100
    assert found["75", None].value == pytest.approx(100 * 5 / 6)
    edge = found["50_of_column", 0]
    assert edge.low < 50 < edge.high and edge.clusters == 40 and edge.n == 120
    assert found["50_of_ring", 1].value == 100 and found["50_of_row", 2].value == pytest.approx(100 * 5 / 6)


def test_a_false_box_of_a_higher_score_costs_precision_where_it_lies() -> None:
    wrong = Detection(box_xyxy=true_box(8), score=0.9)
    rows = [answer(i, c, (wrong, Detection(box_xyxy=true_box(c), score=0.8))) for i in range(4) for c in range(8)]
    rows += [answer(i, 8, (Detection(box_xyxy=true_box(8), score=0.8),)) for i in range(4)]
    found = measured(rows)
    assert found["50", (0, 0)].value == 100, "the false boxes lie elsewhere"
    assert found["50", (2, 2)].value == pytest.approx(100 * 4 / 36), "4 true ones come after 32 false ones"


def test_an_item_with_a_failed_cell_is_left_out_and_said_to_be() -> None:
    rows = [answer(i, c, detections(i, c)) for i in range(6) for c in range(9)]
    rows[0] = Failure(asked=rows[0].asked, kind="decode", reason="x")
    found = measured(rows)
    assert found["50", None].n == 45 and "1 of 6 items" in found["50", None].notes[-1]
    alone = precision.measure(rows[:9], rng=np.random.default_rng(0))
    assert len(alone) == 1 and alone[0].value is None


def test_boxes_without_scores_and_points_have_no_average_precision() -> None:
    assert measured([answer(0, c, None) for c in range(9)]) == {}
    assert measured([answer(0, c, detections(0, c), asks="point") for c in range(9)]) == {}


def test_a_detector_that_finds_nothing_has_a_precision_of_nought() -> None:
    found = measured([answer(i, c, ()) for i in range(3) for c in range(9)])
    assert found["50", None].value == 0 and found["75", (1, 1)].value == 0
