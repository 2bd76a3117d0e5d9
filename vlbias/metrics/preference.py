"""Says which of two contradicting segments is believed: the head's, the neighbour's, or the same content throughout."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlbias.answers import Answer, Failure, Outcome
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Floats, cluster_sums, rows
from vlbias.metrics._intervals import bounded_mean, jackknife
from vlbias.metrics._multiplicity import holm, over_tasks
from vlbias.metrics._resample import (
    BOOTSTRAP_DRAWS,
    bca,
    bootstrap_sums,
    reference,
    variant_sums,
)

COLUMNS = (
    "head",
    "neighbour",
    "other",
    "tied",
    "head_both",
    "neighbour_both",
    "content_both",
    "distance_head",
    "distance_neighbour",
)
SWAPPED = (1, 0, 2, 3, 5, 4, 6, 8, 7)
WEIGHTS = {
    "preference_index": {"head": 1.0, "neighbour": -1.0},
    "preference_head": {"head": 1.0},
    "preference_neighbour": {"neighbour": 1.0},
    "preference_other": {"other": 1.0},
    "preference_tied": {"tied": 1.0},
    "preference_head_both_orders": {"head_both": 1.0},
    "preference_neighbour_both_orders": {"neighbour_both": 1.0},
    "preference_same_content": {"content_both": 1.0},
    "preference_distance_slope": {"distance_head": 1.0, "distance_neighbour": -1.0},
}
N, SPREAD = len(COLUMNS), len(COLUMNS) + 1
SLOPE = "preference_distance_slope"
SIGNED = ("preference_index", "preference_index_pair", "preference_index_distance", SLOPE)
UNMOVED = ("preference_other", "preference_tied", "preference_same_content")
SWAP = "head and neighbour exchanged within clusters"
BOOTSTRAP = f"cluster bootstrap, BCa, {BOOTSTRAP_DRAWS} draws, widened for few clusters"


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pairs:
    """One row per probe and pair of slots, both orders of content answered; `head_N` < `neighbour_N` are the slots."""

    value_NK: Floats
    head_N: np.ndarray
    neighbour_N: np.ndarray
    cluster_N: np.ndarray
    task_N: np.ndarray
    notes: tuple[str, ...]


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Who is believed, in points of the answers to pairs of slots, for all tasks and for each.

    `preference_index` is the share that believes the head's segment less the share that believes the neighbour's,
    -100 to 100, 0 without a preference for a place. `preference_tied` is the share of answers in which several
    options are equally likely and none is likelier: they believe neither. `..._both_orders` are the shares of pairs
    in which the same place is believed whichever content stands there, `preference_same_content` those in which the
    same content is. `preference_distance_slope` is the index per slot more between the two,
    `preference_index_distance` the index of the pairs that are `slot` + 1 slots apart. `preference_index_pair` has
    a cell (head, neighbour) for each pair. A probe enters only with one usable answer to every pair in both orders.
    P-values are two-sided, of head and neighbour exchanged within clusters; over the cells, and over the distances,
    by Holm.
    """
    found = [r for r in rows(outcomes) if "rival_slot" in dict(r.asked.factors) and r.asked.slot is not None]
    if not found:
        why = "no trial has a segment that contradicts the evidence; ask a suite of the kind conflict"
        return [Estimate(metric=name, unit="points", notes=(why,)) for name in WEIGHTS]
    pairs = _pairs(found)
    out = []
    tasks = sorted(set(pairs.task_N.tolist()))
    for task in ["all", *(tasks if len(tasks) > 1 else [])]:
        keep = np.ones(len(pairs.task_N), dtype=bool) if task == "all" else pairs.task_N == task
        out += _estimates(pairs, keep, task=task, rng=rng)
    return over_tasks(out)


def believed(answer: Answer) -> str:
    """Whose content was chosen: `evidence`, `rival` or `other`; `tied` where nothing was likelier than all else."""
    if answer.tied:
        return "tied"
    rival = int(dict(answer.asked.factors)["rival_gold"])
    return "evidence" if answer.correct else "rival" if answer.chosen == rival else "other"


