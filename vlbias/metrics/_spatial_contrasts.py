"""Planned differences between parts of a grid."""

from __future__ import annotations

import numpy as np

from vlbias.metrics._blocks import Floats

CONTRASTS = ("centre_border", "top_bottom", "left_right", "first_last", "checkerboard")


def contrast_rows(grid_rc: tuple[int, int]) -> dict[str, Floats]:
    """Weights over the cells in raster order: the mean of some cells less the mean of others.

    The border is the outer ring and the centre all within it; the middle row or column of an odd grid is in neither
    half; first and last are the corner cells where raster order begins and ends. A grid without one of the
    two sides has no such contrast.
    """
    n_rows, n_columns = grid_rc
    row_C, column_C = np.repeat(np.arange(n_rows), n_columns), np.tile(np.arange(n_columns), n_rows)
    edge_C = (row_C == 0) | (row_C == n_rows - 1) | (column_C == 0) | (column_C == n_columns - 1)
    place_C = np.arange(n_rows * n_columns)
    even_C = (row_C + column_C) % 2 == 0
    sides = {
        "centre_border": (~edge_C, edge_C),
        "top_bottom": (row_C < n_rows // 2, row_C >= n_rows - n_rows // 2),
        "left_right": (column_C < n_columns // 2, column_C >= n_columns - n_columns // 2),
        "first_last": (place_C == 0, place_C == place_C[-1]),
        "checkerboard": (even_C, ~even_C),
    }
    return {
        name: one_C / one_C.sum() - other_C / other_C.sum()
        for name, (one_C, other_C) in sides.items()
        if one_C.any() and other_C.any()
    }
