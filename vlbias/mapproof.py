"""Shows what methods do to the map of a run over cells: the same held-out items before and after, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Answer, Failure
from vlbias.estimates import Change, Estimate, MapProof
from vlbias.metrics._blocks import Floats, cluster_sums
from vlbias.metrics._cell_table import CellTable
from vlbias.metrics._first_tables import first_tables
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._multiplicity import holm
from vlbias.metrics._resample import PERMUTATIONS, bootstrap_sums
from vlbias.metrics._spatial_contrasts import contrast_rows
from vlbias.proof import Pair

Rows = Sequence[Answer | Failure]


def map_proofs(
    fitting: Rows, vanilla: Rows, corrected: Mapping[str, Rows], *, rng: np.random.Generator
) -> dict[str, tuple[MapProof, ...]]:
    """The map of each way of asking under each method, with paired changes of contrasts; empty for a run without cells.

    Only items that vanilla and all methods answered in every cell enter; a method that answered none so has no map.
    Intervals of changes and swaps within clusters are as in `proof.prove`; the p-values of a contrast are adjusted over
    methods and ways of asking (Holm 1979). Which contrast was planned is read from the fitting items, which no number
    here uses.
    """
    learned = {table.task: table for table in first_tables(fitting)}
    found: dict[str, list[MapProof]] = {name: [] for name in corrected}
    for before in first_tables(vanilla):
        own = {name: _of_task(rows, before.task) for name, rows in corrected.items()}
        tables = {name: table for name, table in own.items() if table is not None and table.items}
        kept = sorted(set(before.items).intersection(*(table.items for table in tables.values())))
        before = _only(before, kept)
        if len(set(before.clusters)) < 2:
            continue
        planned = _largest(learned.get(before.task))
        for name, proof in _of_tables(before, {n: _only(t, kept) for n, t in tables.items()}, rng=rng).items():
            found[name].append(replace(proof, planned=planned if planned in proof.changes else None))
    return _adjusted({name: tuple(maps) for name, maps in found.items()})


def _of_task(rows: Rows, task: str) -> CellTable | None:
    return next((table for table in first_tables(rows) if table.task == task), None)


def _only(table: CellTable, items: Sequence[str]) -> CellTable:
    rows = [table.items.index(item) for item in items]
    return replace(
        table, value_NC=table.value_NC[rows], items=tuple(items), clusters=tuple(table.clusters[k] for k in rows)
    )


def _of_tables(before: CellTable, after: Mapping[str, CellTable], *, rng: np.random.Generator) -> dict[str, MapProof]:
    """One way of asking: vanilla beside every method, over the same items in the same order, with the same draws."""
    cluster_N = before.cluster_N
    n_G, n_cells = np.bincount(cluster_N).astype(np.float64), before.value_NC.shape[1]
    sums = [cluster_sums(t.value_NC, cluster_N) for t in (before, *after.values())]
    drawn = bootstrap_sums(np.column_stack([*sums, n_G]), rng=rng)
    curves_BC = [drawn[:, k * n_cells : (k + 1) * n_cells] / drawn[:, -1:] for k in range(len(sums))]
    swaps_BG = rng.integers(0, 2, size=(PERMUTATIONS, len(n_G))).astype(np.float64)
    width = before.bounds[1] - before.bounds[0]
    weights = contrast_rows(before.grid_rc)
    seen = _cells(before, rng=rng)
    found = {}
    for k, (name, table) in enumerate(after.items(), start=1):
        pair = Pair(sums[0], sums[k], curves_BC[0], curves_BC[k], swaps_BG, n_G)
        changes = {side: _change(pair, weight_C, width) for side, weight_C in weights.items()}
        found[name] = MapProof(
            task=before.task, before=seen, after=_cells(table, rng=rng), changes=changes, planned=None
        )
    return found


def _change(pair: Pair, weight_C: Floats, width: float) -> Change:
    return pair.change(lambda curve: np.asarray(curve @ weight_C), bounds=(-width, width))


def _cells(table: CellTable, *, rng: np.random.Generator) -> tuple[Estimate, ...]:
    blank = Estimate(metric=table.metric, task=table.task, unit=table.unit)
    return tuple(
        mean_estimate(
            replace(blank, cell=divmod(c, table.grid_rc[1])),
            table.value_NC[:, c],
            table.clusters,
            rng=rng,
            bounds=table.bounds,
        )
        for c in range(table.value_NC.shape[1])
    )


def _largest(table: CellTable | None) -> str | None:
    """The contrast that is largest in the standard errors that all share where cells are exchangeable; None of none.

    These are as the length of the weights. Errors of each contrast's own would favour those that few items show alike.
    """
    if table is None or not table.items:
        return None
    mean_C = table.value_NC.mean(axis=0)
    strength = {
        name: abs(float(mean_C @ weight_C)) / float(np.linalg.norm(weight_C))
        for name, weight_C in contrast_rows(table.grid_rc).items()
    }
    best = max(strength, key=strength.__getitem__, default=None)
    return best if best is not None and strength[best] > 1e-9 else None


def _adjusted(found: dict[str, tuple[MapProof, ...]]) -> dict[str, tuple[MapProof, ...]]:
    """P-values stepped down over methods and ways of asking, contrast by contrast."""
    at: dict[str, list[tuple[str, int]]] = {}
    for name, maps in found.items():
        for k, one in enumerate(maps):
            for side in one.changes:
                at.setdefault(side, []).append((name, k))
    out = {name: list(maps) for name, maps in found.items()}
    for side, places in at.items():
        raised = holm([found[name][k].changes[side].p_value for name, k in places])
        for (name, k), p in zip(places, raised, strict=True):
            one = out[name][k]
            changes = {**one.changes, side: replace(one.changes[side], p_adjusted=p)}
            out[name][k] = replace(one, changes=changes)
    return {name: tuple(maps) for name, maps in out.items()}
