"""Orders the trials of a plan so that what they share stands together, cuts them into batches, counts their tokens."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from vlbias.records import Trial

Batches = tuple[tuple[Trial, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """What all batches of a schedule hold, in pieces: each counted as often as it is prefilled.

    `shared` counts a segment once per batch for every order of segments that leads to it, `apart` once per trial.
    `closed` is what the formula of a sweep gives for `shared`, None for trials that are no sweep over all slots.
    """

    trials: int
    batches: int
    segments_shared: int
    segments_apart: int
    segments_closed: int | None
    clips: int


def batches(trials: Sequence[Trial], *, size: int, whole: int = 0) -> Batches:
    """Trials in batches of at most `size`; those over the same segments stand together and in one batch if it can be.

    A group of at most `whole` trials over the same segments is not cut even where it is larger than `size`: what it
    holds in memory is one path of prompts, however many of them there are.
    Depends on the trials alone, so a run that goes on after an interruption has the batches of an undisturbed one.
    """
    found: list[tuple[Trial, ...]] = []
    filling: tuple[Trial, ...] = ()
    for group in groups(trials):
        step = len(group) if len(group) <= whole else size
        parts = [group[k : k + step] for k in range(0, len(group), step)]
        for part in parts:
            if filling and len(filling) + len(part) > size:
                found.append(filling)
                filling = ()
            filling += part
    return (*found, filling) if filling else tuple(found)


def groups(trials: Iterable[Trial]) -> list[tuple[Trial, ...]]:
    """Trials over the same segments, whatever their order, question and options; in the order of the first of each.

    Groups over the same backgrounds follow one another.
    """
    by_backgrounds: dict[Hashable, dict[Hashable, list[Trial]]] = {}
    for trial in trials:
        backgrounds = tuple(sorted(s.segment_id for s in trial.probe.backgrounds))
        inner = by_backgrounds.setdefault(backgrounds, {})
        inner.setdefault(trial.probe.evidence.segment_id, []).append(trial)
    return [tuple(group) for inner in by_backgrounds.values() for group in inner.values()]


def pieces(schedule: Batches) -> Pieces:
    """How many segments a schedule prefills, shared and apart."""
    shared = sum(len(_prefixes(batch)) for batch in schedule)
    trials = [trial for batch in schedule for trial in batch]
    closed = [_closed(batch) for batch in schedule]
    known = [count for count in closed if count is not None]
    return Pieces(
        trials=len(trials),
        batches=len(schedule),
        segments_shared=shared,
        segments_apart=sum(len(trial.segments) for trial in trials),
        segments_closed=sum(known) if len(known) == len(closed) else None,
        clips=len({s.segment_id for trial in trials for s in trial.segments}),
    )


def _prefixes(batch: Sequence[Trial]) -> set[tuple[str, ...]]:
    names = [tuple(s.segment_id for s in trial.segments) for trial in batch]
    return {order[: k + 1] for order in names for k in range(len(order))}


def _closed(batch: Sequence[Trial]) -> int | None:
    """N + (N+1)(N+2)/2 for each clip with evidence that visits all N+1 slots; the probe alone adds nothing."""
    total = 0
    for group in groups(batch):
        n_slots = group[0].n_slots
        slots = {trial.slot for trial in group} - {None}
        whole = slots == set(range(n_slots)) and all(not trial.factors for trial in group)
        orders = {(trial.slot, tuple(s.segment_id for s in trial.segments)) for trial in group}
        if not whole or len(orders) != len({slot for slot, _ in orders}):
            return None
        total += n_slots - 1 + n_slots * (n_slots + 1) // 2
    chains = {tuple(s.segment_id for s in trial.probe.backgrounds): trial.n_slots for trial in batch}
    shared_chains = len(groups(batch)) - len(chains)
    return total - shared_chains * (batch[0].n_slots - 1)
