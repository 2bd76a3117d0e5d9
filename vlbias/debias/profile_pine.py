"""Profile PINE: the most important segment stands where this model reads best, not always next to the question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vlbias.answers import Answer, slots
from vlbias.attention.contract import Pine, Rule
from vlbias.debias._inside import Inside, engine_patch, known_options
from vlbias.errors import BadInput, NotApplicable

SHAPE = "inside"


def load(*, best_slot: int | None = None, **options: Any) -> Inside:
    """PINE with the most important segment at `best_slot` (0-based) for every token of the question and the answer.

    Ours: PINE always puts it last, which is where a model with recency reads best and one with primacy reads worst.
    Measure the slots on a calibration split, for example with `best_slot(answers)`, and report on other probes. The
    other segments follow by importance from the question backwards. Between segments PINE stays as it is. Options:
    `order`, `engine`, `layers`, `heads`. Raises BadInput without `best_slot`.
    """
    known_options("profile_pine", options, own=("best_slot",))
    if isinstance(best_slot, bool) or not isinstance(best_slot, int) or best_slot < 0:
        raise BadInput(
            f"profile_pine: best_slot={best_slot!r}; give the slot, counted from 0, where this model measured best on "
            "probes that are not reported"
        )
    return engine_patch("profile_pine", _rule(best_slot), stack=True, options=options)


def best_slot(answers: Sequence[Answer]) -> int:
    """The slot, counted from 0, with the highest accuracy; the mean log-probability of the right option breaks ties.

    Every probe counts once per slot. Raises NotApplicable where a slot has no answer.
    """
    count = slots(answers)
    right: list[list[float]] = [[] for _ in range(count)]
    sure: list[list[float]] = [[] for _ in range(count)]
    for answer in answers:
        if answer.asked.slot is not None:
            right[answer.asked.slot].append(float(answer.correct))
            if answer.gold_logprob is not None:
                sure[answer.asked.slot].append(answer.gold_logprob)
    empty = [slot for slot in range(count) if not right[slot]]
    if empty:
        raise NotApplicable(f"profile_pine: not applicable: slot {empty[0] + 1} of {count} has no answer to measure")
    scores = [(np.mean(r), np.mean(s) if s else 0.0) for r, s in zip(right, sure)]
    return max(range(count), key=lambda slot: scores[slot])


def _rule(best: int) -> Callable[[int], Rule]:
    def rule(n_segments: int) -> Rule:
        if best >= n_segments:
            raise BadInput(f"profile_pine: best_slot {best} (from 0), but a prompt has {n_segments} segments")
        rest = [slot for slot in range(n_segments - 1, -1, -1) if slot != best]
        return Pine(slots=(best, *rest))

    return rule
