"""What a table of position embeddings, or an attention over a grid, says of places without any data.

Definitions after LOOPE (arXiv 2504.14386, its PESI metrics) and ConViT (arXiv 2103.10697, non-locality).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from vlbias.errors import BadInput
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Floats, Ints
from vlbias.metrics._resample import p_at_least, reference

SECTOR_RAD = np.pi / 4
STEADY = 0.01  # of a cosine: keeps the spread of a ring finite where its mean is nought
_DRAWS = 39


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The places of a grid in raster order: how far apart any two are, and in which sector one sees the other."""

    distance_NN: Floats
    sector_NN: Ints

    @property
    def ring_NN(self) -> Ints:
        """The distance as a whole number of patches."""
        return np.round(self.distance_NN).astype(np.intp)


def grid(rows: int, columns: int, *, sector_rad: float = SECTOR_RAD) -> Grid:
    """The grid of `rows` x `columns` patches; angles count from the right, upwards being positive."""
    y_N, x_N = (axis.ravel() for axis in np.mgrid[:rows, :columns])
    right_NN, up_NN = x_N[None] - x_N[:, None], y_N[:, None] - y_N[None]
    angle_NN = np.arctan2(up_NN, right_NN) % (2 * np.pi)
    n_sectors = round(2 * np.pi / sector_rad)
    # The small step keeps a place that lies on a border of sectors in the upper one in spite of rounding.
    sector_NN = np.floor(angle_NN / sector_rad + 1e-9).astype(np.intp) % n_sectors
    return Grid(distance_NN=np.hypot(right_NN, up_NN), sector_NN=sector_NN)


def undirected_monotonicity(cosine_NN: Floats, places: Grid) -> float:
    """M_U: the mean over centres of 1 - Spearman's correlation of radius and mean cosine there.

    0 to 2, and 2 where the cosine always falls with the radius.
    """
    mean_NR, _, used_NR = _rings(cosine_NN, places)
    radius_NR = np.broadcast_to(np.arange(mean_NR.shape[1], dtype=np.float64), mean_NR.shape)
    return float(1 - _spearman(radius_NR, mean_NR, used_NR).mean())


def directed_monotonicity(cosine_NN: Floats, places: Grid) -> float:
    """M_D: M_U within sectors of one direction, cell by cell, the centre left out; a sector of one cell counts as 0."""
    n_sectors = int(places.sector_NN.max()) + 1
    sectors = [(places.sector_NN == s) & (places.distance_NN > 0) for s in range(n_sectors)]
    rho_SN = np.stack([_spearman(places.distance_NN, cosine_NN, seen_NN) for seen_NN in sectors])
    return float(1 - rho_SN.mean())


def asymmetry(cosine_NN: Floats, places: Grid, *, steady: float = STEADY) -> float:
    """A_SU: the mean over centres and radii of spread / (|mean| + `steady`) of the cosines there; 0 is isotropic.

    LOOPE has no `steady` and no absolute value: over a random table, where means are about nought, its number can come
    out negative. `steady=0` with positive means is theirs.
    """
    mean_NR, spread_NR, used_NR = _rings(cosine_NN, places)
    ratio_NR = np.divide(spread_NR, np.abs(mean_NR) + steady, out=np.zeros_like(mean_NR), where=used_NR)
    return float((ratio_NR.sum(axis=1) / used_NR.sum(axis=1)).mean())


