"""Counts the probes whose chosen option changes with the slot, whether or not it is right, and without any change."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Answer, Outcome, slots
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import repeats, rows
from vlbias.metrics._means import mean_estimate

NOISE = "no repeat at one slot was asked, so decoding noise is included; --repeats asks some"
NAMES = ("flip_rate", "flip_rate_pairs")
REPEATED = ("flip_rate_of_repeats", "flip_rate_beyond_repeats")


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """The share of probes, and of pairs of slots, whose chosen option differs; points.

    Only probes with exactly one choice at every slot enter. No gold is needed. Where trials were asked again,
    `flip_rate_of_repeats` is how often the choice differs from that of the same trial asked before, which is decoding
    noise, and `flip_rate_beyond_repeats` what pairs of slots differ more than that; 0 where slots change nothing.
    """
    found = rows(outcomes)
    if not found:
        return []
    n_slots = slots(found)
    answers: dict[str, list[Answer]] = defaultdict(list)
    for row in found:
        if isinstance(row, Answer) and row.asked.slot is not None and row.chosen is not None:
            answers[row.asked.probe_id].append(row)
    asked = {r.asked.probe_id for r in found if r.asked.slot is not None}
    whole = [
        answers[p]
        for p in sorted(asked)
        if len(answers[p]) == n_slots and {a.asked.slot for a in answers[p]} == set(range(n_slots))
    ]
    lost = len(asked) - len(whole)
    notes = (f"{lost} of {len(asked)} probes lack one choice at every slot; left out",) if lost else ()
    again, out = _again(outcomes), list[Estimate]()
    for task in ["all", *sorted({w[0].asked.task for w in whole})]:
        of_task = [w for w in whole if task in ("all", w[0].asked.task)]
        out += _over_slots(of_task, task=task, notes=notes if again else (NOISE, *notes), rng=rng)
        if again:
            out += _over_repeats(of_task, again, task=task, notes=notes, rng=rng)
    return out


def _over_slots(
    probes: Sequence[Sequence[Answer]], *, task: str, notes: tuple[str, ...], rng: np.random.Generator
) -> list[Estimate]:
    blanks = [Estimate(metric=m, task=task, unit="points", n=len(probes), notes=notes) for m in NAMES]
    if not probes or len(probes[0]) < 2:
        note = "no probe has one choice at each of at least two slots"
        return [replace(blank, notes=(note, *notes)) for blank in blanks]
    clusters = [p[0].asked.cluster_id for p in probes]
    changed = [100.0 * (len({a.chosen for a in p}) > 1) for p in probes]
    shares = (changed, [_differing_pairs(p) for p in probes])
    return [mean_estimate(blank, values, clusters, rng=rng) for blank, values in zip(blanks, shares)]


def _over_repeats(
    probes: Sequence[Sequence[Answer]],
    again: Mapping[str, Sequence[Answer]],
    *,
    task: str,
    notes: tuple[str, ...],
    rng: np.random.Generator,
) -> list[Estimate]:
    kept = [p for p in probes if len(p) > 1 and again.get(p[0].asked.probe_id)]
    lost = len(probes) - len(kept)
    notes = (*notes, f"{lost} of {len(probes)} probes have no answered repeat; left out") if lost else notes
    blanks = [Estimate(metric=m, task=task, unit="points", n=0, notes=notes) for m in REPEATED]
    if not kept:
        return blanks
    clusters = [p[0].asked.cluster_id for p in kept]
    noise = [_differing_repeats(p, again[p[0].asked.probe_id]) for p in kept]
    beyond = [_differing_pairs(p) - share for p, share in zip(kept, noise)]
    return [
        mean_estimate(blanks[0], noise, clusters, rng=rng),
        mean_estimate(blanks[1], beyond, clusters, rng=rng, bounds=(-100.0, 100.0)),
    ]


def _again(outcomes: Sequence[Outcome]) -> dict[str, list[Answer]]:
    """The answered repeats of each probe."""
    found: dict[str, list[Answer]] = defaultdict(list)
    for row in repeats(outcomes):
        if isinstance(row, Answer) and row.chosen is not None:
            found[row.asked.probe_id].append(row)
    return dict(found)


def _differing_pairs(probe: Sequence[Answer]) -> float:
    pairs = len(probe) * (len(probe) - 1)
    return 100.0 * (1 - sum(c * (c - 1) for c in Counter(a.chosen for a in probe).values()) / pairs)


def _differing_repeats(probe: Sequence[Answer], again: Sequence[Answer]) -> float:
    """The share of repeats whose choice is not that of the trial asked first, points."""
    first = {a.asked.slot: a.chosen for a in probe}
    return 100.0 * sum(a.chosen != first[a.asked.slot] for a in again) / len(again)
