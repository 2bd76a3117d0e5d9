"""Asks whether bias carries over between runs, and whether what was fitted on one run corrects another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from vlbias import arms
from vlbias.answers import Answer, Tally, slots
from vlbias.arms import Arm, Rows
from vlbias.athand import at_hand
from vlbias.corrections import model_name, model_sha256
from vlbias.debias import Correction
from vlbias.debias._stretched import stretched
from vlbias.debiasing import Split, setting, split
from vlbias.errors import BadInput, NotApplicable
from vlbias.estimates import Carried, RunInfo, Transfer
from vlbias.likeness import curve, likeness, vector
from vlbias.proof import Places, gap_weights, places, prove
from vlbias.store import read, read_run
from vlbias.tryout import fitted, needs_model

Fits = dict[str, Correction | NotApplicable]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Run:
    """A finished run with its rows, and what its bias goes over."""

    name: str
    info: RunInfo
    outcomes: Rows
    places: Places

    @property
    def over(self) -> str:
        """What the bias goes over, in words: only slots in an order can be compared at other numbers of them."""
        cells = any("grid" in dict(one.asked.factors) for one in self.outcomes)
        if self.places.position == "slot" and not cells:
            return "slots"
        named = f" ({', '.join(self.places.names)})" if self.places.names else ""
        n_slots = slots(self.places.seen(self.outcomes))
        return f"{n_slots} {'cell' if cells else self.places.position}s{named}"


def transfer(
    folders: Sequence[Path],
    methods: str,
    *,
    fit_share: float = 0.3,
    seed: int | None = None,
    include: Sequence[Path] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Transfer:
    """Likeness of the bias vectors of two or more finished runs, and every calibration of one applied to the others.

    A source clip is fitted on in all runs or in none, so that no run is corrected by what was learned on its own
    held-out clips. A correction for other slots is stretched by relative place. What was fitted on the run itself
    stands beside what was fitted elsewhere, paired on the same held-out probes, Holm over all of them. Where there is
    one slot, places of the right option are compared, or sides or turns, as `proof.places` says. Errors: NotApplicable
    where no method is fitted, BadInput for runs that cannot be put side by side.
    """
    runs = [_read(folder) for folder in folders]
    names = [run.name for run in runs]
    if len(runs) < 2 or len(set(names)) < len(names):
        raise BadInput(f"transfer: found the runs {', '.join(names)}; give two or more, each with a name of its own")
    _refuse_unlike(runs)
    chosen = _fittable(methods)
    start = int(runs[0].info.config.get("seed", 0)) if seed is None else seed
    rng = np.random.default_rng([start, 3])
    rows = [o for run in runs for o in run.outcomes]
    parts = split(rows, fit_share=fit_share, rng=np.random.default_rng([start, 1]))
    seen = {run.name: run.places.seen(run.outcomes) for run in runs}
    by_probability = all(o.logprobs is not None for found in seen.values() for o in found if isinstance(o, Answer))
    curves = [curve(name, found, by_probability=by_probability) for name, found in seen.items()]
    fits = {run.name: _fits(run, chosen, parts=parts, seed=start, include=include, say=say) for run in runs}
    return Transfer(
        runs=tuple(names),
        fit_share=fit_share,
        n_fit_clusters=len(parts.fit),
        outcome=curves[0].outcome,
        vectors={one.run_name: vector(one, rng=rng) for one in curves},
        likenesses=tuple(likeness(a, b, rng=rng) for a, b in combinations(curves, 2)),
        carried=tuple(one for run in runs for one in _applied(run, fits, chosen, parts=parts, rng=rng)),
        models={run.name: f"{model_name(run.info.identity)} {model_sha256(run.info.identity)[:8]}" for run in runs},
        position=runs[0].places.position,
        place_names=runs[0].places.names,
    )


def _read(folder: Path) -> _Run:
    info = read_run(folder)
    if info.config.get("debias") is not None:
        raise BadInput(f"{folder}: was run with --debias; give the run without it")
    outcomes = [o for o in read(folder).outcomes if not isinstance(o, Tally)]
    return _Run(name=info.run_name, info=info, outcomes=outcomes, places=places(outcomes))


def _refuse_unlike(runs: Sequence[_Run]) -> None:
    """Raises BadInput for runs whose bias goes over other things, as slots and places of options."""
    if len({run.over for run in runs}) > 1:
        told = ", ".join(f"of {run.name} over {run.over}" for run in runs)
        raise BadInput(f"transfer: the bias {told}; give runs in which it goes over the same")


def _fittable(methods: str) -> list[Arm]:
    """The methods that are fitted; one that is not has nothing to carry over."""
    if methods == "all":
        return [arm for arm in arms.every() if arm.shape == "after"]
    found = arms.load_all(methods)
    unfitted = [arm.text for arm in found if arm.shape != "after"]
    if unfitted:
        raise NotApplicable(
            f"{', '.join(unfitted)}: not applicable: nothing is fitted, so there is nothing to carry over; "
            "give methods that are fitted (vlbias ls debias), as pride or vector_per_slot"
        )
    return found


def _fits(
    run: _Run,
    chosen: Sequence[Arm],
    *,
    parts: Split,
    seed: int,
    include: Sequence[Path],
    say: Callable[[str], None],
) -> Fits:
    """What each method finds on the fitting clips of a run, or why it cannot."""
    refused = arms.refusals(chosen, setting(run.info, run.outcomes, parts))
    out: Fits = {text: NotApplicable(why) for text, why in refused.items()}
    wanted = [arm for arm in chosen if arm.text not in refused]
    fitting = [r for r in parts.fitting(run.outcomes) if isinstance(r, Answer)]
    with at_hand(run.info, include=include) if needs_model(wanted) else nullcontext() as hand:
        for arm in wanted:
            say(f"{arm.text} on {run.name}")
            try:
                out[arm.text] = fitted(arm, hand, fitting, seed=seed)[0]
            except NotApplicable as error:
                out[arm.text] = error
    return out


def _applied(
    run: _Run, fits: Mapping[str, Fits], chosen: Sequence[Arm], *, parts: Split, rng: np.random.Generator
) -> list[Carried]:
    """Every fit applied to the held-out probes of one run, what was fitted on itself first."""
    held_out, n_slots = parts.reported(run.outcomes), slots(run.outcomes)
    here = replace(setting(run.info, run.outcomes, parts), n_fit=None, asks_model=True)
    unfit = {text: NotApplicable(why) for text, why in arms.refusals(chosen, here).items()}
    rows: dict[str, Rows] = {}
    out: list[Carried] = []
    for arm in chosen:
        for source in sorted(fits, key=lambda name: name != run.name):
            one = Carried(method=arm.text, fitted_on=source, applied_to=run.name, proof=None)
            try:
                fit = unfit.get(arm.text, fits[source][arm.text])
                rows[f"{arm.text} from {source}"] = _corrected(arm, fit, held_out, n_slots=n_slots)
            except NotApplicable as error:
                one = replace(one, refused=str(error))
            out.append(one)
    if not rows:
        return out
    fitting = run.places.seen(parts.fitting(run.outcomes))
    seen = {name: run.places.seen(corrected) for name, corrected in rows.items()}
    proofs = prove(run.places.seen(held_out), seen, gap_P=gap_weights(fitting, n_slots=slots(fitting)), rng=rng)
    told = {name: replace(proof, shape="after") for name, proof in proofs.items()}
    return [replace(one, proof=told.get(f"{one.method} from {one.fitted_on}")) for one in out]


def _corrected(arm: Arm, fit: Correction | NotApplicable, held_out: Rows, *, n_slots: int) -> Rows:
    if isinstance(fit, NotApplicable):
        raise fit
    correction: Correction = arm.method.from_json(stretched(fit.to_json(), n_slots=n_slots))
    return [correction(r) if isinstance(r, Answer) else r for r in held_out]
