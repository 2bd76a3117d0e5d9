"""Puts the segments of a prompt into another order, keeping the words between them where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vlbias.debias import Write
from vlbias.debias._scores import marked, options_are_places
from vlbias.records import Prompt, Trial

PLACES = ("rival_slot", "image_at")  # factors that tell the place of a segment


def reordered(trial: Trial, order: Sequence[int], *, what: str) -> Trial:
    """The trial whose place k holds the segment that was at place `order[k]`; its slot follows the evidence.

    Options that are the segments themselves move with them.
    """
    if sorted(order) != list(range(len(trial.segments))):
        raise ValueError(f"trial {trial.trial_id}: {list(order)} is not an order of {len(trial.segments)} segments")
    segments = tuple(trial.segments[k] for k in order)
    slot = trial.slot if trial.slot is None else list(order).index(trial.slot)
    shown = tuple(trial.option_order[k] for k in order) if options_are_places(trial.factors) else trial.option_order
    factors = tuple((name, str(list(order).index(int(at))) if name in PLACES else at) for name, at in trial.factors)
    return marked(replace(trial, segments=segments, slot=slot, option_order=shown, factors=factors), what)


def options_reordered(trial: Trial, order: Sequence[int], *, what: str) -> Trial:
    """The trial that displays at place k the option that was displayed at place `order[k]`."""
    if options_are_places(trial.factors):
        return reordered(trial, order, what=what)
    return marked(replace(trial, option_order=tuple(trial.option_order[k] for k in order)), what)


def written(prompt: Prompt, trials: Sequence[Trial], *, write: Write) -> list[Prompt]:
    """The prompts of trials; the unchanged trial keeps its prompt."""
    return [prompt if trial is prompt.trial else write(trial) for trial in trials]
