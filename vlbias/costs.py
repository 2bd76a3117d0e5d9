"""What a correction costs beside asking the model plainly: time, prompts, tokens and memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vlbias.answers import Answer, Failure
from vlbias.debias import Shape
from vlbias.estimates import MethodCost, RunInfo
from vlbias.models._counting import Work

NOT_ASKED = "the model was not asked"


@dataclass(frozen=True, kw_only=True, eq=False)
class Replay:
    """What the model costs without a correction, on the trials that every method is timed on."""

    seconds_per_trial: float
    work: Work


def beside(cost: MethodCost, plain: Replay | None, *, shape: Shape, observed: bool, timed: bool) -> MethodCost:
    """The cost with its time and tokens as multiples of vanilla's.

    A calibration comes on top of a vanilla pass, and takes its memory; one that is `observed` asks in another way, of
    which tokens and memory are not counted. Without `timed` the model is a script, whose seconds say nothing.
    """
    if plain is None:
        return cost
    if shape == "after" and not observed:
        cost = replace(
            cost, computed=plain.work.n_tokens, peak_bytes=plain.work.peak_bytes, peak_reason=plain.work.peak_reason
        )
    own = cost.seconds_per_trial + (plain.seconds_per_trial if shape == "after" else 0.0)
    return replace(
        cost,
        time=own / plain.seconds_per_trial if timed and plain.seconds_per_trial else None,
        computed=ratio(cost.computed, plain.work.n_tokens),
    )


def computes(run: RunInfo) -> bool:
    """Whether the run's model took time that can be compared: not a script, which computes nothing, nor an import."""
    return run.identity.adapter not in ("scripted", "imported") and bool(run.n_asked) and run.cost.model_s > 0


def model_seconds(run: RunInfo) -> float | None:
    """The seconds per trial that the run took the model; None where they cannot be compared."""
    return run.cost.model_s / run.n_asked if computes(run) else None


def tokens(rows: Sequence[Answer | Failure]) -> int | None:
    """The tokens of the prompts of these answers, as the model counts them; None where one is not told."""
    found = [r.audit.n_tokens for r in rows if isinstance(r, Answer)]
    return None if not found or any(n is None for n in found) else sum(n for n in found if n is not None)


def ratio(one: float | None, other: float | None) -> float | None:
    """One over the other; None where either is not known."""
    return one / other if one is not None and other else None
