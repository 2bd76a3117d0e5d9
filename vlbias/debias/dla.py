"""How often each place is picked whatever stands there: learned from logs as they stand, or from shuffled options."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import needs_fit, needs_logprobs, needs_model, needs_places, one_of, refuse_unknown
from vlbias.debias._prior import PriorCorrection, prior_from_json, prior_table
from vlbias.debias._propensity import dual_learning, shuffled_ratios
from vlbias.debias._rotations import complete, rotations
from vlbias.debias._scores import Floats, cell, gold_place, logprobs, plain
from vlbias.errors import NotApplicable
from vlbias.records import Prompt

SHAPE = "after"
FEWEST_PER_PLACE = 2
Row = tuple[Floats, tuple[int, ...]]


def load(*, logs: str = "as_shown", per_slot: bool = True, **unknown: object) -> DLA | ShuffledIPW:
    """Displayed places as ranks; `logs` is as_shown (dual learning) or shuffled (all rotations are asked)."""
    refuse_unknown("dla", load, unknown)
    one_of("dla", "logs", logs, known=("as_shown", "shuffled"))
    return DLA(per_slot=per_slot) if logs == "as_shown" else ShuffledIPW(per_slot=per_slot)


@dataclass(frozen=True, kw_only=True)
class DLA:
    """The dual learning algorithm (Ai et al., SIGIR 2018) on options: a place is a rank, its probability a click.

    What an option is worth is learned from whether it is the right one (the feature); how much a place is favoured
    is learned together with it, from the order of each probe as it stands. It needs the right option to be shown at
    each place by some probes. We differ: expected clicks (probabilities) in place of sampled ones, and from the two
    losses we go on to the likelihood behind both, which is less noisy (`_propensity.dual_learning`).
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


@dataclass(frozen=True, kw_only=True)
class ShuffledIPW:
    """Inverse propensity weighting with propensities from shuffled options (the reference estimate of Ai et al. 2018).

    Over all rotations of its options each option stands at each place once, so places differ in nothing but how they
    are favoured: the propensity of a place is its mean probability over that of the first. Exact for clicks that do
    not depend on what stands beside; for probabilities, which share one sum, it understates a strong preference
    (`pride` does not).
    """

    per_slot: bool

    def needs(self, setting: Setting) -> None:
        """Log-probabilities, the model to ask rotations, and probes to fit on."""
        needs_logprobs("dla", setting)
        needs_places("dla", setting)
        needs_model("dla", setting)
        needs_fit("dla", setting)

    def asks(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """The other rotations of the options."""
        return rotations(prompt, write=write)

    def fit(self, answers: Sequence[Answer], *, rng: np.random.Generator) -> PriorCorrection:
        """The propensities of each cell, normalised. A trial whose rotations are not all answered is left out."""
        clicks: dict[str, list[Floats]] = defaultdict(list)
        for group in complete(answers):
            clicks[cell(group[0].asked, per_slot=self.per_slot)] += [np.exp(logprobs(a)) for a in group]
        if not clicks:
            raise NotApplicable("dla: no trial has an answer to every rotation of its options; nothing to fit on")
        logs = {name: np.log(shuffled_ratios(np.stack(clicks[name]))) for name in sorted(clicks)}
        return PriorCorrection(method="dla", per_slot=self.per_slot, prior=prior_table(logs))

    def from_json(self, saved: Mapping[str, Any]) -> PriorCorrection:
        """Saved propensities."""
        return prior_from_json("dla", saved)
