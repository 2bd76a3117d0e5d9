"""Times two things alternately in one process, so that what slows the machine slows both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from vlbias.bench import Row

Work = Callable[[], Any]
Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times longer the first thing takes than the second.

    `value` is the ratio of the two minima, `low` and `high` the smallest and largest ratio of one round. Times are in
    seconds: CPU time of the process on the CPU, device time between two events on CUDA.
    """

    value: float
    low: float
    high: float
    first_s: tuple[float, ...]
    second_s: tuple[float, ...]

    def row(self, name: str) -> Row:
        """The ratio as a row of a benchmark, without a goal."""
        return Row(name=name, value=self.value, unit="x", low=self.low, high=self.high)


def alternate(
    first: Work,
    second: Work,
    *,
    rounds: int,
    device: str = "cpu",
    warm_up: bool = True,
    clock: Clock = time.process_time,
) -> Ratio:
    """Runs first, second, first, second, ... `rounds` times each and compares their times."""
    if rounds < 1:
        raise ValueError(f"rounds: found {rounds}; give 1 or more")
    if warm_up:
        first()
        second()
    pairs = [tuple(seconds(work, device=device, clock=clock) for work in (first, second)) for _ in range(rounds)]
    each = [one / other for one, other in pairs]
    ones, others = zip(*pairs)
    return Ratio(value=min(ones) / min(others), low=min(each), high=max(each), first_s=ones, second_s=others)


def seconds(work: Work, *, device: str = "cpu", clock: Clock = time.process_time) -> float:
    """What one call of `work` takes by the clock, which is this process's CPU time, or device time on CUDA."""
    if torch.device(device).type == "cuda":
        event: Any = torch.cuda.Event
        start, end = event(enable_timing=True), event(enable_timing=True)
        torch.cuda.synchronize()
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        return float(start.elapsed_time(end)) / 1000
    began = clock()
    work()
    return clock() - began
