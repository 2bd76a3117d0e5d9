"""Shuffled positions: segments have each other's positions, in an order of chance."""

from __future__ import annotations

from typing import Any

from vlbias.attention import patch_positions
from vlbias.debias._arguments import at_least, refuse_unknown
from vlbias.debias._inside import Inside, position_patch

SHAPE = "inside"


def load(*, seed: int = 0, **unknown: Any) -> Inside:
    """An ablation: causal order stays, positions are dealt by chance, the same way for every prompt of one length."""
    refuse_unknown("shuffle", load, unknown)
    at_least("shuffle", "seed", seed, low=0)
    return position_patch("shuffle", patch_positions.shuffle(seed))
