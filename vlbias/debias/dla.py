"""Dual learning of how often each place is picked whatever stands there, from logs in which nothing was shuffled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import needs_fit, needs_logprobs, needs_places, refuse_unknown
from vlbias.debias._prior import PriorCorrection, prior_from_json, prior_table
from vlbias.debias._propensity import dual_learning
from vlbias.debias._scores import Floats, cell, gold_place, logprobs, plain
from vlbias.errors import NotApplicable
from vlbias.records import Prompt

SHAPE = "after"
FEWEST_PER_PLACE = 2
Row = tuple[Floats, tuple[int, ...]]


def load(*, per_slot: bool = True, **unknown: object) -> DLA:
    """Dual learning with the options' displayed places as ranks."""
    refuse_unknown("dla", load, unknown)
    return DLA(per_slot=per_slot)


@dataclass(frozen=True, kw_only=True)
class DLA:
    """The dual learning algorithm (Ai et al., SIGIR 2018) on options: a place is a rank, its probability a click.

    What an option is worth is learned from whether it is the right one (the feature); how much a place is favoured
    is learned together with it, from the order of each probe as it stands. It needs the right option to be shown at
    each place by some probes. We differ: expected clicks (probabilities) in place of sampled ones, and the two losses
    are minimised in turn, each to its minimum, in place of steps of Adagrad.
    """

    STORED: ClassVar[bool] = True

    per_slot: bool

    def needs(self, setting: Setting) -> None:
        """Log-probabilities and probes to fit on."""
        needs_logprobs("dla", setting)
        needs_places("dla", setting)
        needs_fit("dla", setting)

    def asks(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """Nothing: logs as they stand are what it learns from."""
        return []

    def fit(self, answers: Sequence[Answer], *, rng: np.random.Generator) -> PriorCorrection:
        """The propensities of each cell, normalised. Errors: NotApplicable where a place never held a right option."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for answer in plain(answers):
            place, n = gold_place(answer), answer.asked.n_options
            if place is not None:
                feature = tuple(int(k == place) for k in range(n))
                rows[cell(answer.asked, per_slot=self.per_slot)].append((np.exp(logprobs(answer)), feature))
        if not rows:
            raise NotApplicable("dla: no fitting answer has a right option; nothing to fit on")
        logs = {name: self._propensities(name, rows[name]) for name in sorted(rows)}
        return PriorCorrection(method="dla", per_slot=self.per_slot, prior=prior_table(logs))

    def from_json(self, saved: Mapping[str, Any]) -> PriorCorrection:
        """Saved propensities."""
        return prior_from_json("dla", saved)

    def _propensities(self, name: str, rows: list[Row]) -> Floats:
        clicks_NK = np.stack([p for p, _ in rows])
        feature_NK = np.array([feature for _, feature in rows])
        held_K = feature_NK.sum(axis=0)
        if held_K.min() < FEWEST_PER_PLACE:
            place = int(held_K.argmin())
            raise NotApplicable(
                f"dla: {name}: the right option stood at place {place + 1} in {held_K[place]} fitting probes, it needs "
                f"{FEWEST_PER_PLACE}; raise --fit_share or use a suite with balanced option orders"
            )
        found: Floats = np.log(dual_learning(clicks_NK, feature_NK).propensity_K)
        return found
