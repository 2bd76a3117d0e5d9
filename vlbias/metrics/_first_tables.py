"""The tables behind the first maps of a run over cells, whichever kind of probe it asked."""

from __future__ import annotations

from collections.abc import Sequence

from vlbias.answers import Outcome
from vlbias.metrics._cell_table import CellTable
from vlbias.metrics._located import located
from vlbias.metrics._spatial_blocks import grid_blocks
from vlbias.metrics.canvas import loss_maps
from vlbias.metrics.needle import found_needles


def first_tables(outcomes: Sequence[Outcome]) -> list[CellTable]:
    """What is found by cell where places were asked for, else the loss on a canvas, needles, or right answers by cell.

    One table for each way of asking, with the items that have a usable answer in every cell; empty for a run that asks
    no cells.
    """
    if found := [one.table for one in located(outcomes)]:
        return found
    if losses := [one.table for one in loss_maps(outcomes) if one.items]:
        return losses
    needles = found_needles(outcomes)
    if needles is not None and needles.table is not None:
        return [needles.table]
    return [one.table for one in grid_blocks(outcomes)]
