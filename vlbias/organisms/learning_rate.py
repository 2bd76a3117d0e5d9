"""The one course that every learning rate here takes: a warm-up, a plateau, and a straight fall to a twentieth."""

from __future__ import annotations

WARM_UP_STEPS = 100


def share(step: int, *, steps: int, fall_at: float, first: int = 0) -> float:
    """The share of the full rate at `step`, when training began at step `first` and falls from share `fall_at` on.

    >>> [round(share(step, steps=1000, fall_at=0.8), 3) for step in (49, 500, 900, 1000)]
    [0.5, 1.0, 0.525, 0.05]
    """
    fall = max(0.0, (step / steps - fall_at) / (1 - fall_at))
    return min(1.0, (step - first + 1) / WARM_UP_STEPS) * (1 - 0.95 * fall)
