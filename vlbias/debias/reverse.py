"""Reversed positions: the first segment has the positions of the last."""

from __future__ import annotations

from typing import Any

from vlbias.attention import patch_positions
from vlbias.debias._arguments import refuse_unknown
from vlbias.debias._inside import Inside, position_patch

SHAPE = "inside"


def load(**unknown: Any) -> Inside:
    """An ablation: causal order stays and positions turn round, which tells the two sources of position bias apart.

    It takes no options."""
    refuse_unknown("reverse", load, unknown)
    return position_patch("reverse", patch_positions.reverse)
