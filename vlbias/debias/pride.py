"""PriDe: finds the model's prior over displayed places from rotations of the options, and divides it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import needs_fit, needs_logprobs, needs_model, needs_places, refuse_unknown
from vlbias.debias._prior import PriorCorrection, mean_by_cell, prior_from_json, prior_table
from vlbias.debias._rotations import complete, rotations
from vlbias.debias._scores import Floats, cell, logprobs, normalised
from vlbias.errors import NotApplicable
from vlbias.records import Prompt

SHAPE = "after"


def load(*, per_slot: bool = True, **unknown: object) -> PriDe:
    """PriDe with one prior for each slot of the evidence, or with one prior for all as published."""
    refuse_unknown("pride", load, unknown)
    return PriDe(per_slot=per_slot)


@dataclass(frozen=True, kw_only=True)
class PriDe:
    """PriDe (Zheng et al., ICLR 2024, arXiv 2309.03882): the prior of a sample is softmax_k mean_pi log p(k | pi x).

    It is exact where p(place) is proportional to prior(place) times content(option shown there). The prior of a cell
    is the mean of its samples' priors. We differ: priors per slot by default (a single one cannot change how slots
    compare), all options are scored exactly so nothing is added inside the logarithm, and the probes used for the
    prior are never reported.
    """

    per_slot: bool

    def needs(self, setting: Setting) -> None:
        """Log-probabilities, the model to ask rotations, and probes to fit on."""
        needs_logprobs("pride", setting)
        needs_places("pride", setting)
        needs_model("pride", setting)
        needs_fit("pride", setting)

    def asks(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """The other rotations of the options: with the trial itself, each option stands at each place once."""
        return rotations(prompt, write=write)

    def fit(self, answers: Sequence[Answer], *, rng: np.random.Generator) -> PriorCorrection:
        """The mean of the samples' priors. A sample whose rotations are not all answered is left out."""
        found = [(cell(group[0].asked, per_slot=self.per_slot), sample_prior(group)) for group in complete(answers)]
        if not found:
            raise NotApplicable("pride: no trial has an answer to every rotation of its options; nothing to fit on")
        means = mean_by_cell((name, np.exp(log_prior_O)) for name, log_prior_O in found)
        return PriorCorrection(
            method="pride", per_slot=self.per_slot, prior=prior_table({n: np.log(p) for n, p in means.items()})
        )

    def from_json(self, saved: Mapping[str, Any]) -> PriorCorrection:
        """A saved prior."""
        return prior_from_json("pride", saved)


def sample_prior(group: Sequence[Answer]) -> Floats:
    """The logarithm of one sample's prior over places."""
    return normalised(np.mean([logprobs(answer) for answer in group], axis=0))
