"""Says which effect of position a run could have found, from how its own answers scatter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vlbias.answers import Outcome
from vlbias.errors import BadInput
from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Cell, blocks, gold_points, right_points, rows
from vlbias.metrics._detectable import components, smallest_effect

OUTCOMES: tuple[tuple[str, Cell], ...] = (("accuracy", right_points), ("gold_probability", gold_points))
POWER, SHAPE = 0.8, "head"
SIMULATED = "not available: simulated from the scatter of this run"


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """The smallest head effect, in points from the best slot to the worst, that this run finds with power 80 %.

    By simulation from the run's variance components and its own numbers of probes and clips, through the gate of the
    shape; accuracy and the right option's probability apart. An effect half as large needs four times the clips.
    """
    if not outcomes:
        return []
    out = []
    for name, value in OUTCOMES:
        found = blocks(outcomes, value)
        blank = Estimate(metric=f"{name}_smallest_detectable_effect", unit="points", n=found.n,
                         clusters=found.n_clusters, interval=SIMULATED, notes=found.notes)  # fmt: skip
        if not rows(outcomes) or found.n_clusters < 2:
            why = "needs two clusters of probes with a value at every slot"
            out.append(replace(blank, notes=(why, *found.notes)))
            continue
        try:
            noise = components(found.values_NP / 100, found.cluster_N, source="this run")
        except BadInput as error:
            out.append(replace(blank, notes=(str(error), *found.notes)))
            continue
        seed = int(rng.integers(2**31))
        least = smallest_effect(noise, np.bincount(found.cluster_N), shape=SHAPE, power=POWER, seed=seed)
        why = f"a {SHAPE} effect found with power {100 * POWER:.0f} %; questions of one clip correlate "
        notes = (f"{why}{noise.clip_correlation:.2f}", *found.notes)
        if least is None:
            notes = (f"no {SHAPE} effect up to 100 points is found with power {100 * POWER:.0f} %", *found.notes)
        out.append(replace(blank, value=None if least is None else 100 * least, notes=notes))
    return out
