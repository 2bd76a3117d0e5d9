"""What came back: the rows of a results file, and what they say was asked."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from vlbias.records import Detection, FailureKind, ScoreLevel, Trial


@dataclass(frozen=True, kw_only=True)
class FrameAudit:
    """Where the pixels of one segment came from, as stored with every answer."""

    segment_id: str
    media_sha256: str | None
    frames_sha256: str | None
    timestamps_s: tuple[float, ...]
    decoder: str | None
    decoder_version: str | None


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What is needed to check one answer without asking again.

    Nothing here depends on the clock or on how often the run was interrupted, so an interrupted run ends with the
    same rows as an undisturbed one; times are kept apart, per session.
    """

    prompt_sha256: str
    segments: tuple[FrameAudit, ...]
    segment_spans: tuple[tuple[int, int], ...]
    n_tokens: int | None
    n_frames: int
    batch_size: int
    context_window: int | None = None

    @property
    def fill_ratio(self) -> float | None:
        """The share of the model's context window that the prompt takes, 0..1; None where either is not known."""
        if self.n_tokens is None or not self.context_window:
            return None
        return self.n_tokens / self.context_window


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The part of a stored row that says what was asked; it is the same for an answer and a failure."""

    trial_id: str
    probe_id: str
    cluster_id: str
    background_ids: tuple[str, ...]
    task: str
    slot: int | None
    n_slots: int
    n_options: int
    gold: int | None
    option_order: tuple[int, ...]
    factors: tuple[tuple[str, str], ...] = ()

    @property
    def is_repeat(self) -> bool:
        """Whether the same trial was asked before, unchanged; metrics of position leave such rows out."""
        return any(name == "repeat" for name, _ in self.factors)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back for one trial.

    `logprobs` are in displayed order (None for a generated answer); `chosen` is the suite's index of the option
    chosen, None when the answer is open-ended. `segment_attention_LS` is the attention on each segment by layer and
    place, None where nothing asked for it (see `OptionScores`). `box_xyxy` and `point_xy` are the place that was said
    where one was asked for, in 0..1 of the image from its top left corner; both are None where nothing was found.
    `detections` are all boxes of a detector with their scores, best first; None for a model that gives no scores.
    """

    asked: Asked
    chosen: int | None
    logprobs: tuple[float, ...] | None
    level: ScoreLevel
    reply: str | None
    audit: Audit
    segment_attention_LS: tuple[tuple[float, ...], ...] | None = None
    box_xyxy: tuple[float, float, float, float] | None = None
    point_xy: tuple[float, float] | None = None
    detections: tuple[Detection, ...] | None = None
    row: Literal["answer"] = "answer"

    @property
    def correct(self) -> bool:
        """Whether the chosen option is the right one."""
        return self.asked.gold is not None and self.chosen == self.asked.gold

    @property
    def tied(self) -> bool:
        """Whether several options are equally likely and none is likelier, so that a lot chose (see `likeliest`)."""
        return bool(self.logprobs) and self.logprobs is not None and self.logprobs.count(max(self.logprobs)) > 1

    @property
    def gold_logprob(self) -> float | None:
        """The log-probability of the right option, normalised over the options."""
        if self.logprobs is None or self.asked.gold is None:
            return None
        top = max(self.logprobs)  # plain floats: numpy takes four times as long for a handful of options
        total = math.log(math.fsum(math.exp(score - top) for score in self.logprobs))
        return self.logprobs[self.asked.option_order.index(self.asked.gold)] - top - total


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What did not come back for one trial, and why. A failure is never a wrong answer."""

    asked: Asked
    kind: FailureKind
    reason: str
    path: str | None = None
    decoder: str | None = None
    reply: str | None = None
    audit: Audit | None = None
    row: Literal["failure"] = "failure"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Counts of right and wrong answers of one task at one slot: all that a foreign accuracy file holds."""

    task: str
    slot: int | None
    n_slots: int
    right: int
    wrong: int
    row: Literal["tally"] = "tally"


Outcome: TypeAlias = Answer | Failure | Tally


def asked(trial: Trial) -> Asked:
    """What a stored row says of its trial."""
    probe = trial.probe
    return Asked(
        trial_id=trial.trial_id,
        probe_id=probe.probe_id,
        cluster_id=probe.cluster_id,
        background_ids=tuple(s.segment_id for s in probe.backgrounds),
        task=probe.task,
        slot=trial.slot,
        n_slots=trial.n_slots,
        n_options=len(probe.options),
        gold=probe.gold,
        option_order=trial.option_order,
        factors=trial.factors,
    )


def likeliest(scores: Sequence[float], what: Asked) -> int:
    """The suite's index of the option with the highest score, the scores being in displayed order.

    Of equals one is chosen by a lot over contents that is the same in all trials of a probe. Logits of 16 bits are
    often equal, and the first displayed of equals would be a preference for a place that no model has.
    """
    top = max(scores)
    tied = sorted(option for option, score in zip(what.option_order, scores) if score == top)
    return tied[zlib.crc32(what.probe_id.encode()) % len(tied)]


def slots(outcomes: Sequence[Outcome]) -> int:
    """The number of slots of a set of outcomes; mixed numbers are an error."""
    found = {o.n_slots if isinstance(o, Tally) else o.asked.n_slots for o in outcomes}
    if len(found) != 1:
        raise ValueError(f"outcomes of {sorted(found)} slots cannot be measured together")
    return found.pop()
