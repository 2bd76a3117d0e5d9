"""What is said of the answers, and what was run to get them: the records that reports are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlbias.records import Identity


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What the estimate would be with no effect of position: mean and 95 % range, and the p-value against it."""

    mean: float
    low: float
    high: float
    p_value: float | None
    method: str


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its interval, its n, its clusters and its no-effect reference.

    `value` is None when it cannot be had (`notes` say why); `label` holds what is a word and not a number.
    `low` and `high` are None when no interval can be had (`interval` says why). `slot` is 0-based. `cell` is the place
    of a number that has two or more coordinates, 0-based: (row, column) of a map, as (content slot, label slot).
    """

    metric: str
    task: str = "all"
    slot: int | None = None
    value: float | None = None
    label: str | None = None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95
    interval: str = "not available"
    n: int = 0
    clusters: int | None = None
    reference: Reference | None = None
    adjusted: str | None = None
    notes: tuple[str, ...] = ()
    cell: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for number in (self.value, self.low, self.high):
            if number is not None and not math.isfinite(number):
                raise ValueError(f"{self.metric}: {number} is not a number that can be reported")
        if self.cell is not None and (len(self.cell) < 2 or min(self.cell) < 0):
            raise ValueError(f"{self.metric}: a cell has two or more coordinates from 0, found {self.cell}")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a run cost so far, summed over its sessions."""

    wall_s: float
    decode_s: float
    model_s: float
    n_forwards: int
    n_tokens: int
    n_clips_decoded: int
    peak_memory_bytes: int | None
    sessions: int


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What was run: enough, with the rows, to write every report again."""

    run_name: str
    created_utc: str
    finished_utc: str | None
    config: Mapping[str, Any]
    config_sha256: str
    suite: Mapping[str, Any]
    suite_sha256: str
    identity: Identity
    versions: Mapping[str, str]
    machine: Mapping[str, str]
    command: str
    canary: str
    cost: Cost
    n_asked: int
    notes: tuple[str, ...] = ()
    schema_version: int = 1


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One metric of one run less that of another, over the probes that all runs answered.

    `estimate` holds the difference with its interval; `p_value` is of the paired test and `p_adjusted` over the pairs
    of runs, by the method that `adjusted` names. Both are None when they cannot be had.
    """

    first: str
    second: str
    first_value: float
    second_value: float
    estimate: Estimate
    p_value: float | None
    p_adjusted: float | None
    adjusted: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two or more runs compared probe by probe. `curves[r][k]` is the accuracy of run r at slot k, in points."""

    runs: tuple[str, ...]
    suite_sha256: str
    n_slots: int
    n_probes: int
    n_clusters: int
    curves: tuple[tuple[float, ...], ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
