"""Says how full the prompts made the model's context window."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vlbias.answers import Outcome
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import rows
from vlbias.metrics._means import mean_estimate


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """The mean share of the context window that a prompt takes, in percent; `notes` hold the least and the most.

    Trials without an answer have no count of tokens and do not enter; a model that tells no window has no share.
    """
    asked = rows(outcomes)
    if not asked:
        return []
    found = [(row, ratio) for row in asked if row.audit and (ratio := row.audit.fill_ratio) is not None]
    if not found:
        audits = [row.audit for row in asked if row.audit is not None]
        windowed = any(audit.context_window for audit in audits)
        why = "no prompt has a count of tokens" if windowed or not audits else "the model tells no context window"
        return [Estimate(metric="context_fill", unit="%", notes=(why,))]
    shares = [100.0 * ratio for _, ratio in found]
    note = f"from {min(shares):.3g} to {max(shares):.3g} %"
    blank = Estimate(metric="context_fill", unit="%", notes=(note,))
    return [mean_estimate(blank, shares, [row.asked.cluster_id for row, _ in found], rng=rng)]
