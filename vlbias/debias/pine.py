"""PINE: every segment sees every other, and the more important one stands nearer to whoever reads."""

from __future__ import annotations

from typing import Any

from vlbias.attention.contract import Pine
from vlbias.debias._inside import Inside, engine_patch, known_options

SHAPE = "inside"


def load(**options: Any) -> Inside:
    """PINE (arXiv 2407.01100), exact: the answer does not depend on the order of the segments.

    Importance is the published one: mean attention without positions, per head, per query segment and per token of
    the question. Options: `order`, `engine`, `layers`, `heads`, `sharing` (see `_inside`). With layers or heads
    left out the method is another one, and only `order=content` keeps it order-free.
    """
    known_options("pine", options)
    return engine_patch("pine", Pine(), stack=True, options=options)
