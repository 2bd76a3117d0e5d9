"""Vector scaling per slot: a scale and a bias for each displayed place, fitted in each slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import at_least, needs_fit, needs_logprobs, needs_places, refuse_unknown
from vlbias.debias._slot_logistic import LogisticCorrection, fit_logistic, logistic_from_json
from vlbias.records import Prompt

SHAPE = "after"
METHOD = "vector_per_slot"


def load(*, per_slot: bool = True, ridge: float = 1.0, **unknown: object) -> VectorPerSlot:
    """A scale and a bias per place and slot; `ridge` is the strength of the pull towards no change."""
    refuse_unknown(METHOD, load, unknown)
    at_least(METHOD, "ridge", ridge, low=0.0)
    return VectorPerSlot(per_slot=per_slot, ridge=float(ridge))


@dataclass(frozen=True, kw_only=True)
class VectorPerSlot:
    """Vector scaling (Guo et al. 2017) in each slot, fitted on the probability of the right option.

    A strong simple baseline: it can undo any prior over places that depends on the slot, with labels and without a
    further question to the model.
    """

    STORED: ClassVar[bool] = True

    per_slot: bool
    ridge: float

    def needs(self, setting: Setting) -> None:
        """Log-probabilities and probes to fit on."""
        needs_logprobs(METHOD, setting)
        needs_places(METHOD, setting)
        needs_fit(METHOD, setting)

    def asks(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """Nothing: the stored rows are enough."""
        return []

    def fit(self, answers: Sequence[Answer], *, rng: np.random.Generator) -> LogisticCorrection:
        """The scales and biases of each slot."""
        return fit_logistic(answers, method=METHOD, per_slot=self.per_slot, vector=True, ridge=self.ridge)

    def from_json(self, saved: Mapping[str, Any]) -> LogisticCorrection:
        """A saved correction."""
        return logistic_from_json(METHOD, saved)
