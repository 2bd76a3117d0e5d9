"""Contrastive decoding on option scores: what the model says with content against what it says without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vlbias.answers import Answer
from vlbias.debias._merging import merged
from vlbias.debias._scores import Floats, by_option
from vlbias.records import Trial

CUT = 60.0  # how far below the best an implausible option is put, in nats: finite, so that it can be stored


def contrasted(logs_O: Floats, free_O: Floats, *, alpha: float, beta: float) -> Floats:
    """(1 + alpha) l - alpha l_free for plausible options, with l >= log(beta) + max l; the others are put far below.

    From VCD (Leng et al., CVPR 2024, eq. 3 and 4). alpha = 0 leaves the scores as they are; beta = 0 cuts nothing and
    beta = 1 keeps the best options only. We differ: scores are the options', not the whole vocabulary's, and an option
    that is cut keeps a finite score.
    """
    scores_O = (1.0 + alpha) * logs_O - alpha * free_O
    if beta <= 0:
        return np.asarray(scores_O)
    plausible = logs_O >= np.log(beta) + logs_O.max()
    below = scores_O[plausible].min() - CUT
    return np.where(plausible, scores_O, below + (logs_O - logs_O.max()) * 1e-6)


def merge_contrast(trial: Trial, answers: Sequence[Answer], *, alpha: float, beta: float) -> Answer:
    """The first answer contrasted with the mean log-probabilities of the others."""
    free_O = np.mean([by_option(a) for a in answers[1:]], axis=0)
    return merged(trial, answers, contrasted(by_option(answers[0]), free_O, alpha=alpha, beta=beta))
