"""Makes one answer of several: the scores are put in the trial's own displayed order, the tokens are summed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Answer, asked
from vlbias.debias._scores import Floats, rescored
from vlbias.errors import NotApplicable
from vlbias.records import Trial


def merged(trial: Trial, answers: Sequence[Answer], scores_by_option_O: Floats) -> Answer:
    """The answer to `trial` with scores in the suite's order of options. Its tokens are those of all answers."""
    first = answers[0]
    counts = [a.audit.n_tokens for a in answers]
    total = None if any(n is None for n in counts) else sum(n for n in counts if n is not None)
    own = replace(first, asked=asked(trial), audit=replace(first.audit, n_tokens=total))
    return rescored(own, np.asarray(scores_by_option_O, dtype=np.float64)[list(trial.option_order)])


def voted(trial: Trial, answers: Sequence[Answer]) -> Answer:
    """The option that most answers chose; log-probabilities are those of the votes, with one half vote for each option.

    A tie goes to the option with the higher mean probability where there are any, else to the first answer's choice.
    """
    counts_O = np.zeros(len(trial.options))
    for answer in answers:
        if answer.chosen is None:
            raise NotApplicable(f"trial {answer.asked.trial_id}: an open answer cannot vote")
        counts_O[answer.chosen] += 1
    ties_O = np.zeros(len(trial.options))
    if all(a.logprobs is not None for a in answers):
        for answer in answers:
            ties_O[list(answer.asked.option_order)] += np.exp(np.asarray(answer.logprobs)) / len(answers)
    elif answers[0].chosen is not None:
        ties_O[answers[0].chosen] = 1.0
    return merged(trial, answers, np.log(counts_O + 0.5) + 1e-9 * ties_O)
