"""Compares what was asked of the same probes: answers in context with those without, and runs with one another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeAlias

import numpy as np

from vlbias.answers import Answer, Failure, Outcome, Tally, slots
from vlbias.errors import BadInput
from vlbias.estimates import Comparison, Difference, Estimate, RunInfo
from vlbias.metrics._blocks import Floats, blocks, by_task, cluster_sums, right_points, rows
from vlbias.metrics._located import as_found
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._multiplicity import holm, named, over_tasks
from vlbias.metrics._position_test import contrast_rows
from vlbias.metrics._resample import (
    PERMUTATIONS,
    bootstrap_sums,
    p_at_least,
    percentile,
    reference,
    sign_flips,
    variant_sums,
)
from vlbias.metrics._spatial_contrasts import contrast_rows as cell_rows

Run: TypeAlias = tuple[RunInfo, Sequence[Outcome]]
Statistic: TypeAlias = Callable[[Floats], Floats]
METHOD = f"runs swapped within clusters, {PERMUTATIONS} draws; interval: percentile bootstrap over clusters"
FLIPPED = f"sign of each cluster's difference flipped, {PERMUTATIONS} draws, every one where there are fewer"


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Accuracy in context, mean over slots, less that of the same probes without context; points.

    The test flips the sign of clusters' differences and is two-sided. Two runs are compared by `compare`.
    """
    out = []
    for task, found in by_task(blocks(outcomes, right_points, alone=True)):
        blank = Estimate(metric="accuracy_in_context_minus_alone", task=task, unit="points", notes=found.notes)
        if found.alone_N is None or found.n == 0:
            why = "no probe has an answer at every slot and one without context"
            out.append(replace(blank, notes=(why, *found.notes)))
            continue
        change_N = found.values_NP.mean(axis=1) - found.alone_N
        null_B = sign_flips(cluster_sums(change_N[:, None], found.cluster_N), rng=rng)[:, 0] / found.n
        p = p_at_least(np.abs(null_B), abs(float(change_N.mean()))) if found.n_clusters > 1 else None
        chance = reference(null_B, p_value=p, method=FLIPPED)
        clusters = [str(c) for c in found.cluster_N]
        out.append(mean_estimate(blank, change_N, clusters, rng=rng, bounds=(-100.0, 100.0), reference=chance))
    return over_tasks(out)


def compare(runs: Sequence[Run], *, rng: np.random.Generator) -> Comparison:
    """Compares each pair of runs over the probes that every run answered in every slot.

    The test swaps the runs within clusters (a sign flip of the cluster's differences where the statistic is linear)
    and is two-sided. Intervals resample clusters. P-values are adjusted over the pairs of each metric (Holm 1979).
    Where the slots are the cells of an image, its planned contrasts are compared in place of head and neighbour; where
    places were asked for, whether things were found.
    Runs of different suites or numbers of slots raise BadInput.
    """
    n_slots = _checked(runs)
    kept, cluster_ids, notes = _common([as_found(rows(outcomes)) for _, outcomes in runs])
    tables = [blocks(outcomes, right_points) for outcomes in kept]
    n_clusters = len(set(cluster_ids))
    if n_clusters < 2:
        raise BadInput(
            f"compare: {len(cluster_ids)} probes of {n_clusters} clusters are complete in all runs, needs two"
        )
    grid_rc = _grid(kept, n_slots)
    statistics = _statistics(n_slots) if grid_rc is None else _cell_statistics(grid_rc)
    sums, names = [t.sums() for t in tables], _names([info for info, _ in runs])
    found = []
    for a, b in combinations(range(len(runs)), 2):
        pair = _pair(sums[a][0], sums[b][0], sums[a][1], statistics=statistics, rng=rng)
        found += [replace(d, first=names[a], second=names[b]) for d in pair]
    return Comparison(
        runs=names,
        suite_sha256=runs[0][0].suite_sha256,
        n_slots=n_slots,
        n_probes=len(cluster_ids),
        n_clusters=n_clusters,
        curves=tuple(tuple(float(v) for v in t.values_NP.mean(axis=0)) for t in tables),
        differences=tuple(_holm(found)),
        notes=notes,
        grid_rc=grid_rc,
    )


def _checked(runs: Sequence[Run]) -> int:
    if len(runs) < 2:
        raise BadInput(f"compare: needs two or more runs, found {len(runs)}")
    for info, outcomes in runs:
        if not rows(outcomes):
            raise BadInput(f"compare: run {info.run_name!r} holds no rows of single trials, so nothing can be paired")
    first = runs[0][0]
    for info, _ in runs[1:]:
        if info.suite_sha256 != first.suite_sha256:
            raise BadInput(
                f"compare: run {first.run_name!r} asked suite {first.suite_sha256[:12]}, run {info.run_name!r} asked "
                f"{info.suite_sha256[:12]}; only runs of one suite can be compared"
            )
    found = {info.run_name: slots(outcomes) for info, outcomes in runs}
    if len(set(found.values())) != 1:
        raise BadInput(f"compare: the runs differ in their number of slots: {found}; it must be the same")
    return next(iter(found.values()))


