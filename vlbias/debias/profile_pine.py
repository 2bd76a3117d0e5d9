"""Profile PINE: the most important segment stands where this model reads best, not always next to the question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlbias.answers import Answer, slots
from vlbias.attention.contract import Pine, Rule
from vlbias.debias import Setting
from vlbias.debias._inside import Inside, engine_patch, known_options
from vlbias.errors import BadInput, NotApplicable
from vlbias.models import Model

SHAPE = "inside"


def load(*, best_slot: int | None = None, **options: Any) -> Inside | ProfilePine:
    """PINE with the most important segment at `best_slot` (0-based) for every token of the question and the answer.

    Ours: PINE always puts it last, which is where a model with recency reads best and one with primacy reads worst.
    Without `best_slot` it is measured first: `vlbias debias` does so on the fitting probes. The other segments follow
    by importance from the question backwards. Between segments PINE stays as it is. Options: `order`, `engine`,
    `layers`, `heads`, `sharing`. Raises BadInput for a `best_slot` that is no slot.
    """
    known_options("profile_pine", options, own=("best_slot",))
    unfitted = ProfilePine(options=options)
    if best_slot is None:
        return unfitted
    if isinstance(best_slot, bool) or not isinstance(best_slot, int) or best_slot < 0:
        raise BadInput(
            f"profile_pine: best_slot={best_slot!r}; give the slot, counted from 0, where this model measured best on "
            "probes that are not reported"
        )
    return unfitted.at(best_slot)


@dataclass(frozen=True, kw_only=True)
class ProfilePine:
    """Profile PINE before the best slot is known; `fitted` measures it."""

    options: Mapping[str, Any]

    def needs(self, setting: Setting) -> None:
        """What PINE needs, and answers to measure the best slot on."""
        self.at(0).needs(setting)
        if setting.n_fit is None:
            raise NotApplicable(
                "profile_pine: not applicable: no answers are at hand to measure the best slot on; give best_slot=K "
                "(from 0), or use vlbias debias RUN, which measures it on probes that it does not report"
            )

    def applied(self, model: Model) -> AbstractContextManager[Model]:
        """Refused: the best slot is not known yet."""
        raise NotApplicable("profile_pine: not applicable: the best slot is not measured; give best_slot=K (from 0)")

    def fitted(self, answers: Sequence[Answer]) -> Inside:
        """The patch for the slot where these answers are best; they may not be answers that are reported."""
        return self.at(best_slot(answers))

    def at(self, slot: int) -> Inside:
        """The patch for a slot, counted from 0."""
        return engine_patch("profile_pine", _rule(slot), stack=True, options=self.options)


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
