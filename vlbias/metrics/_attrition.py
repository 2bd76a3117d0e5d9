"""Tests whether missing answers depend on the slot, which would make every curve suspect."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from vlbias.answers import Failure, Outcome, slots
from vlbias.metrics._blocks import Floats, cluster_sums, rows
from vlbias.metrics._resample import Resampling, p_at_least

ALARM = 0.01


def attrition_p(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> float | None:
    """The p-value that missing answers depend on the slot, slots permuted within clusters; None without a row.

    A failure and a cell that has no row at all both count as missing, where the slot was asked of any probe: a sweep
    over chosen slots leaves the others out of the test.
    """
    found = [r for r in rows(outcomes) if r.asked.slot is not None]
    if not found:
        return None
    n_slots = slots(found)
    missing: dict[tuple[str, str], Floats] = defaultdict(lambda: np.ones(n_slots))
    for row in sorted(found, key=lambda r: isinstance(r, Failure)):
        slot = row.asked.slot
        assert slot is not None
        missing[row.asked.cluster_id, row.asked.probe_id][slot] = float(isinstance(row, Failure))
    keys, asked = sorted(missing), sorted({r.asked.slot for r in found if r.asked.slot is not None})
    cluster_N = np.unique([c for c, _ in keys], return_inverse=True)[1].reshape(-1)
    sums_GP = cluster_sums(np.array([missing[k][asked] for k in keys]), cluster_N)
    total_P = sums_GP.sum(axis=0)
    null_B = Resampling(rng).curves(sums_GP).var(axis=1)
    return p_at_least(null_B, float(total_P.var()))
