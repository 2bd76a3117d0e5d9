"""Proves corrections: the same held-out probes before and after, paired, with intervals and adjusted p-values."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from vlbias.answers import Answer, Failure, Outcome
from vlbias.errors import BadInput
from vlbias.estimates import Change, Estimate, MethodProof
from vlbias.metrics import flips
from vlbias.metrics._blocks import Blocks, Floats, blocks, gold_points, right_or_wrong, right_points
from vlbias.metrics._blocks import rows as single
from vlbias.metrics._located import as_found
from vlbias.metrics._resample import PERMUTATIONS, bootstrap_sums, p_at_least, percentile

METHOD = f"vanilla and corrected swapped within clusters, {PERMUTATIONS} draws; percentile bootstrap over clusters"
FEWEST_ANSWERED = 0.5
Position: TypeAlias = Literal["slot", "option place", "side", "turn"]
SHOWN: Mapping[str, Position] = {"shown": "side", "quarters": "turn"}
NO_BOUNDS = (-np.inf, np.inf)
BOUNDS = {"accuracy": (0.0, 100.0), "gap": (-100.0, 100.0), "head_minus_tail": (-100.0, 100.0)}
Rows = Sequence[Answer | Failure]


def gap_weights(fitting: Sequence[Outcome], *, n_slots: int) -> Floats:
    """The contrast that is the gap: the best third of slots less the worst third, as ranked on the fitting probes.

    Slots are ranked by the probability of the right option where there is one, else by accuracy. The probes that rank
    the slots are not those that the gap is measured on, so the gap of a model without bias is 0 on average.
    """
    if n_slots < 2:
        raise BadInput("debias: the run has one slot, so there is no gap between slots to close")
    for value in (gold_points, right_points):
        found = blocks(fitting, value)
        if found.n:
            curve_P = found.values_NP.mean(axis=0)
            order = np.argsort(curve_P, kind="stable")
            third = max(1, n_slots // 3)
            weights_P = np.zeros(n_slots)
            weights_P[order[-third:]], weights_P[order[:third]] = 1 / third, -1 / third
            return weights_P
    raise BadInput("debias: no fitting probe has a right option and an answer at every slot; run more probes")


def by_place(outcomes: Sequence[Outcome]) -> bool:
    """Whether places of the right option are compared and not slots: one slot, and options in more than one order."""
    places: dict[str, set[int]] = defaultdict(set)
    for one in single(outcomes):
        if one.asked.n_slots > 1:
            return False
        if one.asked.gold is not None:
            places[one.asked.probe_id].add(one.asked.option_order.index(one.asked.gold))
    return any(len(found) > 1 for found in places.values())


def at_places(rows: Rows) -> list[Answer | Failure]:
    """The rows with the displayed place of the right option in place of the slot; those without one are left out."""
    labelled = [(row, row.asked.gold) for row in rows if row.asked.gold is not None]
    return [
        replace(row, asked=replace(row.asked, slot=row.asked.option_order.index(gold), n_slots=row.asked.n_options))
        for row, gold in labelled
    ]


@dataclass(frozen=True, kw_only=True)
class Places:
    """What curves, gaps and flips of a run go over, and how its rows are read for that.

    A *side* is where a thing is shown against another, a *turn* the quarters that a figure is turned by; `names` are
    theirs and `factor` tells them.
    """

    position: Position
    names: tuple[str, ...] = ()
    factor: str | None = None

    def seen(self, rows: Rows) -> list[Answer | Failure]:
        """The rows as they are compared."""
        if self.factor is not None:
            return at_shown(rows, self.factor, self.names)
        return at_places(rows) if self.position == "option place" else as_found(rows)


def places(outcomes: Sequence[Outcome]) -> Places:
    """Sides or turns where each item is shown in several and there is one slot; else slots or places of options."""
    told = [dict(one.asked.factors) for one in single(outcomes) if one.asked.n_slots == 1]
    for factor, position in SHOWN.items():
        shown: dict[str, set[str]] = defaultdict(set)
        for one in told:
            if factor in one and "item" in one:
                shown[one["item"]].add(one[factor])
        names = tuple(sorted(set().union(*shown.values())))
        if len(names) > 1 and set(names) in shown.values():
            return Places(position=position, names=names, factor=factor)
    return Places(position="option place" if by_place(outcomes) else "slot")


def at_shown(rows: Rows, factor: str, names: Sequence[str]) -> list[Answer | Failure]:
    """The rows with the side or turn as slot, all questions of one form about one item as one probe.

    Only right and wrong are left of what was chosen. Forms that are not asked in all of them are in no complete probe.
    """
    out = []
    for row in rows:
        told = dict(row.asked.factors)
        if row.asked.gold is not None and told.get(factor) in names and "item" in told:
            one = f"{told['item']}/{told.get('form', '')}"
            asked = replace(row.asked, probe_id=one, slot=names.index(told[factor]), n_slots=len(names))
            out.append(right_or_wrong(row, asked, right=isinstance(row, Answer) and row.correct))
    return out


def complete(rows: Rows) -> int:
    """How many probes have a right option and an answer at every slot."""
    return blocks(rows, right_points).n


def unproved(text: str, rows: Rows, *, n_vanilla: int) -> str | None:
    """Why a method cannot stand beside the others: it answers less than half of the probes that vanilla does.

    Methods are compared on the probes that all answered, so one that fails everywhere would leave none.
    """
    n_own = complete(rows)
    if n_own >= n_vanilla * FEWEST_ANSWERED:
        return None
    reasons = Counter(row.reason for row in rows if isinstance(row, Failure))
    most = f"; most often: {reasons.most_common(1)[0][0]}" if reasons else ""
    return f"{text}: not proved: it answers {n_own} of {n_vanilla} held-out probes at every slot{most}"


def head_tail_weights(n_slots: int) -> Floats:
    """The first third of slots less the last third."""
    third = max(1, n_slots // 3)
    weights_P = np.zeros(n_slots)
    weights_P[:third], weights_P[-third:] = 1 / third, -1 / third
    return weights_P


def prove(
    vanilla: Rows, corrected: Mapping[str, Rows], *, gap_P: Floats, rng: np.random.Generator
) -> dict[str, MethodProof]:
    """The change that each method makes, over the probes that vanilla and all methods answered at every slot.

    Accuracy and gaps are in points. A difference's p-value swaps vanilla and corrected within clusters; it is adjusted
    over the methods (Holm 1979). A reduction is 1 - |gap after| / |gap before|; it is None where the gap before is not
    different from 0, because then there is nothing to reduce.
    """
    kept = _common([vanilla, *corrected.values()])
    tables = [_table(rows, kept) for rows in (vanilla, *corrected.values())]
    n_G = tables[0].sums()[1]
    if len(n_G) < 2:
        raise BadInput(
            f"debias: {len(kept)} held-out probes of {len(n_G)} clusters are complete, it needs two clusters"
        )
    sums = [t.sums()[0] for t in tables]
    drawn = bootstrap_sums(np.column_stack([*sums, n_G]), rng=rng)
    swaps_BG = rng.integers(0, 2, size=(PERMUTATIONS, len(n_G))).astype(np.float64)
    n_slots = len(gap_P)
    curves_BP = [drawn[:, k * n_slots : (k + 1) * n_slots] / drawn[:, -1:] for k in range(len(sums))]
    statistics = {
        "accuracy": lambda c: np.asarray(c.mean(axis=-1)),
        "gap": lambda c: np.asarray(c @ gap_P),
        "head_minus_tail": lambda c: np.asarray(c @ head_tail_weights(n_slots)),
    }
    flipped = _flip_rate(vanilla, kept, rng=rng)
    found: dict[str, MethodProof] = {}
    for k, (name, rows) in enumerate(corrected.items(), start=1):
        pair = Pair(sums[0], sums[k], curves_BP[0], curves_BP[k], swaps_BG, n_G)
        found[name] = MethodProof(
            method=name,
            n=int(n_G.sum()),
            clusters=len(n_G),
            changes={s: pair.change(of, bounds=BOUNDS.get(s, NO_BOUNDS)) for s, of in statistics.items()},
            reduction=pair.reduction(statistics["gap"]),
            curve_before=tuple(map(float, sums[0].sum(axis=0) / n_G.sum())),
            curve_after=tuple(map(float, sums[k].sum(axis=0) / n_G.sum())),
            recall_spread=(_recall_spread(vanilla, kept), _recall_spread(rows, kept)),
            flips=(flipped, _flip_rate(rows, kept, rng=rng)),
            failures=sum(isinstance(r, Failure) for r in rows),
        )
    return _adjusted(found)


class Pair:
    """Vanilla and one method: cluster sums, bootstrapped curves, and swaps of the two within clusters."""

    def __init__(self, a_GP: Floats, b_GP: Floats, a_BP: Floats, b_BP: Floats, swaps_BG: Floats, n_G: Floats) -> None:
        self.drawn, self.n_clusters = (a_BP, b_BP), len(n_G)
        self.curves = tuple(sums.sum(axis=0) / n_G.sum() for sums in (a_GP, b_GP))
        moved_BP = swaps_BG @ (b_GP - a_GP)
        self.swapped = ((a_GP.sum(axis=0) + moved_BP) / n_G.sum(), (b_GP.sum(axis=0) - moved_BP) / n_G.sum())

    def change(self, of: Callable[[Floats], Floats], *, bounds: tuple[float, float]) -> Change:
        """A statistic of the curve before and after, and its paired change."""
        before, after = (float(of(c)) for c in self.curves)
        drawn_a, drawn_b = (of(c) for c in self.drawn)
        null = of(self.swapped[1]) - of(self.swapped[0])
        return Change(
            before=before,
            before_interval=percentile(drawn_a, before, n_clusters=self.n_clusters, bounds=bounds),
            after=after,
            after_interval=percentile(drawn_b, after, n_clusters=self.n_clusters, bounds=bounds),
            change=after - before,
            change_interval=percentile(drawn_b - drawn_a, after - before, n_clusters=self.n_clusters),
            p_value=p_at_least(np.abs(null), abs(after - before)),
            interval=METHOD,
        )

    def reduction(self, of: Callable[[Floats], Floats]) -> tuple[float, float, float] | None:
        """The share of a gap that is gone with its interval; None where there was none."""
        gap = self.change(of, bounds=NO_BOUNDS)
        low, high = gap.before_interval
        if low <= 0 <= high:
            return None
        ratio = 1 - np.abs(of(self.drawn[1])) / np.maximum(np.abs(of(self.drawn[0])), 1e-9)
        value = 1 - abs(gap.after) / abs(gap.before)
        return (value, *percentile(ratio, value, n_clusters=self.n_clusters, bounds=(-np.inf, 1.0)))


def _adjusted(found: dict[str, MethodProof]) -> dict[str, MethodProof]:
    """P-values stepped down over the methods, for accuracy and for the gap."""
    out = dict(found)
    for statistic in ("accuracy", "gap", "head_minus_tail"):
        names = sorted(found, key=lambda name: found[name].changes[statistic].p_value)
        reached = 0.0
        for rank, name in enumerate(names):
            change = found[name].changes[statistic]
            reached = max(reached, min(1.0, (len(names) - rank) * change.p_value))
            changes = {**out[name].changes, statistic: replace(change, p_adjusted=reached)}
            out[name] = replace(out[name], changes=changes)
    return out


def _common(arms: Sequence[Rows]) -> set[str]:
    """The probes that have an answer with a right option at every slot in all arms."""
    kept: list[set[str]] = []
    for rows in arms:
        mine: dict[str, list[Outcome]] = defaultdict(list)
        for row in rows:
            mine[row.asked.probe_id].append(row)
        kept.append({name for name, found in mine.items() if blocks(found, right_points).n == 1})
    shared = set.intersection(*kept)
    if not shared:
        raise BadInput("debias: no held-out probe is answered at every slot by vanilla and all methods")
    return shared


def _table(rows: Rows, kept: set[str]) -> Blocks:
    return blocks([row for row in rows if row.asked.probe_id in kept], right_points)


def _flip_rate(rows: Rows, kept: set[str], *, rng: np.random.Generator) -> Estimate:
    return flips.measure([row for row in rows if row.asked.probe_id in kept], rng=rng)[0]


def _recall_spread(rows: Rows, kept: set[str]) -> float | None:
    """RStd: the standard deviation (n in the denominator) of recall over the place of the right option, in points."""
    right: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if isinstance(row, Answer) and row.asked.probe_id in kept and row.asked.slot is not None:
            assert row.asked.gold is not None
            right[row.asked.option_order.index(row.asked.gold)].append(100.0 * row.correct)
    return float(np.std([np.mean(values) for values in right.values()])) if len(right) > 1 else None
