"""Tests whether places differ by turning them within clusters, with each place's sum read against its own spread."""

from __future__ import annotations

import numpy as np

from vlbias.metrics._blocks import Floats
from vlbias.metrics._resample import Resampling, p_at_least, rotations

TURNED = "places rotated or mirrored within clusters"


def place_test(excess_GP: Floats, *, drawn: Resampling) -> tuple[Floats, Floats]:
    """P-values [P], adjusted over the places (max-T), and the sums over clusters when places are turned, [draws, P].

    `excess_GP` are sums over each cluster of what a place has above the mean of the places. The statistic is the sum
    over the root of the sum of its squares, so that the level holds too where some places vary more than others, as
    when the answers to a question share their luck (Janssen 1997 on studentised permutation tests); unstudentised,
    8 % of such runs are false alarms.
    """
    turned_GMP = excess_GP[:, rotations(excess_GP.shape[1])]
    null_B2P = drawn.variants(np.concatenate([turned_GMP, turned_GMP**2], axis=2))
    null_BP, square_BP = np.split(null_B2P, 2, axis=1)
    largest_B = _studentised(null_BP, square_BP).max(axis=1)
    observed_P = _studentised(excess_GP.sum(axis=0), (excess_GP**2).sum(axis=0))
    return np.array([p_at_least(largest_B, t) for t in observed_P.tolist()]), null_BP


def _studentised(sum_P: Floats, square_P: Floats) -> Floats:
    """Without any excess in any cluster there is nothing to test, and the statistic is 0."""
    zero_P = square_P <= 1e-18
    return np.asarray(np.where(zero_P, 0.0, np.abs(sum_P) / np.sqrt(np.where(zero_P, 1.0, square_P))))
