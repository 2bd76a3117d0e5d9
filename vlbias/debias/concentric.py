"""CCA: the tokens of a picture stand on rings around its centre."""

from __future__ import annotations

from typing import Any

from vlbias.attention import patch_positions
from vlbias.debias._arguments import refuse_unknown
from vlbias.debias._inside import Inside, position_patch

SHAPE = "inside"


def load(**unknown: Any) -> Inside:
    """Concentric positions (CCA, arXiv 2410.15926) without training or mask: an ablation. It takes no options."""
    refuse_unknown("concentric", load, unknown)
    return position_patch("concentric", patch_positions.concentric, least=1)