def _pairs(found: Sequence[Answer | Failure]) -> _Pairs:
    cells: dict[str, dict[tuple[int, int], list[Answer | Failure]]] = defaultdict(lambda: defaultdict(list))
    for row in sorted(found, key=lambda r: (r.asked.probe_id, r.asked.trial_id)):
        slot, rival = row.asked.slot, int(dict(row.asked.factors)["rival_slot"])
        assert slot is not None
        cells[row.asked.probe_id][slot, rival].append(row)
    every = sorted({place for mine in cells.values() for place in mine})
    both = [place for place in every if place[0] < place[1] and place[::-1] in every]
    whole = [p for p, mine in cells.items() if all(_usable(mine.get(place, [])) for place in every)]
    values, heads, neighbours, asked = [], [], [], []
    middle = float(np.mean([b - a for a, b in both])) if both else 0.0
    for probe in whole:
        for head, neighbour in both:
            values.append(
                _row(cells[probe][head, neighbour][0], cells[probe][neighbour, head][0], neighbour - head - middle)
            )
            heads.append(head)
            neighbours.append(neighbour)
            asked.append(cells[probe][head, neighbour][0].asked)
    lost = len(cells) - len(whole)
    note = f"attrition: {lost} of {len(cells)} probes lack a usable answer to a pair of slots; left out"
    return _Pairs(
        value_NK=np.array(values, dtype=np.float64).reshape(len(values), len(COLUMNS)),
        head_N=np.array(heads, dtype=np.intp),
        neighbour_N=np.array(neighbours, dtype=np.intp),
        cluster_N=np.array([a.cluster_id for a in asked], dtype=object),
        task_N=np.array([a.task for a in asked], dtype=object),
        notes=(note,) if lost else (),
    )


def _usable(got: Sequence[Answer | Failure]) -> bool:
    return len(got) == 1 and isinstance(got[0], Answer) and got[0].chosen is not None


def _row(evidence_first: Answer | Failure, rival_first: Answer | Failure, distance: float) -> list[float]:
    """The columns of a pair, in points, from the answers with the evidence at the head and with the rival there."""
    assert isinstance(evidence_first, Answer) and isinstance(rival_first, Answer)
    one, two = believed(evidence_first), believed(rival_first)
    places = [{"evidence": "head", "rival": "neighbour"}.get(one, one),
              {"rival": "head", "evidence": "neighbour"}.get(two, two)]  # fmt: skip
    head, neighbour, other, tied = (50.0 * places.count(p) for p in ("head", "neighbour", "other", "tied"))
    same = 100.0 * (one == two and one in ("evidence", "rival"))
    return [
        head,
        neighbour,
        other,
        tied,
        100.0 * (head == 100),
        100.0 * (neighbour == 100),
        same,
        distance * head,
        distance * neighbour,
    ]


def _estimates(pairs: _Pairs, keep: np.ndarray, *, task: str, rng: np.random.Generator) -> list[Estimate]:
    value_NK, head_N, neighbour_N = pairs.value_NK[keep], pairs.head_N[keep], pairs.neighbour_N[keep]
    if not len(value_NK):
        return [
            Estimate(metric=m, task=task, unit="points", n=0, notes=("no probe is complete", *pairs.notes))
            for m in WEIGHTS
        ]
    cluster_N = np.unique(pairs.cluster_N[keep], return_inverse=True)[1].reshape(-1)
    distance_N = (neighbour_N - head_N).astype(np.float64)
    spread_N = (distance_N - distance_N.mean()) ** 2
    cells = sorted(set(zip(head_N.tolist(), neighbour_N.tolist())))
    here_NC = np.array([(head_N == head) & (neighbour_N == neighbour) for head, neighbour in cells]).T.astype(float)
    columns = [value_NK, np.ones((len(value_NK), 1)), spread_N[:, None]]
    columns += [value_NK[:, :2, None] * here_NC[:, None], here_NC[:, None]]  # head, neighbour, n of each cell
    table_GD = cluster_sums(np.column_stack([c.reshape(len(value_NK), -1) for c in columns]), cluster_N)
    sums = _Sums.of(table_GD, n_cells=len(cells), rng=rng)
    blank = Estimate(metric="", task=task, unit="points", n=len(value_NK), clusters=len(table_GD), notes=pairs.notes)
    out = []
    for metric, weights in WEIGHTS.items():
        sloped = metric == SLOPE
        one = replace(blank, metric=metric, unit="points per slot" if sloped else "points")
        if sloped and spread_N.sum() == 0:
            out.append(replace(one, notes=("every pair of slots is equally far apart", *pairs.notes)))
        else:
            top = {COLUMNS.index(name): weight for name, weight in weights.items()}
            out.append(_ratio(one, sums, top, base=[SPREAD if sloped else N]))
    return [*out, *_by_distance(blank, sums, cells), *_by_pair(blank, sums, cells)]


