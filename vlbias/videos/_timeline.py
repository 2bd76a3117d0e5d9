"""The frames that a file shows, by time, and which one is on display at an asked time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vlbias.errors import DecodeError


@dataclass(frozen=True, kw_only=True, eq=False)
class Timeline:
    """Start times of the frames shown, in seconds from the first, rising; `tick_s` is the file's unit of time."""

    starts_s: npt.NDArray[np.float64]
    duration_s: float
    tick_s: float

    @property
    def frame_s(self) -> float:
        """The mean time for which a frame is on display."""
        return self.duration_s / len(self.starts_s)

    def on_display(self, asked_s: Sequence[float], *, path: Path, decoder: str) -> list[int]:
        """The number of the frame on display at each asked time; DecodeError outside [0, duration_s).

        A time within half a tick before a frame's start counts as its start: containers round times to ticks.
        """
        for asked in asked_s:
            if not 0 <= asked < self.duration_s:
                reason = f"asked for {asked:.6g} s, the clip shows frames from 0 s to {self.duration_s:.6g} s only"
                raise DecodeError(path=str(path), decoder=decoder, reason=reason)
        late_s = np.asarray(asked_s, dtype=np.float64) + self.tick_s / 2
        return [int(k) for k in np.searchsorted(self.starts_s, late_s, side="right") - 1]
