"""Rotates the displayed options, and finds the trials of which every rotation was answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Write
from vlbias.debias._scores import marked
from vlbias.records import Prompt

ROTATION = "rotation"


def rotations(prompt: Prompt, *, write: Write) -> list[Prompt]:
    """The prompts with the displayed options rotated by 1, 2, ..."""
    assert prompt.trial is not None
    order = prompt.trial.option_order
    turned = [(turn, order[turn:] + order[:turn]) for turn in range(1, len(order))]
    return [write(marked(replace(prompt.trial, option_order=o), f"{ROTATION}:{turn}")) for turn, o in turned]


def complete(answers: Sequence[Answer]) -> list[list[Answer]]:
    """The answers to one probe in one slot, where each option stands at each place equally often."""
    groups: dict[tuple[object, ...], list[Answer]] = defaultdict(list)
    for answer in answers:
        groups[answer.asked.probe_id, answer.asked.slot, answer.asked.n_slots].append(answer)
    return [group for group in groups.values() if _latin(group)]


def _latin(group: Sequence[Answer]) -> bool:
    n = group[0].asked.n_options
    counts_KO = np.zeros((n, n))
    for answer in group:
        counts_KO[np.arange(n), list(answer.asked.option_order)] += 1
    return bool((counts_KO == counts_KO[0, 0]).all() and counts_KO[0, 0] > 0)
