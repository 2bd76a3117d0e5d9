"""Asks some trials a second time, unchanged, so that what changes without a cause can be told from what a slot does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from vlbias.records import Trial

REPEAT = "repeat"


def repeated(trials: Iterable[Trial], *, count: int) -> Iterator[Trial]:
    """All trials, and `count` repeats of one trial of each probe, right behind it.

    The trial repeated stands at slot k for the k-th probe, and so on around, so that every slot has its share. A
    repeat has the factor `repeat` (1, 2, ...), which is also added to its `trial_id`; no metric of position counts it.
    """
    asked = list(trials)
    by_probe: dict[str, list[Trial]] = {}
    for trial in asked:
        if trial.slot is not None:
            by_probe.setdefault(trial.probe.probe_id, []).append(trial)
    chosen = {mine[number % len(mine)].trial_id for number, mine in enumerate(by_probe.values())}
    for trial in asked:
        yield trial
        for k in range(1, count + 1 if trial.trial_id in chosen else 1):
            yield replace(trial, trial_id=f"{trial.trial_id}/{REPEAT}{k}", factors=(*trial.factors, (REPEAT, str(k))))
