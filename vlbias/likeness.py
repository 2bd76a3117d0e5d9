"""Says how alike the bias of two runs is over slots, beside how alike it would be to itself with as much noise."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import stats

from vlbias.answers import Outcome, Tally, slots
from vlbias.errors import BadInput
from vlbias.estimates import Estimate, Likeness, Reference
from vlbias.metrics._blocks import Floats, blocks, gold_points, right_points
from vlbias.metrics._resample import PERMUTATIONS, bootstrap_sums, p_at_least, percentile

Bools: TypeAlias = npt.NDArray[np.bool_]
HALVINGS, GROUPS = 200, 20
FEWEST_CLUSTERS, FEWEST_SLOTS = 4, 3
KINDS = ("pearson", "spearman")
PERMUTED = f"slots of one of the two permuted, {PERMUTATIONS} draws"
JACKKNIFE = f"jackknife over {GROUPS} groups of source clips, t interval"


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A run's outcome in points over slots, summed by cluster: sums [G, P], numbers of probes [G], names [G]."""

    run_name: str
    sums_GP: Floats
    n_G: Floats
    cluster_G: tuple[str, ...]
    outcome: str

    @property
    def bias_P(self) -> Floats:
        """The bias vector: the mean of each slot less the mean of all."""
        curve_P = self.sums_GP.sum(axis=0) / self.n_G.sum()
        return np.asarray(curve_P - curve_P.mean())

    def on(self, n_slots: int) -> Curve:
        """The curve at `n_slots` places from the head to the question, linear between its slots."""
        own = self.sums_GP.shape[1]
        at = np.linspace(0, own - 1, n_slots)
        weights_PQ = np.maximum(0.0, 1 - np.abs(np.arange(own)[:, None] - at))
        return Curve(
            run_name=self.run_name,
            sums_GP=self.sums_GP @ weights_PQ,
            n_G=self.n_G,
            cluster_G=self.cluster_G,
            outcome=self.outcome,
        )


def curve(run_name: str, outcomes: Sequence[Outcome], *, by_probability: bool) -> Curve:
    """The curve of a run: accuracy, or the probability of the right option. Errors: BadInput without whole sweeps."""
    value = gold_points if by_probability else right_points
    mine: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if not isinstance(outcome, Tally):
            mine[outcome.asked.cluster_id].append(outcome)
    tables = {name: blocks(mine[name], value) for name in sorted(mine)}
    kept = {name: table for name, table in tables.items() if table.n}
    if len(kept) < FEWEST_CLUSTERS or slots(outcomes) < FEWEST_SLOTS:
        raise BadInput(
            f"{run_name}: {len(kept)} source clips have a probe that is answered at every slot, of "
            f"{slots(outcomes)} slots; a bias vector needs {FEWEST_CLUSTERS} clips and {FEWEST_SLOTS} slots"
        )
    return Curve(
        run_name=run_name,
        sums_GP=np.stack([table.values_NP.sum(axis=0) for table in kept.values()]),
        n_G=np.array([float(table.n) for table in kept.values()]),
        cluster_G=tuple(kept),
        outcome="probability of the right option" if by_probability else "accuracy",
    )


def vector(found: Curve, *, rng: np.random.Generator) -> tuple[Estimate, ...]:
    """The bias vector with bootstrap intervals over clusters, in points."""
    drawn = bootstrap_sums(np.column_stack([found.sums_GP, found.n_G]), rng=rng)
    drawn_BP = drawn[:, :-1] / drawn[:, -1:]
    drawn_BP = drawn_BP - drawn_BP.mean(axis=1, keepdims=True)
    out = []
    for slot, value in enumerate(map(float, found.bias_P)):
        low, high = percentile(drawn_BP[:, slot], value, n_clusters=len(found.n_G))
        out.append(
            Estimate(
                metric="bias_vector",
                slot=slot,
                value=value,
                unit="points",
                low=low,
                high=high,
                interval="percentile bootstrap over source clips",
                n=int(found.n_G.sum()),
                clusters=len(found.n_G),
                notes=(found.outcome,),
            )
        )
    return tuple(out)


