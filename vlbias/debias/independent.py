"""Independent: scores each segment alone and keeps the surest; there is no order, so there is no position bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import needs_logprobs, needs_model, one_of, refuse_unknown, segments
from vlbias.debias._merging import merged
from vlbias.debias._scores import Floats, by_option, marked
from vlbias.errors import NotApplicable
from vlbias.records import Prompt, Trial

SHAPE = "before"


def load(*, merge: str = "surest", **unknown: object) -> Independent:
    """Each segment alone; `merge` is surest (the segment with the least entropy answers) or mean (of log-probs)."""
    refuse_unknown("independent", load, unknown)
    one_of("independent", "merge", merge, known=("surest", "mean"))
    return Independent(surest=merge == "surest")


@dataclass(frozen=True, kw_only=True)
class Independent:
    """The zero-bias reference: the set of prompts does not depend on the order, and neither does the merged answer.

    It sees no two segments together, so it cannot answer what needs both. Among equally sure segments the mean
    answers, so that no order decides.
    """

    surest: bool

    def needs(self, setting: Setting) -> None:
        """Log-probabilities, the model, two segments, and an answer that stands in one of them."""
        needs_model("independent", setting)
        needs_logprobs("independent", setting)
        if segments(setting) < 2:
            raise NotApplicable("independent: not applicable: there is one segment, which stands alone already")
        if setting.answer_is_segment:
            raise NotApplicable(
                "independent: not applicable: the answer is a place in the order, which a segment alone does not have"
            )

    def expand(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """One prompt for each segment."""
        trial = prompt.trial
        assert trial is not None
        if len(trial.segments) == 1:
            return [prompt]
        return [write(_alone(trial, place)) for place in range(len(trial.segments))]

    def merge(self, trial: Trial, answers: Sequence[Answer]) -> Answer:
        """The answer of the surest segment, or the mean over segments."""
        logs_NO = np.stack([by_option(a) for a in answers])
        return merged(trial, answers, _of_the_surest(logs_NO) if self.surest else logs_NO.mean(axis=0))


def _alone(trial: Trial, place: int) -> Trial:
    segment = trial.segments[place]
    return marked(replace(trial, segments=(segment,), slot=None), f"alone:{segment.segment_id}")


def _of_the_surest(logs_NO: Floats) -> Floats:
    entropy_N = -(np.exp(logs_NO) * logs_NO).sum(axis=1)
    best = entropy_N <= entropy_N.min() + 1e-9
    chosen: Floats = logs_NO[best].mean(axis=0)
    return chosen
