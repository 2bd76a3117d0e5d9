"""PINE-lite: PINE with a cheaper importance, the score of a segment's mean key."""

from __future__ import annotations

from typing import Any

from vlbias.attention.contract import Pine
from vlbias.debias._inside import Inside, engine_patch, known_options

SHAPE = "inside"


def load(**options: Any) -> Inside:
    """PINE with the importance of a segment from its mean key: as order-free, near the cost of full attention.

    Ours, not published: it may sort segments otherwise than PINE does. Options: `order`, `engine`, `layers`,
    `heads`, `sharing`.
    """
    known_options("pine_lite", options)
    return engine_patch("pine_lite", Pine(importance="mean"), stack=True, options=options)
