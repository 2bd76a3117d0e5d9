import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlbias.errors import BadInput
from vlbias.metrics import _detection as d

BOX = np.array([[0.2, 0.2, 0.6, 0.4]])
NONE = np.full((1, 4), np.nan)


def test_overlap_is_the_share_of_the_union() -> None:
    other = np.array([[0.4, 0.2, 0.8, 0.4]])
    assert d.iou(BOX, other)[0] == pytest.approx(1 / 3) and d.iou(BOX, BOX)[0] == 1
    assert d.iou(BOX, BOX + 0.5)[0] == 0 and np.isnan(d.iou(NONE, BOX)[0])
    with pytest.raises(BadInput, match="Is it xywh"):
        d.iou(np.array([[0.5, 0.5, 0.2, 0.2]]), BOX)


@given(st.lists(st.floats(0, 0.9), min_size=4, max_size=4), st.floats(-0.5, 0.5))
def test_overlap_is_symmetric_and_moves_with_both_boxes(corners: list[float], shift: float) -> None:
    one = np.array([[corners[0], corners[1], corners[0] + 0.3, corners[1] + 0.2]])
    two = np.array([[corners[2], corners[3], corners[2] + 0.1, corners[3] + 0.4]])
    assert d.iou(one, two)[0] == pytest.approx(d.iou(two, one)[0])
    assert d.iou(one + shift, two + shift)[0] == pytest.approx(d.iou(one, two)[0], abs=1e-9)


def test_a_point_on_the_edge_is_inside_and_no_point_is_neither() -> None:
    points = np.array([[0.2, 0.4], [0.6001, 0.3], [np.nan, np.nan]])
    got = d.within(points, np.repeat(BOX, 3, axis=0))
    assert got[:2].tolist() == [1, 0] and np.isnan(got[2])


def test_distances_are_in_diagonals_of_the_image_and_errors_in_sides_of_the_box() -> None:
    point = np.array([[0.6, 0.4]])
    assert d.signed_error(point, BOX)[0].tolist() == pytest.approx([0.5, 0.5])
    away = d.centre_distance(point, BOX, image_wh_px=np.array([[300.0, 400.0]]))
    assert away[0] == pytest.approx(np.hypot(60, 40) / 500)


def test_every_prediction_has_one_kind_of_error() -> None:
    found = d.error_kinds(np.array([np.nan, 0.0, 0.0999, 0.1, 0.4999, 0.5, 0.7999, 0.8, 1.0]))
    assert found == ("miss", "wrong_place", "wrong_place", "off", "off", "loose", "loose", "tight", "tight")
    assert np.isnan(d.accuracy_at(np.array([np.nan]), 0.5)[0])
    assert d.accuracy_at(np.array([0.5, 0.49]), 0.5).tolist() == [1, 0]


def test_rings_are_inset_by_tenths_and_split_the_image_as_zoneeval_does() -> None:
    points = np.array([[0.05, 0.5], [0.1, 0.5], [0.5, 0.75], [0.5, 0.5], [1.0, 1.0]])
    assert d.rings(points).tolist() == [0, 1, 2, 4, 0]
    grid = (np.stack(np.meshgrid(np.arange(200), np.arange(200)), -1).reshape(-1, 2) + 0.5) / 200
    shares = np.bincount(d.rings(grid), minlength=5) / len(grid)
    assert shares == pytest.approx([0.36, 0.28, 0.2, 0.12, 0.04])


def test_bands_and_cells_are_equal_and_raster_ordered() -> None:
    points = np.array([[0.0, 0.0], [0.99, 0.1], [0.4, 1.0]])
    assert d.cells(points, rows=3, columns=3).tolist() == [0, 2, 7]
    assert d.bands(points, count=4, axis=0).tolist() == [0, 3, 1]
    with pytest.raises(BadInput, match="zones need points in 0..1"):
        d.rings(np.array([[0.5, 1.1]]))


def test_average_precision_follows_its_definition_and_is_none_without_a_true_box() -> None:
    score, right = np.array([0.9, 0.8, 0.7, 0.6]), np.array([1.0, 0, 1, 0])
    assert d.average_precision(score, right, n_true=2) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert d.average_precision(score, right, n_true=4) == pytest.approx(0.25 * 1 + 0.25 * 2 / 3)
    assert d.average_precision(score, np.zeros(4), n_true=0) is None
    assert d.average_precision(np.array([]), np.array([]), n_true=3) == 0
    with pytest.raises(BadInput, match="each box is taken once"):
        d.average_precision(score, right, n_true=1)


def test_equal_scores_enter_together_whatever_their_order() -> None:
    score = np.ones(4)
    found = {d.average_precision(score, np.array(r, float), n_true=1) for r in ([1, 0, 0, 0], [0, 0, 0, 1])}
    assert found == {0.25}


def test_each_true_box_is_taken_once_by_the_best_score() -> None:
    boxes = np.repeat(BOX, 3, axis=0)
    assert d.take_boxes(np.array([0.1, 0.9, 0.5]), boxes, BOX).tolist() == [0, 1, 0]
    assert d.take_boxes(np.array([0.1]), BOX + 0.3, BOX).tolist() == [0]


def test_attention_in_a_box_counts_the_covered_part_of_a_patch() -> None:
    even = np.ones((10, 10))
    assert d.in_box_mass(even, (0.25, 0.0, 0.5, 1.0)) == pytest.approx(0.25)
    peak = np.zeros((10, 10))
    peak[3, 4] = 1.0
    assert d.peak_offset(peak, (0.35, 0.25, 0.55, 0.45)) == pytest.approx(0)
    assert d.in_box_mass(peak, (0.4, 0.3, 0.45, 0.4)) == pytest.approx(0.5)
    with pytest.raises(BadInput, match="positive sum"):
        d.in_box_mass(np.zeros((2, 2)), (0, 0, 1, 1))
