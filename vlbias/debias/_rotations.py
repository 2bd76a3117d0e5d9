"""Rotates the displayed options, and finds the trials of which every rotation was answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Write
from vlbias.debias._scores import options_are_places
from vlbias.debias._segments import options_reordered
from vlbias.records import Prompt

ROTATION = "rotation"


def rotations(prompt: Prompt, *, write: Write) -> list[Prompt]:
    """The prompts with the displayed options rotated by 1, 2, ..."""
    assert prompt.trial is not None
    n = len(prompt.trial.option_order)
    orders = [tuple((turn + place) % n for place in range(n)) for turn in range(1, n)]
    return [write(options_reordered(prompt.trial, order, what=f"{ROTATION}:{order[0]}")) for order in orders]


def complete(answers: Sequence[Answer]) -> list[list[Answer]]:
    """The answers to one probe in one slot, where each option stands at each place equally often.

    Options that are the segments themselves have no slot of their own: all places of a probe are one group.
    """
    groups: dict[tuple[object, ...], list[Answer]] = defaultdict(list)
    for answer in answers:
        asked = answer.asked
        slot = None if options_are_places(asked.factors) else asked.slot
        groups[asked.probe_id, slot, asked.n_slots].append(answer)
    return [group for group in groups.values() if _latin(group)]


def _latin(group: Sequence[Answer]) -> bool:
    n = group[0].asked.n_options
    counts_KO = np.zeros((n, n))
    for answer in group:
        counts_KO[np.arange(n), list(answer.asked.option_order)] += 1
    return bool((counts_KO == counts_KO[0, 0]).all() and counts_KO[0, 0] > 0)
