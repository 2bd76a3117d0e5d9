"""Turns outcomes into complete blocks: one row per probe, one column per slot, nothing filled in."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vlbias.answers import Answer, Asked, Failure, Outcome, Tally, slots

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.intp]
Cell: TypeAlias = Callable[[Answer], float | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Blocks:
    """Complete blocks, in the order of their probe ids, so the order of the outcomes changes nothing.

    `values_NP[i, p]` is probe i at slot p; `alone_N` the same probes without context, when asked for;
    `cluster_N` numbers the clusters from 0; `notes` say what was left out and why.
    """

    values_NP: Floats
    alone_N: Floats | None
    cluster_N: Ints
    task_N: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def n(self) -> int:
        """The number of complete probes."""
        return len(self.task_N)

    @property
    def n_clusters(self) -> int:
        """The number of clusters that hold a complete probe."""
        return len(np.unique(self.cluster_N))

    def of_task(self, task: str) -> Blocks:
        """The blocks of one task, clusters numbered anew."""
        keep = np.array([t == task for t in self.task_N], dtype=bool)
        return Blocks(
            values_NP=self.values_NP[keep],
            alone_N=None if self.alone_N is None else self.alone_N[keep],
            cluster_N=np.unique(self.cluster_N[keep], return_inverse=True)[1].reshape(-1),
            task_N=tuple(t for t in self.task_N if t == task),
            notes=self.notes,
        )

    def sums(self) -> tuple[Floats, Floats]:
        """Sums over each cluster [G, P] and the number of probes of each cluster [G]."""
        return cluster_sums(self.values_NP, self.cluster_N), np.bincount(self.cluster_N).astype(np.float64)


def right_points(answer: Answer) -> float | None:
    """100 for the right option, 0 for another; None where there is no gold or no option was chosen."""
    if answer.asked.gold is None or answer.chosen is None:
        return None
    return 100.0 * answer.correct


def gold_nats(answer: Answer) -> float | None:
    """The log-probability of the right option, normalised over the options; None where it is not finite."""
    if answer.logprobs is None or not all(map(math.isfinite, answer.logprobs)):
        return None
    return answer.gold_logprob


def gold_points(answer: Answer) -> float | None:
    """The probability of the right option in points, normalised over the options."""
    nats = gold_nats(answer)
    return None if nats is None else 100.0 * math.exp(nats)


def right_or_wrong(row: Answer | Failure, asked: Asked, *, right: bool) -> Answer | Failure:
    """The row of another question, as a choice between right and wrong; a failure stays one."""
    asked = replace(asked, gold=0, n_options=2, option_order=(0, 1))
    if isinstance(row, Failure):
        return replace(row, asked=asked)
    return replace(row, asked=asked, chosen=0 if right else 1, logprobs=None)


def rows(outcomes: Sequence[Outcome]) -> list[Answer | Failure]:
    """The outcomes that belong to one trial: all but the imported counts and the repeats."""
    return [o for o in outcomes if not isinstance(o, Tally) and not o.asked.is_repeat]


def repeats(outcomes: Sequence[Outcome]) -> list[Answer | Failure]:
    """The rows of trials that were asked before, unchanged."""
    return [o for o in outcomes if not isinstance(o, Tally) and o.asked.is_repeat]


def tallies(outcomes: Sequence[Outcome]) -> list[Tally]:
    """The imported counts among the outcomes."""
    return [o for o in outcomes if isinstance(o, Tally)]


def blocks(outcomes: Sequence[Outcome], value: Cell, *, alone: bool = False) -> Blocks:
    """The probes that have a value at every slot, and notes on all the others.

    A probe enters only if no trial of it failed and each slot has the same number (one or more) of values; several
    option orders at one slot are averaged. With `alone` the answer without context is one more cell that must be
    there. Probes without a gold option never enter and are counted apart.
    """
    found = rows(outcomes)
    if not found:
        return _blocks([], {}, alone=alone, n_slots=0)
    n_slots = slots(outcomes)
    wanted = [*range(n_slots), *([None] if alone else [])]
    asked: dict[str, Asked] = {}
    cells: dict[str, dict[int | None, list[float | None]]] = defaultdict(lambda: defaultdict(list))
    for row in found:
        if row.asked.slot in wanted:
            asked.setdefault(row.asked.probe_id, row.asked)
            cell = value(row) if isinstance(row, Answer) else None
            cells[row.asked.probe_id][row.asked.slot].append(cell)
    complete = {}
    for probe_id in sorted(cells):
        means = _means(cells[probe_id], wanted)
        if means is not None:
            complete[probe_id] = means
    found_all = _blocks([asked[p] for p in sorted(asked)], complete, alone=alone, n_slots=n_slots)
    answered = {slot for mine in cells.values() for slot, got in mine.items() if any(v is not None for v in got)}
    empty = [str(slot + 1) for slot in range(n_slots) if slot not in answered]
    if answered and empty:
        note = f"slot {', '.join(empty)} has no usable answer at all, so no probe is complete"
        return replace(found_all, notes=(note, *found_all.notes))
    return found_all


def by_task(found: Blocks) -> Iterator[tuple[str, Blocks]]:
    """All probes under the name "all", then each task under its own."""
    yield "all", found
    for task in sorted(set(found.task_N)):
        yield task, found.of_task(task)


def cluster_sums(values_NK: Floats, cluster_N: Ints) -> Floats:
    """Sums of the rows of each cluster, [G, K]."""
    out = np.zeros((int(cluster_N.max()) + 1 if len(cluster_N) else 0, values_NK.shape[1]))
    np.add.at(out, cluster_N, values_NK)
    return out


def _means(cells: dict[int | None, list[float | None]], wanted: Sequence[int | None]) -> list[float] | None:
    got = [[v for v in cells.get(slot, ()) if v is not None] for slot in wanted]
    n_asked = {len(cells.get(slot, ())) for slot in wanted if slot is not None}
    if len(n_asked) > 1 or any(len(g) != len(cells.get(s, ())) or not g for g, s in zip(got, wanted)):
        return None
    return [math.fsum(g) / len(g) for g in got]


def _blocks(asked: list[Asked], complete: dict[str, list[float]], *, alone: bool, n_slots: int) -> Blocks:
    kept = [a for a in asked if a.probe_id in complete]
    table = np.array([complete[a.probe_id] for a in kept], dtype=np.float64).reshape(len(kept), n_slots + alone)
    no_gold = sum(a.gold is None and a.probe_id not in complete for a in asked)
    lost = len(asked) - len(kept) - no_gold
    notes = []
    if lost:
        notes.append(f"attrition: {lost} of {len(asked)} probes lack a usable answer in at least one slot; left out")
    if no_gold:
        notes.append(f"{no_gold} of {len(asked)} probes have no gold option; left out")
    return Blocks(
        values_NP=table[:, :n_slots],
        alone_N=table[:, n_slots] if alone else None,
        cluster_N=np.unique([a.cluster_id for a in kept], return_inverse=True)[1].reshape(-1).astype(np.intp),
        task_N=tuple(a.task for a in kept),
        notes=tuple(notes),
    )
