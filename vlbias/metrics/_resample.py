"""Resampling that keeps clusters whole: the bootstrap over clusters and the permutation of slots within them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse, special

from vlbias.estimates import Reference
from vlbias.metrics._blocks import Floats, Ints

Whole: TypeAlias = npt.NDArray[np.integer[Any]]
BOOTSTRAP_DRAWS = 9_999
PERMUTATIONS = 9_999
CHUNK_NUMBERS = 2_000_000
KEPT_NUMBERS = 100_000_000
CLUSTERS_AT_A_TIME = 128
ROUNDING = 1e-9
PERMUTED = f"slots rotated or mirrored within clusters, {PERMUTATIONS} draws, every one where there are fewer"


class Resampling:
    """Draws for one metric. Tables of equally many clusters share their draws, so most of the work is done once.

    Sharing changes no single interval or p-value; it makes those of one metric move together, as their data do.
    """

    def __init__(
        self, rng: np.random.Generator, *, bootstraps: int = BOOTSTRAP_DRAWS, permutations: int = PERMUTATIONS
    ) -> None:
        self._rng, self._bootstraps, self._permutations = rng, bootstraps, permutations
        self._counts: dict[int, list[Whole]] = {}
        self._picks: dict[tuple[int, int], list[Whole]] = {}

    def sums(self, table_GK: Floats) -> Floats:
        """Sums of the columns over resampled clusters, [draws, K]: G clusters drawn with replacement."""
        n_clusters = len(table_GK)
        if n_clusters == 0:
            raise ValueError("a bootstrap over clusters needs one cluster or more, found none")
        if n_clusters in self._counts:
            counts: Iterator[Whole] | list[Whole] = self._counts[n_clusters]
        else:
            counts = _counts(n_clusters, self._bootstraps, self._rng)
            if n_clusters * self._bootstraps <= KEPT_NUMBERS:
                counts = self._counts[n_clusters] = list(counts)
        return np.concatenate([count_BG.astype(np.float64) @ table_GK for count_BG in counts])

    def means(self, sums_GP: Floats, n_G: Floats) -> Floats:
        """Means over the probes of resampled clusters, [draws, P]; cluster sizes vary with the draw."""
        drawn = self.sums(np.column_stack([sums_GP, n_G]))
        means: Floats = drawn[:, :-1] / drawn[:, -1:]
        return means

    def variants(self, table_GMD: Floats) -> Floats:
        """Sums over clusters of one variant each, drawn at random, [draws, D]; variant 0 is what was observed.

        Where M^G combinations are no more than the draws, each is taken once and what was observed is left out, so
        that (1 + b) / (1 + B) is the exact p-value.
        """
        n_clusters, n_variants, _ = table_GMD.shape
        if n_clusters * np.log(n_variants) <= np.log(self._permutations):
            every = np.indices((n_variants,) * n_clusters).reshape(n_clusters, -1).T[1:]
            return _picked(every, table_GMD)
        key = n_clusters, n_variants
        if key in self._picks:
            picks: Iterator[Whole] | list[Whole] = self._picks[key]
        else:
            picks = _picks(n_clusters, n_variants, self._permutations, self._rng)
            if n_clusters * self._permutations <= KEPT_NUMBERS:
                picks = self._picks[key] = list(picks)
        return np.concatenate([_picked(pick_BG, table_GMD) for pick_BG in picks])

    def curves(self, sums_GP: Floats) -> Floats:
        """Sums over clusters, [permutations, P], when the slots of each cluster are rotated or mirrored at random.

        All probes of a cluster move together, so permuting the sums of a cluster is permuting its probes.
        """
        return self.variants(sums_GP[:, rotations(sums_GP.shape[1])])


def bootstrap_sums(table_GK: Floats, *, rng: np.random.Generator, draws: int = BOOTSTRAP_DRAWS) -> Floats:
    """Sums of the columns over resampled clusters, [draws, K], for one table alone."""
    return Resampling(rng, bootstraps=draws).sums(table_GK)


def variant_sums(table_GMD: Floats, *, rng: np.random.Generator, draws: int = PERMUTATIONS) -> Floats:
    """Sums over clusters of one variant each, [draws, D], for one table alone; see `Resampling.variants`."""
    return Resampling(rng, permutations=draws).variants(table_GMD)


def widening(n_clusters: int) -> float:
    """How much a percentile interval is widened for few clusters: t against z, and G / (G - 1) in the variance."""
    # scipy.special, as scipy.stats gives the same but takes longer to import than a small run is measured in.
    return float(special.stdtrit(n_clusters - 1, 0.975) / special.ndtri(0.975) * np.sqrt(n_clusters / (n_clusters - 1)))


def percentile(
    drawn_B: Floats, value: float, *, n_clusters: int, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[float, float]:
    """The 95 % percentile interval, widened about `value` for few clusters and cut at `bounds`."""
    low, high = np.quantile(drawn_B, [0.025, 0.975])
    wide = widening(n_clusters)
    return (
        float(max(bounds[0], value - wide * max(0.0, value - low))),
        float(min(bounds[1], value + wide * max(0.0, high - value))),
    )


def bca(
    drawn_B: Floats, value: float, jackknife_G: Floats, *, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[float, float]:
    """The 95 % bias-corrected and accelerated interval (Efron 1987), widened about `value` for few clusters.

    `jackknife_G` is the statistic without each cluster in turn. We widen by `widening`, which he does not.
    """
    below = np.count_nonzero(drawn_B < value) + 0.5 * np.count_nonzero(drawn_B == value)
    bias = special.ndtri((below + 0.5) / (len(drawn_B) + 1))
    away_G = jackknife_G.mean() - jackknife_G
    square = float(away_G @ away_G)
    skew = 0.0 if square == 0.0 else float((away_G**3).sum()) / (6 * square**1.5)
    z = bias + special.ndtri([0.025, 0.975])
    low, high = np.quantile(drawn_B, special.ndtr(bias + z / (1 - skew * z)))
    wide = widening(len(jackknife_G))
    return (
        float(max(bounds[0], value - wide * max(0.0, value - low))),
        float(min(bounds[1], value + wide * max(0.0, high - value))),
    )


def sign_flips(score_GK: Floats, *, rng: np.random.Generator, draws: int = PERMUTATIONS) -> Floats:
    """Sums over clusters whose sign is flipped at random, [draws, K]: the null of paired differences."""
    return variant_sums(np.stack([score_GK, -score_GK], axis=1), rng=rng, draws=draws)


def mid_quantiles(values_B: Floats, levels: Sequence[float]) -> Floats:
    """The quantiles at `levels` of values that may be tied, [levels], ties counted half.

    A value stands at the share of values below it and half of those equal to it; between values the quantile is
    linear, outside it is the least or the greatest (Ma, Genton and Parzen 2011).
    """
    sorted_B = np.sort(values_B)
    slack = ROUNDING * max(1.0, float(np.abs(sorted_B[[0, -1]]).max()))
    first_V = np.flatnonzero(np.diff(sorted_B, prepend=-np.inf) > slack)
    count_V = np.diff(first_V, append=len(sorted_B))
    return np.asarray(np.interp(levels, (first_V + count_V / 2) / len(sorted_B), sorted_B[first_V]))


def exact_share(n_hit: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The Clopper-Pearson interval of a share, 0..1 (Clopper and Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = 0.0 if n_hit == 0 else float(special.betaincinv(n_hit, n - n_hit + 1, tail))
    high = 1.0 if n_hit == n else float(special.betaincinv(n_hit + 1, n - n_hit, 1 - tail))
    return low, high


def rotations(n_slots: int) -> Ints:
    """The 2 S rotations and mirrored rotations of the circle of S slots, [2 S, S]; the first changes nothing.

    They are a group, so permuting by them alone is exact where slots are exchangeable (Hemerik and Goeman 2018). Unlike
    all S! permutations they keep neighbours together, which holds the level when near slots answer alike.
    """
    place_S = np.arange(n_slots)
    shifted_SS = (place_S[:, None] + place_S[None, :]) % n_slots
    return np.concatenate([shifted_SS, shifted_SS[:, ::-1]])


def _counts(n_clusters: int, draws: int, rng: np.random.Generator) -> Iterator[Whole]:
    """How often each cluster is drawn, [some draws, G], as small whole numbers."""
    for size in _sizes(n_clusters, draws):
        pick_BG = rng.integers(0, n_clusters, size=(size, n_clusters))
        pick_BG += np.arange(size)[:, None] * n_clusters
        count_BG = np.bincount(pick_BG.reshape(-1), minlength=size * n_clusters).reshape(size, n_clusters)
        yield count_BG.astype(np.uint8 if count_BG.max() < 256 else np.int32)


def _picks(n_clusters: int, n_variants: int, draws: int, rng: np.random.Generator) -> Iterator[Whole]:
    kind = np.uint8 if n_variants <= 256 else np.uint16
    for size in _sizes(n_clusters, draws):
        yield rng.integers(0, n_variants, size=(size, n_clusters), dtype=kind)


def _sizes(n_clusters: int, draws: int) -> list[int]:
    step = max(1, CHUNK_NUMBERS // n_clusters)
    return [min(step, draws - start) for start in range(0, draws, step)]


def _picked(pick_BG: Whole, table_GMD: Floats) -> Floats:
    """Sums over clusters of the picked variants, [B, D], some clusters at a time: a small table stays in the cache."""
    draws, n_variants = len(pick_BG), table_GMD.shape[1]
    total_BD = np.zeros((draws, table_GMD.shape[2]))
    for start in range(0, len(table_GMD), CLUSTERS_AT_A_TIME):
        part_CMD, part_BC = (
            table_GMD[start : start + CLUSTERS_AT_A_TIME],
            pick_BG[:, start : start + CLUSTERS_AT_A_TIME],
        )
        width = len(part_CMD)
        index = (part_BC + n_variants * np.arange(width, dtype=np.int32)).astype(np.int32, copy=False).reshape(-1)
        bounds = np.arange(0, index.size + 1, width, dtype=np.int32)
        chosen = sparse.csr_array((np.ones(index.size), index, bounds), shape=(draws, width * n_variants))
        total_BD += chosen @ part_CMD.reshape(width * n_variants, -1)
    return total_BD


def p_at_least(null_B: Floats, observed: float) -> float:
    """The permutation p-value (1 + b) / (1 + B) of a statistic that is large under an effect; ties count against it."""
    slack = ROUNDING * max(1.0, abs(observed))
    return float((1 + np.count_nonzero(null_B >= observed - slack)) / (1 + len(null_B)))


def reference(null_B: Floats, *, p_value: float | None, method: str = PERMUTED) -> Reference:
    """The mean and the 95 % range of a statistic when position has no effect."""
    low, high = np.quantile(null_B, [0.025, 0.975])
    return Reference(mean=float(null_B.mean()), low=float(low), high=float(high), p_value=p_value, method=method)
