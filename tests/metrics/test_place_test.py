"""Places are tested by turning them within clusters, each against its own spread."""

from itertools import product

import numpy as np
import pytest

from vlbias.metrics._place_test import place_test
from vlbias.metrics._resample import Resampling, rotations


def test_a_small_excess_in_every_cluster_is_found_beside_a_place_that_varies_much():
    size_G = np.linspace(3.0, 6.0, 24) * np.where(np.arange(24) % 2, 1, -1)
    excess_GP = np.column_stack([size_G, np.full(24, 1.0), -size_G - 1.0, np.zeros(24)])
    p_P, null_BP = place_test(excess_GP, drawn=Resampling(np.random.default_rng(0)))
    assert p_P[1] < 0.01 < 0.5 < p_P[0]
    assert np.mean(np.abs(null_BP).max(axis=1) >= excess_GP.sum(axis=0)[1]) > 0.05  # unstudentised nothing is found


def test_with_few_clusters_the_p_values_count_every_turn():
    excess_GP = np.array([[2.0, -1.0, -1.0], [1.5, 0.5, -2.0], [1.0, 1.0, -2.0]])
    turned = excess_GP[:, rotations(3)]
    every = np.array([sum(turned[g, m] for g, m in enumerate(ms)) for ms in product(range(6), repeat=3)])
    square = np.array([sum(turned[g, m] ** 2 for g, m in enumerate(ms)) for ms in product(range(6), repeat=3)])
    t = np.abs(every) / np.sqrt(square)
    p_P, _ = place_test(excess_GP, drawn=Resampling(np.random.default_rng(0)))
    assert p_P == pytest.approx([np.mean(t.max(axis=1) >= t[0, place] - 1e-9) for place in range(3)])


def test_without_any_excess_nothing_is_found():
    p_P, _ = place_test(np.zeros((20, 4)), drawn=Resampling(np.random.default_rng(0)))
    assert p_P.tolist() == [1.0] * 4
