"""What is said of the answers, and what was run to get them: the records that reports are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
class Verification:
    """What came of asking some prompts again without sharing.

    `largest_nats` is the largest difference of an option's log-probability, None where no prompt was answered both
    ways; `tolerance` is the share of the largest log-probability beyond which a run stops.
    """

    n_chosen: int
    n_compared: int
    largest_nats: float | None
    tolerance: float


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
    verification: Verification | None = None
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
    """Two or more runs compared probe by probe. `curves[r][k]` is the accuracy of run r at slot k, in points.

    `grid_rc` is the number of rows and columns where the slots are the cells of an image, in raster order.
    """

    runs: tuple[str, ...]
    suite_sha256: str
    n_slots: int
    n_probes: int
    n_clusters: int
    curves: tuple[tuple[float, ...], ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    grid_rc: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """One number before and after a correction, in points, and the paired difference with its interval and p-value."""

    before: float
    before_interval: tuple[float, float]
    after: float
    after_interval: tuple[float, float]
    change: float
    change_interval: tuple[float, float]
    p_value: float
    interval: str
    p_adjusted: float = 1.0


@dataclass(frozen=True, kw_only=True)
class MethodCost:
    """What a correction costs beside one vanilla pass over the same trials.

    `passes` counts prompts per trial (1 is vanilla) and `tokens` is the multiple of vanilla's tokens, None where
    tokens are not counted. `fit_prompts` were asked once, to fit. `time` is the multiple of the seconds that vanilla
    takes for the same trials in the same batches, encodings and prefixes shared by both; None where no model was timed.
    `computed` is the same multiple of the tokens that went through the model, what is shared counted once; None where
    they are not seen. `peak_bytes` is the most memory at a time beyond what was held before asking (see
    `models._counting`), None where it cannot be had: `peak_reason` says why.
    """

    passes: float
    tokens: float | None
    seconds_per_trial: float
    fit_prompts: int
    time: float | None = None
    computed: float | None = None
    peak_bytes: int | None = None
    peak_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class MapProof:
    """A way of asking before and after a method; `planned` names the contrast that fitting items show clearest."""

    task: str
    before: tuple[Estimate, ...]
    after: tuple[Estimate, ...]
    changes: Mapping[str, Change]
    planned: str | None


@dataclass(frozen=True, kw_only=True)
class MethodProof:
    """What a correction does on held-out probes: `changes` of accuracy, gap and head_minus_tail, by name.

    `reduction` is the share of the gap that is gone with its interval, None where there was no gap.
    `recall_spread` is RStd before and after. `flips` are the flip rates before and after: the share of probes whose
    choice changes with the slot, in points. `n` counts probes.
    """

    method: str
    n: int
    clusters: int
    changes: Mapping[str, Change]
    reduction: tuple[float, float, float] | None
    curve_before: tuple[float, ...]
    curve_after: tuple[float, ...]
    recall_spread: tuple[float | None, float | None]
    flips: tuple[Estimate, Estimate]
    failures: int
    shape: str = ""
    cost: MethodCost | None = None
    maps: tuple[MapProof, ...] = ()

    @property
    def loses_accuracy(self) -> bool:
        """Whether accuracy falls significantly, adjusted over the methods."""
        accuracy = self.changes["accuracy"]
        return accuracy.change < 0 and accuracy.p_adjusted < 0.05


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Methods beside each other on one run. `gap_slots` are the 0-based slots that were best and worst when fitting.

    `refused` says of each method that could not be applied why not. `position` is what curves, gaps and flips run over,
    the slot of the evidence or the place of the right option on display; `place_names` are those of sides and turns.
    """

    run_name: str
    model: str
    fit_share: float
    n_fit_clusters: int
    gap_slots: tuple[tuple[int, ...], tuple[int, ...]]
    vanilla_seconds_per_trial: float | None
    methods: tuple[MethodProof, ...]
    refused: Mapping[str, str]
    vanilla_peak_bytes: int | None = None
    position: Literal["slot", "option place", "side", "turn"] = "slot"
    place_names: tuple[str, ...] = ()

    @property
    def best(self) -> MethodProof | None:
        """Of the methods that lose no accuracy significantly, the one that takes most of the gap away.

        Of equals it is the one with the best accuracy.
        """
        sound = [(m.reduction[0], m.changes["accuracy"].change, m) for m in self.methods if m.reduction is not None]
        kept = [one for one in sound if not one[2].loses_accuracy]
        return max(kept, key=lambda one: one[:2])[2] if kept else None


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How alike the bias vectors of two runs are over `n_slots` places, as correlations of halves of the source clips.

    A ceiling is what two runs of one true vector would reach with this much noise; None where a run is not even like
    itself.
    """

    first: str
    second: str
    n_slots: int
    pearson: Estimate
    spearman: Estimate
    pearson_ceiling: float | None
    spearman_ceiling: float | None


@dataclass(frozen=True, kw_only=True)
class Carried:
    """A correction fitted on one run and proved on held-out probes of a run; `proof` is None where it is refused."""

    method: str
    fitted_on: str
    applied_to: str
    proof: MethodProof | None
    refused: str | None = None


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Whether a bias, and what corrects it, carries over between runs.

    `vectors` are bias vectors in points; `models` names the model of each run, other models by other names. `position`
    and `place_names` are what vectors and gaps run over, as of a `Proof`.
    """

    runs: tuple[str, ...]
    fit_share: float
    n_fit_clusters: int
    outcome: str
    vectors: Mapping[str, tuple[Estimate, ...]]
    likenesses: tuple[Likeness, ...]
    carried: tuple[Carried, ...]
    models: Mapping[str, str]
    position: Literal["slot", "option place", "side", "turn"] = "slot"
    place_names: tuple[str, ...] = ()