def _common(runs: Sequence[Sequence[Answer | Failure]]) -> tuple[list[list[Outcome]], list[str], tuple[str, ...]]:
    """The rows of probes that are complete in all runs, their clusters, and a note on those left out."""
    grouped: list[dict[str, list[Outcome]]] = []
    clusters: dict[str, str] = {}
    for outcomes in runs:
        mine: dict[str, list[Outcome]] = defaultdict(list)
        for row in outcomes:
            mine[row.asked.probe_id].append(row)
            known = clusters.setdefault(row.asked.probe_id, row.asked.cluster_id)
            if known != row.asked.cluster_id:
                raise BadInput(f"compare: probe {row.asked.probe_id} has cluster {known} and {row.asked.cluster_id}")
        grouped.append(mine)
    whole = [{p for p, found in mine.items() if blocks(found, right_points).n == 1} for mine in grouped]
    shared = sorted(set.intersection(*whole))
    lost = len(clusters) - len(shared)
    notes = (f"{lost} of {len(clusters)} probes are not complete in every run; left out",) if lost else ()
    return [[o for p in shared for o in mine[p]] for mine in grouped], [clusters[p] for p in shared], notes


def _statistics(n_slots: int) -> dict[str, Statistic]:
    """What is compared, each a function of curves [..., P]."""
    found: dict[str, Statistic] = {"accuracy": lambda curve: np.asarray(curve.mean(axis=-1))}
    table = contrast_rows(n_slots)
    for name in ("head_minus_middle", "neighbour_minus_middle"):
        if name in table:
            found[f"accuracy_{name}"] = lambda curve, row=table[name]: np.asarray(curve @ row)  # type: ignore[misc]
    if n_slots > 1:
        found["accuracy_range"] = lambda curve: np.asarray(curve.max(axis=-1) - curve.min(axis=-1))
    return found


def _grid(runs: Sequence[Sequence[Outcome]], n_slots: int) -> tuple[int, int] | None:
    """The rows and columns of the image, where all rows tell the same and its cells are the slots."""
    told = {dict(o.asked.factors).get("grid") for run in runs for o in run if not isinstance(o, Tally)}
    name = told.pop() if len(told) == 1 else None
    if name is None:
        return None
    n_rows, n_columns = (int(part) for part in name.split("x"))
    return (n_rows, n_columns) if n_rows * n_columns == n_slots else None


def _cell_statistics(grid_rc: tuple[int, int]) -> dict[str, Statistic]:
    found: dict[str, Statistic] = {"accuracy": lambda curve: np.asarray(curve.mean(axis=-1))}
    for name, row in cell_rows(grid_rc).items():
        found[f"spatial_{name}"] = lambda curve, row=row: np.asarray(curve @ row)  # type: ignore[misc]
    return found


def _pair(
    a_GP: Floats, b_GP: Floats, n_G: Floats, *, statistics: Mapping[str, Statistic], rng: np.random.Generator
) -> list[Difference]:
    n_slots, total = a_GP.shape[1], n_G.sum()
    drawn = bootstrap_sums(np.column_stack([a_GP, b_GP, n_G]), rng=rng)
    drawn_a, drawn_b = (drawn[:, k * n_slots : (k + 1) * n_slots] / drawn[:, -1:] for k in (0, 1))
    both_GMK = np.stack([np.column_stack([a_GP, b_GP]), np.column_stack([b_GP, a_GP])], axis=1)
    swapped_a, swapped_b = np.split(variant_sums(both_GMK, rng=rng) / total, 2, axis=1)
    curve_a, curve_b = a_GP.sum(axis=0) / total, b_GP.sum(axis=0) / total
    found = []
    for metric, of in statistics.items():
        first, second = float(of(curve_a)), float(of(curve_b))
        low, high = percentile(of(drawn_a) - of(drawn_b), first - second, n_clusters=len(n_G))
        p = p_at_least(np.abs(of(swapped_a) - of(swapped_b)), abs(first - second))
        estimate = Estimate(
            metric=metric, value=first - second, unit="points", low=low, high=high, interval=METHOD, n=int(total),
            clusters=len(n_G),
        )  # fmt: skip
        found.append(
            Difference(
                first="",
                second="",
                first_value=first,
                second_value=second,
                estimate=estimate,
                p_value=p,
                p_adjusted=None,
                adjusted="",
            )  # fmt: skip
        )
    return found


def _holm(found: Sequence[Difference]) -> list[Difference]:
    """P-values stepped down over the pairs of each metric."""
    out = list(found)
    for metric in dict.fromkeys(d.estimate.metric for d in found):
        places = [k for k, d in enumerate(found) if d.estimate.metric == metric]
        tested = [k for k in places if found[k].p_value is not None]
        stepped = holm([p for k in tested if (p := found[k].p_value) is not None])
        for k, p in zip(tested, stepped):
            out[k] = replace(out[k], p_adjusted=p, adjusted=named("Holm", len(places), "pair"))
    return out


def _names(infos: Sequence[RunInfo]) -> tuple[str, ...]:
    names = [info.run_name for info in infos]
    return tuple(n if names.count(n) == 1 else f"{n} ({k + 1})" for k, n in enumerate(names))
