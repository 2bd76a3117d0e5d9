"""The loop: splits a run's probes by source clip, fits methods on one part and measures them on the other."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vlbias import arms, proofs
from vlbias.answers import Answer, Failure, Outcome, Tally, slots
from vlbias.arms import Arm, Rows
from vlbias.athand import AtHand, Counted, asked_again, at_hand, observed, replayed, timed
from vlbias.corrections import FittedOn, Saved, model_name, model_sha256, probe_sha256, save
from vlbias.costs import NOT_ASKED, Replay, beside, computes, model_seconds, ratio, tokens
from vlbias.debias import Correction, Setting
from vlbias.errors import BadInput, NotApplicable
from vlbias.estimates import MethodCost, Proof, RunInfo
from vlbias.models._counting import counting
from vlbias.proof import gap_weights, prove
from vlbias.records import digest
from vlbias.run import Asking, shown
from vlbias.store import Store, read, read_run


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which clusters are fitted on and which are held out; no cluster is in both."""

    fit: frozenset[str]
    held_out: frozenset[str]

    def fitting(self, rows: Sequence[Outcome]) -> Rows:
        """The rows to fit on."""
        return [r for r in rows if not isinstance(r, Tally) and r.asked.cluster_id in self.fit]

    def reported(self, rows: Sequence[Outcome]) -> Rows:
        """The rows to report."""
        return [r for r in rows if not isinstance(r, Tally) and r.asked.cluster_id in self.held_out]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trialled:
    """What one method did: its rows of the held-out probes, what it cost, and what was fitted."""

    arm: Arm
    rows: Rows
    cost: MethodCost
    saved: Saved | None


def split(outcomes: Sequence[Outcome], *, fit_share: float, rng: np.random.Generator) -> Split:
    """Clusters dealt by chance: about `fit_share` of them to fit on, at least two to each part."""
    if not 0 < fit_share < 1:
        raise BadInput(f"--fit_share: found {fit_share}; give a share between 0 and 1, as 0.3")
    names = sorted({o.asked.cluster_id for o in outcomes if not isinstance(o, Tally)})
    if len(names) < 4:
        raise BadInput(f"debias: the run has {len(names)} source clips; it needs 4, two to fit on and two held out")
    n_fit = min(len(names) - 2, max(2, round(fit_share * len(names))))
    order = [names[k] for k in rng.permutation(len(names))]
    return Split(fit=frozenset(order[:n_fit]), held_out=frozenset(order[n_fit:]))


def setting(run: RunInfo, outcomes: Sequence[Outcome], parts: Split) -> Setting:
    """What methods are applied to, as far as the rows tell."""
    found = [o for o in outcomes if isinstance(o, Answer)]
    if not found:
        raise BadInput(f"{run.run_name}: holds no answers of single trials, so there is nothing to correct")
    return Setting(
        kind=str(run.suite.get("kind", "imported")),
        n_slots=slots(outcomes),
        n_segments=max(len(a.audit.segments) for a in found) or None,
        n_options=min(a.asked.n_options for a in found),
        logprobs=all(a.logprobs is not None for a in found),
        white_box=run.identity.adapter == "hf",
        family=run.identity.family,
        n_fit=len({r.asked.probe_id for r in parts.fitting(outcomes)}),
        asks_model=run.identity.adapter != "imported",
        generates=run.identity.adapter != "imported",
        answer_is_segment=any(("asks", "index") in a.asked.factors for a in found),
        options_shown=_style(run) != "cloze",
    )


def _style(run: RunInfo) -> str | None:
    """The prompt style of a run; None where an imported one does not say."""
    suite = run.suite.get("prompt")
    return run.config.get("prompt_style") or (suite.get("style") if isinstance(suite, Mapping) else None)


def needs_model(methods: Sequence[Arm]) -> bool:
    """Whether a method asks more than the stored rows hold."""
    return any(arm.shape != "after" or not getattr(arm.method, "STORED", False) for arm in methods)


def trialled(
    arm: Arm, hand: AtHand | None, *, run: RunInfo, outcomes: Sequence[Outcome], parts: Split, seed: int
) -> Trialled:
    """One method on the held-out probes. Errors: NotApplicable when it cannot be fitted."""
    held_out = parts.reported(outcomes)
    if arm.shape == "after":
        held_out = observed(hand, arm.method, held_out)
        fitting = [r for r in observed(hand, arm.method, parts.fitting(outcomes)) if isinstance(r, Answer)]
        correction, asked = fitted(arm, hand, fitting, seed=seed)
        asked += len(fitting) if hasattr(arm.method, "observed") else 0
        start = time.perf_counter()
        rows: Rows = [correction(r) if isinstance(r, Answer) else r for r in held_out]
        seconds = (time.perf_counter() - start) / max(1, len(held_out))
        cost = MethodCost(passes=1.0, tokens=1.0, seconds_per_trial=seconds, fit_prompts=asked, peak_reason=NOT_ASKED)
        return Trialled(arm=arm, rows=rows, cost=cost, saved=_saved(arm, correction, run, fitting))
    if hand is None:
        raise NotApplicable(f"{arm.text}: not applicable: it asks the model, and only stored rows are at hand")
    if hasattr(arm.method, "fitted"):
        told = arm.method.fitted([r for r in parts.fitting(outcomes) if isinstance(r, Answer)])
        arm = replace(arm, method=told)
    rows, cost = asked_through(arm, hand, held_out, seed=seed)
    return Trialled(arm=arm, rows=rows, cost=cost, saved=None)


