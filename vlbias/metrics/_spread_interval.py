"""The interval of a spread over places, a number that noise alone makes positive, by inverting a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import optimize

from vlbias.metrics._blocks import Floats
from vlbias.metrics._intervals import Limits
from vlbias.metrics._resample import BOOTSTRAP_DRAWS, ROUNDING, mid_quantiles, widening

INVERTED = (
    "test inverted along the observed differences, ties counted half; "
    f"noise by cluster bootstrap, {BOOTSTRAP_DRAWS} draws"
)
LOW, HIGH = 0.025, 0.975
PRECISION = 3e-3


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A number made of how places differ: `size` [draws] of a `deviation` [draws, D] that is 0 where none differs."""

    deviation: Callable[[Floats], Floats]
    size: Callable[[Floats], Floats]

    def __call__(self, sums_BCP: Floats) -> Floats:
        """The spread of each draw, [draws]."""
        return self.size(self.deviation(sums_BCP))


def limits_above_reference(
    size: Callable[[Floats], Floats], deviation_D: Floats, drawn_BD: Floats, null_B: Floats, *, n_clusters: int
) -> Limits:
    """The 95 % interval of the size of a deviation less its mean size without an effect.

    `drawn_BD` are the deviations of resamples and `null_B` the sizes where places are turned. The deviation seen is
    scaled, and the noise of the resamples is added, until what was observed is the 97.5 % (low) or the 2.5 % quantile
    (high) of the sizes. Where turned places explain what was observed, the limit is as far below 0 as their quantile is
    above it: such an interval holds 0 in 95 % of runs without an effect. Resamples as they are carry the noise of the
    questions twice and make intervals too wide there. Quantiles of turned places count ties half, as a mid-p-value does
    (Lancaster 1961): where questions share their luck a spread takes few values, and ties counted whole would hold 0 in
    more than 97 %.
    """
    noise_BD = (drawn_BD - drawn_BD.mean(axis=0)) * widening(n_clusters)
    observed = float(size(deviation_D[None])[0])
    least, most = mid_quantiles(null_B, (LOW, HIGH))

    def limit(level: float) -> float:
        @cache
        def short(scale: float) -> float:
            return float(np.quantile(size(scale * deviation_D + noise_BD), level)) - observed

        if short(0.0) >= 0:
            return 0.0
        top = 1.0
        while short(top) < 0:
            top *= 2
        scale = optimize.brentq(short, 0.0, top, xtol=PRECISION)
        return max(0.0, float((size(scale * deviation_D + noise_BD) - size(noise_BD)).mean()))

    slack = ROUNDING * max(1.0, observed)
    low = min(0.0, observed - float(most)) if observed <= most + slack else limit(HIGH)
    high = min(0.0, observed - float(least)) if observed < least - slack else limit(LOW)
    return low, high
