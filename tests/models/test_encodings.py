"""Where a token stands, by rotation and by bias: against the papers' own formulas, written plainly."""

import math

import numpy as np
import pytest
import torch

from vlbias.models._encodings import alibi_bias, alibi_slopes, distances, rotated, t5_buckets


def test_the_slopes_of_eight_heads_are_those_of_the_paper() -> None:
    assert alibi_slopes(8).tolist() == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
    assert alibi_slopes(4).tolist() == [2**-2, 2**-4, 2**-6, 2**-8]


def test_slopes_of_six_heads_are_refused() -> None:
    with pytest.raises(ValueError, match="found 6"):
        alibi_slopes(6)


def test_alibi_takes_slope_times_distance_from_each_head() -> None:
    bias_BHLL = alibi_bias(distances(torch.tensor([[3, 4, 9]])), 4)
    assert bias_BHLL.shape == (1, 4, 3, 3)
    assert bias_BHLL[0, :, 2, 0].tolist() == [-6 / 2**k for k in (2, 4, 6, 8)]
    assert not bias_BHLL[0, :, 0].any()


def t5_bucket(distance: int) -> int:
    """The paper's rule for one distance, in whole numbers: 8^k <= (distance / 16)^16."""
    if distance < 16:
        return distance
    return 16 + max(k for k in range(16) if 8**k * 16**16 <= distance**16)


def test_t5_puts_every_distance_in_the_bucket_of_the_paper() -> None:
    found = t5_buckets(torch.arange(400)).tolist()
    assert found == [t5_bucket(distance) for distance in range(400)]
    assert found[15:17] == [15, 16] and found[127] == found[399] == 31 and set(found) == set(range(32))


def test_a_rotation_leaves_length_and_shows_the_distance_only() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(1, 2, 1, 16), torch.randn(1, 2, 1, 16)

    def product(at_query: int, at_key: int) -> torch.Tensor:
        turned = rotated(query, torch.tensor([[at_query]])), rotated(key, torch.tensor([[at_key]]))
        return (turned[0] * turned[1]).sum(-1)

    torch.testing.assert_close(rotated(query, torch.tensor([[37]])).norm(dim=-1), query.norm(dim=-1))
    torch.testing.assert_close(product(12, 5), product(107, 100), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(product(12, 5), product(12, 6), atol=1e-2)


def test_each_pair_of_dimensions_turns_by_its_own_angle() -> None:
    x_D = np.random.default_rng(0).standard_normal(8)
    pairs = [complex(x_D[d], x_D[d + 4]) * np.exp(1j * 7 * 10000.0 ** (-2 * d / 8)) for d in range(4)]
    expected = torch.tensor([p.real for p in pairs] + [p.imag for p in pairs])
    turned = rotated(torch.from_numpy(x_D)[None, None, None], torch.tensor([[7]]))
    torch.testing.assert_close(turned[0, 0, 0], expected, atol=1e-5, rtol=1e-5)
    assert math.isclose(float(turned.norm()), float(np.linalg.norm(x_D)), rel_tol=1e-5)
