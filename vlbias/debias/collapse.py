"""BaPA: all tokens of a picture share one position."""

from __future__ import annotations

from typing import Any

from vlbias.attention import patch_positions
from vlbias.debias._arguments import refuse_unknown
from vlbias.debias._inside import Inside, position_patch

SHAPE = "inside"


def load(**unknown: Any) -> Inside:
    """BaPA (arXiv 2509.21984) without its tuning: an ablation, which may cost accuracy. It takes no options."""
    refuse_unknown("collapse", load, unknown)
    return position_patch("collapse", patch_positions.collapse, least=1)
