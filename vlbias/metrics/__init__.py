"""Metrics: outcomes become estimates. One file, one metric; the file's name is the name in `--metrics`.

Contract of a file here: `measure(outcomes, *, rng) -> list[Estimate]`. A metric never sees a correction, never drops
a probe silently, and gives `value=None` with a note rather than a number it does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from vlbias.answers import Outcome
from vlbias.estimates import Estimate


class Metric(Protocol):
    """A file of this room."""

    def measure(self, outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
        """The estimates of this metric, for all tasks together and for each."""