def _by_distance(blank: Estimate, sums: _Sums, cells: Sequence[tuple[int, int]]) -> list[Estimate]:
    """The index of the pairs that lie equally far apart; nothing where all do."""
    apart = sorted({neighbour - head for head, neighbour in cells})
    found = []
    for distance in apart if len(apart) > 1 else ():
        here = [k for k, (head, neighbour) in enumerate(cells) if neighbour - head == distance]
        one = replace(blank, metric="preference_index_distance", slot=distance - 1)
        found.append(_index_of(one, sums, here, n_cells=len(cells)))
    return _stepped(found, f"{len(apart)} distances of pairs of slots")


def _by_pair(blank: Estimate, sums: _Sums, cells: Sequence[tuple[int, int]]) -> list[Estimate]:
    found = [
        _index_of(replace(blank, metric="preference_index_pair", cell=cell), sums, [k], n_cells=len(cells))
        for k, cell in enumerate(cells)
    ]
    return _stepped(found, f"{len(cells)} pairs of slots")


def _index_of(one: Estimate, sums: _Sums, here: Sequence[int], *, n_cells: int) -> Estimate:
    """The index over some of the cells, whose columns stand last: head, neighbour and n of each."""
    first = SPREAD + 1
    top = {**{first + k: 1.0 for k in here}, **{first + n_cells + k: -1.0 for k in here}}
    base = [first + 2 * n_cells + k for k in here]
    n = int(sums.table_GD[:, base].sum())
    return _ratio(replace(one, n=n), sums, top, base=base)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Sums:
    """Sums per cluster [G, D], over resampled clusters, and over clusters with head and neighbour exchanged [B, D]."""

    table_GD: Floats
    drawn_BD: Floats | None
    swapped_GD: Floats
    null_BD: Floats

    @staticmethod
    def of(table_GD: Floats, *, n_cells: int, rng: np.random.Generator) -> _Sums:
        heads = SPREAD + 1 + np.arange(n_cells)
        order = [*SWAPPED, N, SPREAD, *(heads + n_cells), *heads, *(heads + 2 * n_cells)]
        swapped_GD = table_GD[:, order]
        return _Sums(
            table_GD=table_GD,
            drawn_BD=bootstrap_sums(table_GD, rng=rng) if len(table_GD) > 1 else None,
            swapped_GD=swapped_GD,
            null_BD=variant_sums(np.stack([table_GD, swapped_GD], axis=1), rng=rng),
        )


def _ratio(blank: Estimate, sums: _Sums, top: Mapping[int, float], *, base: Sequence[int]) -> Estimate:
    """A ratio of cluster sums with its interval and its reference."""
    columns, weight_K = list(top), np.array(list(top.values()))
    top_G, swapped_G = sums.table_GD[:, columns] @ weight_K, sums.swapped_GD[:, columns] @ weight_K
    base_G = sums.table_GD[:, base].sum(axis=1)
    total, several = float(base_G.sum()), len(base_G) > 1
    value, centre = float(top_G.sum()) / total, float(top_G.sum() + swapped_G.sum()) / 2 / total
    null_B = sums.null_BD[:, columns] @ weight_K / total
    away = abs(value - centre) * (1 - 1e-9)
    p = float((1 + np.count_nonzero(np.abs(null_B - centre) >= away)) / (1 + len(null_B)))
    null = reference(null_B, p_value=p if several else None, method=SWAP)
    # What the exchange cannot change has no reference: other answers, and the same content.
    one = replace(blank, value=value, reference=null if blank.metric not in UNMOVED else None)
    if sums.drawn_BD is None:
        return replace(one, interval="not available: one cluster")
    if blank.metric != SLOPE:
        bounds = (-100.0 if blank.metric in SIGNED else 0.0, 100.0)
        limits, how = bounded_mean(top_G, base_G, bounds=bounds)
        low, high = limits or (None, None)
        return replace(one, low=low, high=high, interval=how)
    drawn_base_B = sums.drawn_BD[:, base].sum(axis=1)
    if np.any(drawn_base_B == 0):
        return replace(one, interval="not available: a resample has no such pair")
    drawn_B = sums.drawn_BD[:, columns] @ weight_K / drawn_base_B
    if np.ptp(drawn_B) < 1e-9:
        return replace(one, interval="not available: every cluster has the same value")
    low, high = bca(drawn_B, value, jackknife(top_G[:, None], base_G)[:, 0], bounds=(-100.0, 100.0))
    return replace(one, low=low, high=high, interval=BOOTSTRAP)


def _stepped(found: list[Estimate], what: str) -> list[Estimate]:
    p_values = [e.reference.p_value for e in found if e.reference and e.reference.p_value is not None]
    if len(p_values) != len(found):
        return found
    return [
        replace(e, adjusted=f"Holm over {what}", reference=replace(e.reference, p_value=p))
        for e, p in zip(found, holm(p_values))
        if e.reference
    ]
