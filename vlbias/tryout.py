"""Tries one method on held-out trials: fits it on others, asks through it, and counts what that cost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vlbias import arms
from vlbias.answers import Answer, Failure
from vlbias.arms import Arm, Rows
from vlbias.athand import AtHand, Counted, asked_again, observed, timed
from vlbias.corrections import FittedOn, Saved, model_name, model_sha256, probe_sha256
from vlbias.costs import NOT_ASKED, ratio, tokens
from vlbias.debias import Correction
from vlbias.errors import NotApplicable
from vlbias.estimates import MethodCost, RunInfo
from vlbias.models._counting import counting
from vlbias.records import digest
from vlbias.run import Asking, shown


@dataclass(frozen=True, kw_only=True, eq=False)
class Trialled:
    """What one method did: its rows of the held-out probes, what it cost, and what was fitted."""

    arm: Arm
    rows: Rows
    cost: MethodCost
    saved: Saved | None


def needs_model(methods: Sequence[Arm]) -> bool:
    """Whether a method asks more than the stored rows hold."""
    return any(arm.shape != "after" or not getattr(arm.method, "STORED", False) for arm in methods)


def trialled(arm: Arm, hand: AtHand | None, *, run: RunInfo, fitting: Rows, held_out: Rows, seed: int) -> Trialled:
    """One method fitted on some rows and tried on others. Errors: NotApplicable when it cannot be fitted."""
    if arm.shape == "after":
        return _calibrated(arm, hand, run=run, fitting=fitting, held_out=held_out, seed=seed)
    if hand is None:
        raise NotApplicable(f"{arm.text}: not applicable: it asks the model, and only stored rows are at hand")
    if hasattr(arm.method, "fitted"):
        arm = replace(arm, method=arm.method.fitted([r for r in fitting if isinstance(r, Answer)]))
    rows, cost = asked_through(arm, hand, held_out, seed=seed)
    return Trialled(arm=arm, rows=rows, cost=cost, saved=None)


def _calibrated(arm: Arm, hand: AtHand | None, *, run: RunInfo, fitting: Rows, held_out: Rows, seed: int) -> Trialled:
    held_out = observed(hand, arm.method, held_out)
    learned = [r for r in observed(hand, arm.method, fitting) if isinstance(r, Answer)]
    correction, asked = fitted(arm, hand, learned, seed=seed)
    asked += len(learned) if hasattr(arm.method, "observed") else 0
    start = time.perf_counter()
    rows: Rows = [correction(r) if isinstance(r, Answer) else r for r in held_out]
    seconds = (time.perf_counter() - start) / max(1, len(held_out))
    cost = MethodCost(passes=1.0, tokens=1.0, seconds_per_trial=seconds, fit_prompts=asked, peak_reason=NOT_ASKED)
    return Trialled(arm=arm, rows=rows, cost=cost, saved=_saved(arm, correction, run, learned))


def fitted(arm: Arm, hand: AtHand | None, fitting: Sequence[Answer], *, seed: int) -> tuple[Correction, int]:
    """The correction of these answers alone, and how many prompts more were asked for it."""
    more, asked = _more(arm, hand, fitting, seed=seed)
    rng = np.random.default_rng([seed, int(digest(arm.text)[:8], 16)])
    return arm.method.fit([*fitting, *more], rng=rng), asked


def asked_through(arm: Arm, hand: AtHand, held_out: Rows, *, seed: int) -> tuple[Rows, MethodCost]:
    """The held-out trials through a method; time, tokens and memory are those of the trials vanilla was timed on."""
    n_timed = len(timed(hand, held_out))
    trials = [hand.trials[r.asked.trial_id] for r in held_out if isinstance(r, Answer)]
    with applied(arm, hand, seed=seed) as asking:
        counted: Any = asking.model
        with counting(counted.model) as work:
            rows = asked_again(hand, trials[:n_timed], asking)
        seconds = counted.seconds / max(1, n_timed)
        rows += asked_again(hand, trials[n_timed:], asking)
    rows += [r for r in held_out if isinstance(r, Failure)]
    return rows, MethodCost(
        passes=counted.prompts / max(1, len(held_out)),
        tokens=ratio(tokens(rows), tokens(held_out)),
        seconds_per_trial=seconds,
        fit_prompts=0,
        computed=work.n_tokens,
        peak_bytes=work.peak_bytes,
        peak_reason=work.peak_reason,
    )


@contextmanager
def applied(arm: Arm, hand: AtHand, *, seed: int) -> Iterator[Asking]:
    """The way of asking under a method that is not fitted; its model counts prompts and seconds."""
    if arm.shape == "before":
        yield replace(hand.asking, model=Counted(hand.asking.model), through=arms.through(arm, seed=seed))
        return
    with arm.method.applied(hand.asking.model) as patched:
        yield replace(hand.asking, model=Counted(patched))


def _more(arm: Arm, hand: AtHand | None, fitting: Sequence[Answer], *, seed: int) -> tuple[list[Answer], int]:
    """What the method asks of the fitting trials, and how many prompts that took."""
    if hand is None or getattr(arm.method, "STORED", False):
        return [], 0
    counted = Counted(hand.asking.model)
    asking = replace(hand.asking, model=counted)
    found: Rows = []
    trials = [hand.trials[a.asked.trial_id] for a in fitting]
    for k in range(0, len(trials), hand.batch_size):
        prompts, _ = shown(trials[k : k + hand.batch_size], asking)
        found += arms.extra(arm, prompts, asking, seed=seed, size=hand.batch_size)
    return [r for r in found if isinstance(r, Answer)], counted.prompts


def _saved(arm: Arm, correction: Correction, run: RunInfo, fitting: Sequence[Answer]) -> Saved:
    papers = FittedOn(
        config_sha256=run.config_sha256,
        suite_sha256=run.suite_sha256,
        probes_sha256=tuple(sorted({probe_sha256(a.asked.probe_id) for a in fitting})),
        n_clusters=len({a.asked.cluster_id for a in fitting}),
    )
    return Saved(
        method=arm.name,
        named=arm.text,
        model=model_name(run.identity),
        model_sha256=model_sha256(run.identity),
        fitted_on=papers,
        correction=correction,
    )
