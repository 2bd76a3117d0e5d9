"""Gives Video-LevelGauge's own numbers (arXiv 2508.19650), from answers or from counts, beside what chance makes them.

They are for comparison with published tables, not for inference: none of them has the number of probes in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlbias.answers import Outcome, slots
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Floats, blocks, cluster_sums, right_points, rows, tallies
from vlbias.metrics._multiplicity import over_tasks
from vlbias.metrics._resample import BOOTSTRAP_DRAWS, Resampling, p_at_least, percentile, reference

NAMES = ("Smeta", "Pbs", "Pran", "Pvar", "Pmean", "CM")
UNITS = {"Smeta": "points", "Pvar": "RS points^2", "CM": "score"}
WEIGHTS = "CM = 4 Pran + 3 (100 - Pmean) + 3 Pvar; lower is better; depends on the number of probes"
MACRO = "unweighted mean over tasks"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Curve:
    accuracy_P: Floats
    alone: float | None
    n: int
    clusters: int | None
    drawn_BP: Floats | None
    drawn_alone_B: Floats | None
    null_BP: Floats | None
    notes: tuple[str, ...]


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """RS per slot, Smeta, Pbs, Pran, Pvar, Pmean, CM and the MR label, per task and for the mean over tasks ("all").

    RS is accuracy over the accuracy of the probe alone, times 100. Where that is 0 or absent the value is None (their
    code says 0). Their label ignores noise and the sign of curvature; `shape` is the one to believe.
    """
    if not outcomes:
        return []
    slots(outcomes)
    curves = _from_answers(outcomes, rng=rng) if rows(outcomes) else _from_counts(outcomes)
    return over_tasks([e for task, curve in curves.items() for e in _estimates(curve, task=task)])


def morphology(rs_P: Floats) -> str:
    """Their label of a curve of relative scores: a line within a squared residual of 3, else a parabola within 2."""
    x = np.arange(len(rs_P), dtype=np.float64)
    line = np.polynomial.Polynomial.fit(x, rs_P, 1)
    if float(np.mean((rs_P - line(x)) ** 2)) <= 3:
        slope = float(line.convert().coef[1]) if len(line.convert().coef) > 1 else 0.0
        return "Stable" if abs(slope) <= 0.5 else ("Neighbor preference" if slope > 0 else "Head preference")
    bowl = np.polynomial.Polynomial.fit(x, rs_P, 2)
    return "U-shaped" if float(np.mean((rs_P - bowl(x)) ** 2)) <= 2 else "Volatile"


def _summary(name: str, rs_BP: Floats) -> Floats:
    spread, mean, variance = np.ptp(rs_BP, axis=1), rs_BP.mean(axis=1), rs_BP.var(axis=1)
    if name == "CM":
        return np.asarray(4 * spread + 3 * (100 - mean) + 3 * variance, dtype=np.float64)
    return np.asarray({"Pbs": rs_BP.max(axis=1), "Pran": spread, "Pvar": variance, "Pmean": mean}[name])


def _estimates(curve: _Curve, *, task: str) -> list[Estimate]:
    drawn = None
    if curve.drawn_BP is not None and curve.drawn_alone_B is not None and bool(np.all(curve.drawn_alone_B > 0)):
        drawn = 100 * curve.drawn_BP / curve.drawn_alone_B[:, None]
    how = "not available: counts only" if curve.clusters is None else "not available"
    blank = Estimate(metric="levelgauge_Smeta", task=task, unit="points", n=curve.n, clusters=curve.clusters,
                     interval=how, notes=curve.notes)  # fmt: skip
    if not curve.alone:
        why = "no complete probe with an answer without context" if curve.alone is None else "S_meta is 0"
        out = [replace(blank, metric=f"levelgauge_{n}", notes=(why, *curve.notes)) for n in (*NAMES, "RS", "MR")]
        return [replace(out[0], value=curve.alone, notes=curve.notes) if curve.alone == 0 else out[0], *out[1:]]
    rs_P = 100 * curve.accuracy_P / curve.alone
    null = None if curve.null_BP is None else 100 * curve.null_BP / curve.alone
    out = [_filled(replace(blank, value=curve.alone), curve.drawn_alone_B, None)]
    for slot, value in enumerate(rs_P.tolist()):
        one = replace(blank, metric="levelgauge_RS", slot=slot, value=value, unit="RS points")
        sided = None if null is None else null[:, slot]
        out.append(_filled(one, None if drawn is None else drawn[:, slot], sided))
    for name in NAMES[1:]:
        value = float(_summary(name, rs_P[None])[0])
        notes = (WEIGHTS, *curve.notes) if name == "CM" else curve.notes
        one = replace(blank, metric=f"levelgauge_{name}", value=value, unit=UNITS.get(name, "RS points"), notes=notes)
        chance = None if null is None else _summary(name, null)
        one = _filled(one, None if drawn is None else _summary(name, drawn), chance)
        if one.reference is not None and chance is not None and name != "Pmean":
            one = replace(one, reference=replace(one.reference, p_value=p_at_least(chance, value)))
        out.append(one)
    label = morphology(rs_P) if len(rs_P) > 2 else None
    notes = curve.notes if label else ("needs three slots", *curve.notes)
    return [*out, replace(blank, metric="levelgauge_MR", unit="", label=label, notes=notes)]


def _filled(estimate: Estimate, drawn_B: Floats | None, null_B: Floats | None) -> Estimate:
    if null_B is not None:
        estimate = replace(estimate, reference=reference(null_B, p_value=None))
    value, n_clusters = estimate.value, estimate.clusters
    if drawn_B is None or value is None or n_clusters is None or float(np.ptp(drawn_B)) < 1e-9:
        return estimate
    low, high = percentile(drawn_B, value, n_clusters=n_clusters)
    how = f"cluster bootstrap, percentile, {BOOTSTRAP_DRAWS} draws; a range or variance is biased upward"
    return replace(estimate, low=low, high=high, interval=how)


def _from_counts(outcomes: Sequence[Outcome]) -> dict[str, _Curve]:
    found, out = tallies(outcomes), {}
    n_slots = slots(found)
    cells = {(t.task, t.slot): t for t in found if t.right + t.wrong}
    tasks = list(dict.fromkeys(t.task for t in found))
    whole = [t for t in tasks if all((t, k) in cells for k in range(n_slots))]
    for task in whole:
        per_slot = [cells[task, k] for k in range(n_slots)]
        accuracy = np.array([100 * t.right / (t.right + t.wrong) for t in per_slot])
        alone = cells.get((task, None))
        meta = None if alone is None else 100 * alone.right / (alone.right + alone.wrong)
        out[task] = _Curve(accuracy_P=accuracy, alone=meta, n=per_slot[0].right + per_slot[0].wrong, clusters=None,
                           drawn_BP=None, drawn_alone_B=None, null_BP=None, notes=())  # fmt: skip
    left = tuple(f"{t}: a slot has no counts; left out" for t in tasks if t not in whole)
    return {"all": _macro(list(out.values()), notes=left), **out} if out else {}


def _macro(curves: list[_Curve], *, notes: tuple[str, ...]) -> _Curve:
    alone = [c.alone for c in curves]
    meta = float(np.mean([a for a in alone if a is not None])) if None not in alone else None
    return _Curve(accuracy_P=np.mean([c.accuracy_P for c in curves], axis=0), alone=meta,
                  n=sum(c.n for c in curves), clusters=None, drawn_BP=None, drawn_alone_B=None, null_BP=None,
                  notes=(MACRO, *notes))  # fmt: skip


def _from_answers(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> dict[str, _Curve]:
    found, draws = blocks(outcomes, right_points, alone=True), Resampling(rng)
    tasks = sorted(set(found.task_N))
    if not tasks or found.alone_N is None:
        empty = _Curve(accuracy_P=np.zeros(0), alone=None, n=0, clusters=0, drawn_BP=None, drawn_alone_B=None,
                       null_BP=None, notes=found.notes)  # fmt: skip
        return {"all": empty}
    member_NT = np.array([[t == task for task in tasks] for t in found.task_N], dtype=np.float64)
    all_NK = np.column_stack([found.values_NP, found.alone_N])
    out = {"all": _weighted(all_NK, member_NT, found.cluster_N, notes=(MACRO, *found.notes), draws=draws)}
    for t, task in enumerate(tasks):
        keep = member_NT[:, t] > 0
        cluster_N = np.unique(found.cluster_N[keep], return_inverse=True)[1].reshape(-1)
        out[task] = _weighted(all_NK[keep], member_NT[keep][:, [t]], cluster_N, notes=found.notes, draws=draws)
    return out


def _weighted(
    all_NK: Floats, member_NT: Floats, cluster_N: np.ndarray, *, notes: tuple[str, ...], draws: Resampling
) -> _Curve:
    """The mean over tasks of the tasks' curves; the last column is the probe alone, which no permutation moves."""
    n, n_tasks = member_NT.shape
    size = all_NK.shape[1]
    per_task = (member_NT[:, :, None] * all_NK[:, None, :]).reshape(n, n_tasks * size)
    table = cluster_sums(np.column_stack([per_task, member_NT]), cluster_N)
    curve_K = _macro_of(table.sum(axis=0)[None], n_tasks, size)[0]
    weight_N = (member_NT / member_NT.sum(axis=0)).sum(axis=1) / n_tasks
    sums_GP = cluster_sums(all_NK[:, :-1] * weight_N[:, None], cluster_N)
    null = draws.curves(sums_GP)
    drawn = draws.sums(table) if len(table) > 1 else None
    if drawn is not None and not np.all(drawn[:, -n_tasks:] > 0):
        drawn, notes = None, (*notes, "some bootstrap draws hold no probe of a task: no interval")
    means = None if drawn is None else _macro_of(drawn, n_tasks, size)
    return _Curve(accuracy_P=curve_K[:-1], alone=float(curve_K[-1]), n=n, clusters=len(table),
                  drawn_BP=None if means is None else means[:, :-1],
                  drawn_alone_B=None if means is None else means[:, -1], null_BP=null, notes=notes)  # fmt: skip


def _macro_of(sums_BK: Floats, n_tasks: int, size: int) -> Floats:
    values_BTK = sums_BK[:, : n_tasks * size].reshape(-1, n_tasks, size)
    means: Floats = (values_BTK / sums_BK[:, n_tasks * size :, None]).mean(axis=1)
    return means