def estimates(table_ND: Floats, *, rows: int, columns: int, name: str, rng: np.random.Generator) -> list[Estimate]:
    """M_U, M_D and A_SU of one table; the reference is the same table with its cells at random places.

    Nothing is sampled, so there is no interval. BadInput when the table is no grid or holds a cell of zeros.
    """
    if len(table_ND) != rows * columns or min(rows, columns) < 2:
        raise BadInput(f"{name}: a table of {len(table_ND)} places is no grid of {rows} x {columns}")
    length_N = np.linalg.norm(table_ND, axis=1)
    if not np.isfinite(length_N).all() or (length_N == 0).any():
        raise BadInput(f"{name}: a place of the table is all zeros or not finite; it has no direction")
    places = grid(rows, columns)
    unit_ND = table_ND / length_N[:, None]
    cosine_NN = unit_ND @ unit_ND.T
    measures: dict[str, Callable[[Floats, Grid], float]] = {
        "undirected_monotonicity": undirected_monotonicity,
        "directed_monotonicity": directed_monotonicity,
        "asymmetry": asymmetry,
    }
    orders = [rng.permutation(len(table_ND)) for _ in range(_DRAWS)]
    out = []
    for metric, measure in measures.items():
        value = measure(cosine_NN, places)
        null_B = np.array([measure(cosine_NN[np.ix_(order, order)], places) for order in orders])
        sign = -1.0 if metric == "asymmetry" else 1.0
        p = p_at_least(sign * null_B, sign * value)
        out.append(
            Estimate(
                metric=metric,
                task=name,
                value=value,
                interval="not available: a property of the table, nothing is sampled",
                n=len(table_ND),
                reference=reference(null_B, p_value=p, method=f"cells at random places, {_DRAWS} draws"),
            )
        )
    return out


def non_locality(attention_HNN: Floats, *, rows: int, columns: int) -> Floats:
    """How far each head looks, in patches: sum over keys of attention times distance, mean over queries, [heads].

    Patches only: class tokens are cut away and rows sum to one again before. Uniform attention over 14 x 14 patches
    gives 7.281, so divide by `non_locality` of a uniform one to compare grids.
    """
    if attention_HNN.shape[1:] != (rows * columns,) * 2:
        raise BadInput(f"attention of shape {attention_HNN.shape} is not over a grid of {rows} x {columns}")
    total_HN = attention_HNN.sum(axis=-1)
    if (total_HN <= 0).any():
        raise BadInput("a patch attends to no patch; its look has no distance")
    share_HNN = attention_HNN / total_HN[..., None]
    return np.asarray((share_HNN * grid(rows, columns).distance_NN).sum(axis=-1).mean(axis=-1))


def _rings(cosine_NN: Floats, places: Grid) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """For each centre and radius: mean and spread of the cosines there, and whether there are any; [N, radii]."""
    n_rings = int(places.ring_NN.max()) + 1
    in_RNN = [places.ring_NN == r for r in range(n_rings)]
    n_NR = np.stack([m.sum(axis=1) for m in in_RNN], axis=1)
    safe_NR = np.maximum(n_NR, 1)
    mean_NR = np.stack([(cosine_NN * m).sum(axis=1) for m in in_RNN], axis=1) / safe_NR
    square_NR = np.stack([(cosine_NN**2 * m).sum(axis=1) for m in in_RNN], axis=1) / safe_NR
    return mean_NR, np.sqrt(np.maximum(square_NR - mean_NR**2, 0.0)), n_NR > 0


def _spearman(one_NK: Floats, other_NK: Floats, seen_NK: npt.NDArray[np.bool_]) -> Floats:
    """Spearman's correlation in each row over what is seen; 0 where that is less than two or constant."""
    n_N = seen_NK.sum(axis=1)
    # What is not seen ranks last, so it leaves the ranks of the others as they are.
    ranks = [rankdata(np.where(seen_NK, values_NK, np.inf), axis=1) for values_NK in (one_NK, other_NK)]
    first_NK, second_NK = (np.where(seen_NK, r_NK - (n_N[:, None] + 1) / 2, 0.0) for r_NK in ranks)
    scale_N = np.sqrt((first_NK**2).sum(axis=1) * (second_NK**2).sum(axis=1))
    rho_N = np.divide((first_NK * second_NK).sum(axis=1), scale_N, out=np.zeros(len(n_N)), where=scale_N > 0)
    return np.asarray(rho_N)
