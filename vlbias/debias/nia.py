"""NIA: segments do not see each other, positions stay."""

from __future__ import annotations

from typing import Any

from vlbias.attention.contract import Nia
from vlbias.debias._inside import Inside, engine_patch, known_options

SHAPE = "inside"


def load(**options: Any) -> Inside:
    """No inter-segment attention with ordinary positions: the ablation of PINE's paper (arXiv 2407.01100).

    The question still reads the segments at their places, so it is `order=content` that makes it order-free. Options:
    `order`, `engine`, `layers`, `heads`, `sharing`.
    """
    known_options("nia", options)
    return engine_patch("nia", Nia(), stack=False, options=options)