def fitted(arm: Arm, hand: AtHand | None, fitting: Sequence[Answer], *, seed: int) -> tuple[Correction, int]:
    """The correction of these answers alone, and how many prompts more were asked for it."""
    more, asked = _more(arm, hand, fitting, seed=seed)
    rng = np.random.default_rng([seed, int(digest(arm.text)[:8], 16)])
    return arm.method.fit([*fitting, *more], rng=rng), asked


def asked_through(arm: Arm, hand: AtHand, held_out: Rows, *, seed: int) -> tuple[Rows, MethodCost]:
    """The held-out trials through a method; time, tokens and memory are those of the trials vanilla was timed on."""
    n_timed = len(timed(hand, held_out))
    trials = [hand.trials[r.asked.trial_id] for r in held_out if isinstance(r, Answer)]
    with _applied(arm, hand, seed=seed) as asking:
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
def _applied(arm: Arm, hand: AtHand, *, seed: int) -> Iterator[Asking]:
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


def _cost(t: Trialled, plain: Replay | None, run: RunInfo) -> MethodCost:
    """The cost beside vanilla's; where the model is not at hand, its seconds are those that the run took."""
    seconds = model_seconds(run)
    if plain is None and seconds and t.arm.shape == "after":
        return replace(t.cost, time=(t.cost.seconds_per_trial + seconds) / seconds)
    told = hasattr(t.arm.method, "observed")
    return beside(t.cost, plain, shape=t.arm.shape, observed=told, timed=computes(run))


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


def debias(
    folder: Path,
    methods: str,
    *,
    fit_share: float = 0.3,
    seed: int | None = None,
    include: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Proof:
    """Fits and measures methods on the probes of a finished run, and writes `debias/` into its folder.

    `methods` is a comma-separated list of texts as `arms.load` reads them, or `all`. A method that cannot be applied is
    refused before anything is asked; with `all` it is left out and told of in the proof, and so is a method that finds
    only when it is fitted that it cannot be: what the others cost is not lost. Errors: NotApplicable where no method is
    left.
    """
    run, outcomes = read_run(folder), read(folder).outcomes
    if run.config.get("debias") is not None:
        raise BadInput(f"{folder}: was run with --debias; give the run without it")
    start = int(run.config.get("seed", 0)) if seed is None else seed
    parts = split(outcomes, fit_share=fit_share, rng=np.random.default_rng([start, 1]))
    found = arms.every() if methods == "all" else arms.load_all(methods)
    refused = arms.refusals(found, setting(run, outcomes, parts))
    if refused and methods != "all":
        raise NotApplicable("\n".join(refused.values()))
    wanted = [arm for arm in found if arm.text not in refused]
    done, plain = _each(wanted, run=run, outcomes=outcomes, parts=parts, seed=start, include=include, say=say)
    refused |= {name: str(error) for name, error in done.items() if isinstance(error, NotApplicable)}
    if len(refused) == len(found):
        raise NotApplicable("\n".join(refused.values()))
    tried = [one for one in done.values() if isinstance(one, Trialled)]
    weights_P = gap_weights(parts.fitting(outcomes), n_slots=slots(outcomes))
    rng = np.random.default_rng([start, 2])
    rows = {t.arm.text: t.rows for t in tried}
    proved = prove(parts.reported(outcomes), rows, gap_P=weights_P, rng=rng)
    keep(folder / "debias", tried)
    proof = Proof(
        run_name=run.run_name,
        model=model_name(run.identity),
        fit_share=fit_share,
        n_fit_clusters=len(parts.fit),
        gap_slots=(_places(weights_P > 0), _places(weights_P < 0)),
        vanilla_seconds_per_trial=plain.seconds_per_trial if plain and computes(run) else model_seconds(run),
        vanilla_peak_bytes=plain.work.peak_bytes if plain else None,
        methods=tuple(replace(proved[t.arm.text], shape=t.arm.shape, cost=_cost(t, plain, run)) for t in tried),
        refused=refused,
    )
    proofs.keep(folder, proof)
    return proof


def _each(
    methods: Sequence[Arm],
    *,
    run: RunInfo,
    outcomes: Sequence[Outcome],
    parts: Split,
    seed: int,
    include: Sequence[Path],
    say: Callable[[str], None],
) -> tuple[dict[str, Trialled | NotApplicable], Replay | None]:
    """Each method's trial or why it cannot be fitted, and what vanilla takes; None where the model is not at hand."""
    done: dict[str, Trialled | NotApplicable] = {}
    plain: Replay | None = None
    with at_hand(run, include=include) if needs_model(methods) else nullcontext() as hand:
        if hand is not None:
            plain = replayed(hand, parts.reported(outcomes))
        for arm in methods:
            say(f"{arm.text} ({arm.shape})")
            try:
                done[arm.text] = trialled(arm, hand, run=run, outcomes=outcomes, parts=parts, seed=seed)
            except NotApplicable as error:
                done[arm.text] = error
    return done, plain


def keep(folder: Path, done: Sequence[Trialled]) -> None:
    """Writes the held-out rows of each method and each fitted correction."""
    for one in done:
        place = folder / one.arm.slug
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        with Store(place) as store:
            store.append(one.rows)
        if one.saved is not None:
            save(folder / f"{one.arm.slug}.json", one.saved)


def _places(chosen_P: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(k) for k in np.flatnonzero(chosen_P))
