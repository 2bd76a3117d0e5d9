"""Tables of position embeddings against known ones, and how far heads look."""

import numpy as np
import pytest

from vlbias.errors import BadInput
from vlbias.metrics import _static_pe

SIDE, WIDTH = 14, 768
GILBERT = (
    "RDLDDRURDRUULURRDRURDDDLULDDDRURDDDLULDLLURUULDLULDDRDLDDRURRDLDRDLLULDDDRURDRURDRURDRUUULDLLURULU"
    "RRDRURDRURDDDLULDDDRURDRURDRUUULDLUUURDRUULURUULDLULDDRDLLULDLUUURDRUUULDLUUURDRURRDLDDRURDRUULUR"
)
PLACES = _static_pe.grid(SIDE, SIDE)


def waves(position_N: np.ndarray, width: int) -> np.ndarray:
    angle_ND = position_N[:, None] * 10_000.0 ** (-np.arange(width // 2) / (width // 2))
    return np.concatenate([np.sin(angle_ND), np.cos(angle_ND)], axis=1)


def raster() -> np.ndarray:
    return waves(np.arange(SIDE**2, dtype=float), WIDTH)


def two_axes() -> np.ndarray:
    y_N, x_N = (axis.ravel().astype(float) for axis in np.mgrid[:SIDE, :SIDE])
    return np.concatenate([waves(x_N, WIDTH // 2), waves(y_N, WIDTH // 2)], axis=1)


def along_gilberts_curve() -> np.ndarray:
    """The table whose places are counted along a generalised Hilbert curve over 14 x 14, here as its moves."""
    steps = {"R": (1, 0), "L": (-1, 0), "D": (0, 1), "U": (0, -1)}
    xy = np.cumsum([(0, 0), *(steps[move] for move in GILBERT)], axis=0)
    position_N = np.empty(SIDE**2)
    position_N[xy[:, 1] * SIDE + xy[:, 0]] = np.arange(SIDE**2)
    return waves(position_N, WIDTH)


def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(SIDE**2, WIDTH))


def cosines(table_ND: np.ndarray) -> np.ndarray:
    unit_ND = table_ND / np.linalg.norm(table_ND, axis=1, keepdims=True)
    return unit_ND @ unit_ND.T


@pytest.mark.parametrize(
    ("table", "undirected", "directed", "spread"),
    [
        (raster, 1.957, 1.6765, 0.124),
        (along_gilberts_curve, 1.967, 1.5215, 0.094),
        (two_axes, 1.999, 1.737, 0.028),
        (noise, 1.199, 1.004, None),
    ],
)
def test_known_tables_have_their_known_values(table, undirected, directed, spread):
    cosine_NN = cosines(table())
    assert _static_pe.undirected_monotonicity(cosine_NN, PLACES) == pytest.approx(undirected, abs=6e-4)
    assert _static_pe.directed_monotonicity(cosine_NN, PLACES) == pytest.approx(directed, abs=6e-4)
    if spread is not None:
        assert _static_pe.asymmetry(cosine_NN, PLACES, steady=0.0) == pytest.approx(spread, abs=6e-4)


def test_asymmetry_of_a_random_table_stays_positive():
    assert _static_pe.asymmetry(cosines(noise()), PLACES) > 1.0


def test_a_table_that_knows_places_stands_out_of_its_shuffled_self_and_noise_does_not():
    rng = np.random.default_rng(1)
    known = _static_pe.estimates(two_axes(), rows=SIDE, columns=SIDE, name="pe", rng=rng)
    assert all(e.reference is not None and e.reference.p_value == pytest.approx(0.025) for e in known)
    blind = _static_pe.estimates(noise(), rows=SIDE, columns=SIDE, name="pe", rng=rng)
    assert all(e.reference is not None and e.reference.p_value > 0.025 for e in blind)
    assert {e.value is not None and e.low is None for e in known} == {True}


def test_a_table_that_is_no_grid_or_has_an_empty_place_is_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(BadInput, match="197 places is no grid of 14 x 14"):
        _static_pe.estimates(np.ones((197, 4)), rows=14, columns=14, name="pe", rng=rng)
    with pytest.raises(BadInput, match="all zeros"):
        _static_pe.estimates(np.zeros((4, 4)), rows=2, columns=2, name="pe", rng=rng)


@pytest.mark.parametrize(("side", "far"), [(14, 7.281), (16, 8.326)])
def test_uniform_attention_looks_as_far_as_the_mean_distance_and_identity_nowhere(side, far):
    n = side**2
    heads_HNN = np.stack([np.full((n, n), 1 / n), np.eye(n)])
    assert _static_pe.non_locality(heads_HNN, rows=side, columns=side) == pytest.approx([far, 0.0], abs=6e-4)


def test_attention_to_what_is_no_patch_does_not_count():
    n = 16
    half_HNN = np.full((1, n, n), 0.5 / n)  # the other half goes to a class token that was cut away
    whole_HNN = np.full((1, n, n), 1 / n)
    near = [_static_pe.non_locality(a, rows=4, columns=4)[0] for a in (half_HNN, whole_HNN)]
    assert near[0] == pytest.approx(near[1])
    with pytest.raises(BadInput, match="attends to no patch"):
        _static_pe.non_locality(np.zeros((1, n, n)), rows=4, columns=4)
