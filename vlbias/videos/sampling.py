"""Where in a clip frames are taken."""

from __future__ import annotations

from typing import Literal

Rule = Literal["midpoints", "linspace"]
RULES: tuple[Rule, ...] = ("midpoints", "linspace")


def timestamps(*, start_s: float, end_s: float, count: int, rule: Rule, fps: float | None = None) -> tuple[float, ...]:
    """`count` times in seconds on [start_s, end_s), rising.

    midpoints: the midpoints of `count` equal parts. linspace: Video-LevelGauge's frame numbers int(i (N-1) / (n-1)) of
    the N frames in the part, each asked at the middle of its display, so that a container's rounding of times cannot
    shift it by one; needs `fps`, exact for a constant frame rate. Errors: ValueError on an empty part, a count
    below 1, or linspace without `fps`.
    """
    if count < 1 or not 0 <= start_s < end_s:
        raise ValueError(f"wanted count >= 1 and 0 <= start_s < end_s, found {count}, {start_s}, {end_s}")
    length_s = end_s - start_s
    if rule == "midpoints":
        return tuple(start_s + (k + 0.5) * length_s / count for k in range(count))
    if rule != "linspace":
        raise ValueError(f"unknown sampling rule {rule!r}; known: {', '.join(RULES)}")
    if fps is None or fps <= 0:
        raise ValueError(f"the rule linspace needs the frame rate, found {fps}")
    n_frames = max(1, round(length_s * fps))
    step = (n_frames - 1) / (count - 1) if count > 1 else 0.0
    return tuple(min(start_s + (int(k * step + 1e-9) + 0.5) / fps, end_s - 0.25 / fps) for k in range(count))
