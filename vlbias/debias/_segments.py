"""Puts the segments of a prompt into another order, keeping the words between them where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vlbias.debias import Write
from vlbias.debias._scores import marked
from vlbias.records import Prompt, Trial


def reordered(trial: Trial, order: Sequence[int], *, what: str) -> Trial:
    """The trial whose place k holds the segment that was at place `order[k]`; its slot follows the evidence."""
    if sorted(order) != list(range(len(trial.segments))):
        raise ValueError(f"trial {trial.trial_id}: {list(order)} is not an order of {len(trial.segments)} segments")
    segments = tuple(trial.segments[k] for k in order)
    slot = trial.slot if trial.slot is None else list(order).index(trial.slot)
    return marked(replace(trial, segments=segments, slot=slot), what)


def written(prompt: Prompt, trials: Sequence[Trial], *, write: Write) -> list[Prompt]:
    """The prompts of trials; the unchanged trial keeps its prompt."""
    return [prompt if trial is prompt.trial else write(trial) for trial in trials]
