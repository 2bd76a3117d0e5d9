"""LQCD: contrasts the neutral question with questions that lead towards one option or another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import at_least, needs_logprobs, needs_model, refuse_unknown
from vlbias.debias._contrast import merge_contrast
from vlbias.debias._scores import marked
from vlbias.records import Prompt, Trial

SHAPE = "before"
LEAD = "{question} Surely the answer is: {option}."


def load(*, alpha: float = 1.0, beta: float = 0.1, **unknown: object) -> LQCD:
    """Leading-query contrastive decoding."""
    refuse_unknown("lqcd", load, unknown)
    at_least("lqcd", "alpha", alpha, low=0.0)
    at_least("lqcd", "beta", beta, low=0.0)
    return LQCD(alpha=float(alpha), beta=float(beta))


@dataclass(frozen=True, kw_only=True)
class LQCD:
    """LQCD (arXiv 2408.11261): (1 + alpha) l(neutral) - alpha l(leading), with the plausibility cut of VCD.

    The published method is given a leading question and neutralises it. A probe's question is neutral already, so we
    make leading ones, one for each option, and contrast with their mean: no option is favoured by the lead itself.
    """

    alpha: float
    beta: float

    def needs(self, setting: Setting) -> None:
        """Log-probabilities and the model."""
        needs_model("lqcd", setting)
        needs_logprobs("lqcd", setting)

    def expand(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """The prompt, and one leading question per option."""
        trial = prompt.trial
        assert trial is not None
        return [prompt, *(write(_leading(trial, option)) for option in range(len(trial.options)))]

    def merge(self, trial: Trial, answers: Sequence[Answer]) -> Answer:
        """The contrast of the neutral question with the mean of the leading ones."""
        return merge_contrast(trial, answers, alpha=self.alpha, beta=self.beta)


def _leading(trial: Trial, option: int) -> Trial:
    probe = trial.probe
    question = LEAD.format(question=probe.question, option=probe.options[option])
    return marked(replace(trial, probe=replace(probe, question=question)), f"leading:{option}")
