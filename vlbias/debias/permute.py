"""Permutation: asks the trial in several orders of its segments or options and averages what comes back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import Literal

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import (
    at_least,
    needs_logprobs,
    needs_model,
    needs_options,
    needs_places,
    one_of,
    refuse_unknown,
    segments,
)
from vlbias.debias._merging import merged, voted
from vlbias.debias._scores import by_option
from vlbias.debias._segments import options_reordered, reordered
from vlbias.errors import NotApplicable
from vlbias.records import Prompt, Trial

SHAPE = "before"
MOST_ORDERS = 720


def load(
    *, over: str = "segments", rule: str = "cyclic", k: int = 4, merge: str = "mean", **unknown: object
) -> Permute:
    """Permutation.

    `over` is segments or options; `rule` is cyclic (every rotation), full (every order) or random (the order as it is
    and `k` - 1 others); `merge` is mean (of log-probabilities) or vote.
    """
    refuse_unknown("permute", load, unknown)
    one_of("permute", "over", over, known=("segments", "options"))
    one_of("permute", "rule", rule, known=("cyclic", "full", "random"))
    one_of("permute", "merge", merge, known=("mean", "vote"))
    at_least("permute", "k", k, low=2)
    return Permute(over=over, rule=rule, k=int(k), vote=merge == "vote")  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Permute:
    """Average over orders (self-consistency over permutations; PriDe's own baseline, arXiv 2309.03882).

    Over all rotations of the segments the evidence visits every slot once, so what is left cannot depend on the slot
    it came from, whatever the model does: the gap between slots is closed by construction where backgrounds are
    exchangeable. It costs as many passes as orders. The mean of log-probabilities is the geometric mean of the
    distributions; votes need no log-probabilities.
    """

    over: Literal["segments", "options"]
    rule: Literal["cyclic", "full", "random"]
    k: int
    vote: bool

    def needs(self, setting: Setting) -> None:
        """The model, log-probabilities unless it votes, and few enough orders."""
        needs_model("permute", setting)
        needs_options("permute", setting)
        if not self.vote:
            needs_logprobs("permute", setting)
        if self.over == "options":
            needs_places("permute", setting)
        n = segments(setting) if self.over == "segments" else setting.n_options
        if n < 2:
            other = "; over=options permutes the options" if self.over == "segments" else ""
            raise NotApplicable(f"permute: not applicable: there is one {self.over[:-1]}, so there is one order{other}")
        if self.rule == "full" and factorial(n) > MOST_ORDERS:
            raise NotApplicable(
                f"permute: not applicable: {n} {self.over} have {factorial(n)} orders, more than {MOST_ORDERS}; "
                "use rule=cyclic or rule=random"
            )

    def expand(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """The prompt and its other orders."""
        trial = prompt.trial
        assert trial is not None
        n = len(trial.segments) if self.over == "segments" else len(trial.options)
        others = [order for order in self._orders(n, rng) if order != tuple(range(n))]
        return [prompt, *(write(self._changed(trial, order)) for order in others)]

    def merge(self, trial: Trial, answers: Sequence[Answer]) -> Answer:
        """The mean of the log-probabilities of each option, or the vote."""
        if self.vote:
            return voted(trial, answers)
        return merged(trial, answers, np.mean([by_option(a) for a in answers], axis=0))

    def _orders(self, n: int, rng: np.random.Generator) -> Iterator[tuple[int, ...]]:
        if self.rule == "full":
            yield from permutations(range(n))
        elif self.rule == "cyclic":
            yield from (tuple((turn + place) % n for place in range(n)) for turn in range(n))
        else:
            found: set[tuple[int, ...]] = {tuple(range(n))}
            while len(found) < min(self.k, factorial(n)):
                order = tuple(int(x) for x in rng.permutation(n))
                if order not in found:
                    found.add(order)
                    yield order

    def _changed(self, trial: Trial, order: tuple[int, ...]) -> Trial:
        name = f"{self.over}:{'.'.join(map(str, order))}"
        if self.over == "segments":
            return reordered(trial, order, what=name)
        return options_reordered(trial, order, what=name)