def likeness(first: Curve, second: Curve, *, rng: np.random.Generator) -> Likeness:
    """How alike two bias vectors are, from halves of the source clips that share no clip.

    Source clips are halved at random; the vector of one run on one half is correlated with that of the other run on
    the other half, and the mean over 200 halvings is told. No clip enters both sides, so what two runs of one suite
    share by its clips does not look like a shared bias. The ceiling is the geometric mean of what each run reaches with
    itself in the same way (Spearman 1904): two runs of one true vector come out at the ceiling, not at 1. It is None
    where a run is not like itself, as one without bias.
    """
    n_slots = min(first.sums_GP.shape[1], second.sums_GP.shape[1])
    pair = (first.on(n_slots), second.on(n_slots))
    halves = _Halves.of(pair, rng=rng)
    found = {kind: _estimate(kind, halves, pair, rng=rng) for kind in KINDS}
    ceilings = {kind: _ceiling(kind, halves, pair) for kind in KINDS}
    return Likeness(
        first=first.run_name,
        second=second.run_name,
        n_slots=n_slots,
        pearson=found["pearson"],
        spearman=found["spearman"],
        pearson_ceiling=ceilings["pearson"],
        spearman_ceiling=ceilings["spearman"],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Halves:
    """Halvings of source clips: `side_RU[r, u]` says whether clip u is in the first half, `group_U` deals clips out."""

    place: dict[str, int]
    side_RU: Bools
    group_U: npt.NDArray[np.int_]

    @classmethod
    def of(cls, pair: tuple[Curve, Curve], *, rng: np.random.Generator) -> _Halves:
        names = sorted({*pair[0].cluster_G, *pair[1].cluster_G})
        halves = cls(
            place={name: k for k, name in enumerate(names)},
            side_RU=rng.random((HALVINGS, len(names))).argsort(axis=1) < len(names) // 2,
            group_U=rng.permutation(len(names)) % GROUPS,
        )
        mine = [halves.side_RU[:, halves.of_run(run)] for run in pair]
        both_R = np.all([side.any(axis=1) & ~side.all(axis=1) for side in mine], axis=0)
        return cls(place=halves.place, side_RU=halves.side_RU[both_R], group_U=halves.group_U)

    def of_run(self, run: Curve) -> list[int]:
        return [self.place[name] for name in run.cluster_G]

    def match(self, kind: str, one: Curve, two: Curve, *, without: int | None = None) -> Floats | None:
        """[P, P]: mean products of both standardised vectors, of halves that share no clip; the trace is their
        correlation. None where a vector does not vary."""
        kept_U = np.ones(len(self.place), dtype=bool) if without is None else self.group_U != without
        products = []
        for first, second in ((self.side_RU, ~self.side_RU), (~self.side_RU, self.side_RU)):
            a_RP, b_RP = self._unit(kind, one, first & kept_U), self._unit(kind, two, second & kept_U)
            if a_RP is None or b_RP is None:
                return None
            products.append(a_RP.T @ b_RP / len(a_RP))
        return np.asarray(np.mean(products, axis=0))

    def _unit(self, kind: str, run: Curve, side_RU: Bools) -> Floats | None:
        side_RG = side_RU[:, self.of_run(run)].astype(np.float64)
        mean_RP: Floats = side_RG @ run.sums_GP / np.maximum(side_RG @ run.n_G, 1e-9)[:, None]
        if kind == "spearman":
            mean_RP = stats.rankdata(mean_RP, axis=1)
        mean_RP = mean_RP - mean_RP.mean(axis=1, keepdims=True)
        length_R1 = np.linalg.norm(mean_RP, axis=1, keepdims=True)
        return None if (length_R1 < 1e-9).any() else np.asarray(mean_RP / length_R1)


def _estimate(kind: str, halves: _Halves, pair: tuple[Curve, Curve], *, rng: np.random.Generator) -> Estimate:
    match_PP = halves.match(kind, *pair)
    if match_PP is None:
        return Estimate(metric=f"likeness_{kind}", notes=("the curve of one of the runs does not vary over slots",))
    value, n_slots = float(np.trace(match_PP)), len(match_PP)
    left = [halves.match(kind, *pair, without=g) for g in np.unique(halves.group_U).tolist()]
    without = np.array([np.trace(m) for m in left if m is not None])
    variance = (len(without) - 1) / len(without) * float(((without - without.mean()) ** 2).sum())
    half = math.sqrt(variance) * float(stats.t.ppf(0.975, len(without) - 1))
    orders = rng.permuted(np.tile(np.arange(n_slots), (PERMUTATIONS, 1)), axis=1)
    null_B = match_PP[np.arange(n_slots), orders].sum(axis=1)
    low, high = map(float, np.quantile(null_B, [0.025, 0.975]))
    return Estimate(
        metric=f"likeness_{kind}",
        value=value,
        low=max(-1.0, value - half),
        high=min(1.0, value + half),
        interval=JACKKNIFE,
        n=n_slots,
        clusters=len(halves.place),
        reference=Reference(
            mean=float(null_B.mean()), low=low, high=high, p_value=p_at_least(null_B, value), method=PERMUTED
        ),
    )


def _ceiling(kind: str, halves: _Halves, pair: tuple[Curve, Curve]) -> float | None:
    own = [halves.match(kind, run, run) for run in pair]
    traces = [float(np.trace(m)) for m in own if m is not None]
    return math.sqrt(traces[0] * traces[1]) if len(traces) == 2 and min(traces) > 0 else None
