"""The layout of a row, from its spans."""

import numpy as np
import pytest

from vlbias.attention.layout import SegmentLayout, Stretch, from_spans, stacked
from vlbias.errors import NotApplicable


def test_spans_give_prefix_segments_and_suffix() -> None:
    layout = from_spans([(3, 5), (5, 9)], np.arange(12)[None])
    assert (layout.start, layout.region, layout.end, layout.width) == (0, (3, 9), 12, 12)
    assert layout.lengths == layout.extents == (2, 4)
    assert (layout.region_position, layout.suffix_position) == (3, 9)


def test_an_extent_is_counted_in_positions_over_all_axes() -> None:
    positions_AL = np.array([[0, 1, 1, 1, 1, 4], [0, 1, 1, 2, 2, 4], [0, 1, 3, 1, 3, 4]])
    layout = from_spans([(1, 5)], positions_AL)
    assert layout.lengths == (4,) and layout.extents == (3,)


def test_tokens_between_segments_are_refused() -> None:
    with pytest.raises(NotApplicable, match=r"\[4, 5\)"):
        from_spans([(2, 4), (5, 7)], np.arange(9)[None])


def test_stacked_segments_end_just_before_the_suffix_and_keep_their_inner_positions() -> None:
    layout, positions_AL = stacked(*_row(np.arange(10)[None], [(2, 4), (4, 7)]))
    assert positions_AL.tolist() == [[0, 1, 5, 6, 4, 5, 6, 7, 8, 9]]
    assert layout.stacked and layout.suffix_position == 7 and layout.region_position == 2
    assert stacked(layout, positions_AL)[0] == layout


def test_stacking_moves_a_suffix_that_overlaps_a_long_clip() -> None:
    positions_AL = np.array(
        [[0, 1, 9, 2, 10, 3, 4]]
    )  # two clips of extent 9 after each of which the model advances by 1
    layout, moved_AL = stacked(*_row(positions_AL, [(1, 3), (3, 5)]))
    assert layout.extents == (9, 9) and layout.suffix_position == 19
    assert moved_AL.tolist() == [[0, 10, 18, 10, 18, 19, 20]]


def test_padding_stays_where_it_is() -> None:
    positions_AL = np.array([[1, 1, 0, 1, 2, 3, 4, 1]])
    layout = from_spans([(3, 4), (4, 6)], positions_AL, real=(2, 7))
    assert (layout.start, layout.end, layout.width) == (2, 7, 8)
    assert stacked(layout, positions_AL)[1].tolist() == [[1, 1, 0, 3, 2, 3, 4, 1]]


@pytest.mark.parametrize("spans", [[(3, 3), (3, 5)], [(5, 7), (3, 5)], [(3, 20)]])
def test_spans_that_cannot_be_are_refused(spans: list[tuple[int, int]]) -> None:
    with pytest.raises((ValueError, NotApplicable)):
        from_spans(spans, np.arange(9)[None])


def test_ranks_must_be_a_permutation() -> None:
    twice = tuple(Stretch(start=i, end=i + 1, position=i, extent=1, rank=0) for i in (0, 1))
    with pytest.raises(ValueError, match="ranks"):
        SegmentLayout(start=0, segments=twice, end=2, width=2, suffix_position=2)


def _row(positions_AL: np.ndarray, spans: list[tuple[int, int]]) -> tuple[SegmentLayout, np.ndarray]:
    return from_spans(spans, positions_AL), positions_AL
