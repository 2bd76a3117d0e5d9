"""The loop: splits a run's probes by source clip, fits methods on one part and measures them on the other."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vlbias import arms, proofs
from vlbias.answers import Answer, Outcome, Tally, slots
from vlbias.arms import Arm, Rows
from vlbias.athand import at_hand, replayed
from vlbias.corrections import model_name, save
from vlbias.costs import Replay, beside, computes, model_seconds
from vlbias.debias import Setting
from vlbias.debias._arguments import options_shown
from vlbias.errors import BadInput, ModelError, NotApplicable
from vlbias.estimates import MethodCost, MethodProof, Proof, RunInfo
from vlbias.mapproof import map_proofs
from vlbias.proof import Places, complete, gap_weights, places, prove, unproved
from vlbias.records import Capabilities
from vlbias.store import Store, read, read_run
from vlbias.tryout import Trialled, needs_model, trialled


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
        options_shown=options_shown(_style(run), adapter=run.identity.adapter),
        options_named=_style(run) != "listed" and not any(("labels", "none") in a.asked.factors for a in found),
    )


def able(here: Setting, capabilities: Capabilities) -> Setting:
    """The setting with what only the loaded model tells: whether it writes, and whether it looks at frames."""
    return replace(here, generates=capabilities.generate, frames=capabilities.needs_frames)


def _style(run: RunInfo) -> str | None:
    """The prompt style of a run; None where an imported one does not say."""
    suite = run.suite.get("prompt")
    return run.config.get("prompt_style") or (suite.get("style") if isinstance(suite, Mapping) else None)


def _cost(t: Trialled, plain: Replay | None, run: RunInfo) -> MethodCost:
    """The cost beside vanilla's; where the model is not at hand, its seconds are those that the run took."""
    seconds = model_seconds(run)
    if plain is None and seconds and t.arm.shape == "after":
        return replace(t.cost, time=(t.cost.seconds_per_trial + seconds) / seconds)
    told = hasattr(t.arm.method, "observed")
    return beside(t.cost, plain, shape=t.arm.shape, observed=told, timed=computes(run))


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
    only when it is fitted that it cannot be, or that leaves most probes unanswered: what the others cost is not lost.
    Where there is one slot, the sides or turns in which an item is shown are compared, or the places of the right
    option where the options stand in several orders. Errors:
    NotApplicable where no method is left, BadInput for a run that holds no gap to compare.
    """
    run, outcomes = read_run(folder), read(folder).outcomes
    if run.config.get("debias") is not None:
        raise BadInput(f"{folder}: was run with --debias; give the run without it")
    start = int(run.config.get("seed", 0)) if seed is None else seed
    parts = split(outcomes, fit_share=fit_share, rng=np.random.default_rng([start, 1]))
    wanted, refused = _applicable(methods, setting(run, outcomes, parts))
    compared = _Compared.of(outcomes, parts)
    done, plain = _each(wanted, run=run, outcomes=outcomes, parts=parts, seed=start, include=include, say=say)
    refused |= {text: _told(text, one) for text, one in done.items() if not isinstance(one, Trialled)}
    tried = [one for one in done.values() if isinstance(one, Trialled)]
    refused |= compared.failing(tried)
    tried = [one for one in tried if one.arm.text not in refused]
    if not tried:
        raise NotApplicable("\n".join(refused.values()))
    proved = compared.proved(tried, rng=np.random.default_rng([start, 2]))
    keep(folder / "debias", tried)
    proof = Proof(
        run_name=run.run_name,
        model=model_name(run.identity),
        fit_share=fit_share,
        n_fit_clusters=len(parts.fit),
        gap_slots=(_places(compared.gap_P > 0), _places(compared.gap_P < 0)),
        vanilla_seconds_per_trial=plain.seconds_per_trial if plain and computes(run) else model_seconds(run),
        vanilla_peak_bytes=plain.work.peak_bytes if plain else None,
        methods=tuple(replace(proved[t.arm.text], shape=t.arm.shape, cost=_cost(t, plain, run)) for t in tried),
        refused=refused,
        position=compared.places.position,
        place_names=compared.places.names,
    )
    proofs.keep(folder, proof)
    return proof


def _told(text: str, error: Exception) -> str:
    """What an error says, with the method it speaks of."""
    name = text.partition(":")[0]
    return str(error) if str(error).startswith(name) else f"{name}: not applicable: {error}"


def _applicable(methods: str, here: Setting) -> tuple[list[Arm], dict[str, str]]:
    """The methods that can be applied, and why others cannot. Errors: NotApplicable for one that was named."""
    found = arms.every() if methods == "all" else arms.load_all(methods)
    refused = arms.refusals(found, here)
    if refused and (methods != "all" or len(refused) == len(found)):
        raise NotApplicable("\n".join(refused.values()))
    return [arm for arm in found if arm.text not in refused], refused


@dataclass(frozen=True, kw_only=True, eq=False)
class _Compared:
    """What methods are measured on: vanilla's held-out rows by slot, or by what else `places` says, and the gap.

    `fitting` and `asked` are the rows as they were asked, for maps.
    Made before anything is asked, so that a run of which nothing can be proved is refused at no cost.
    """

    places: Places
    fitting: Rows
    asked: Rows
    vanilla: Rows
    gap_P: npt.NDArray[np.float64]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], parts: Split) -> _Compared:
        """Errors: BadInput for one slot and one order of options, or too few probes with a right option."""
        over = places(outcomes)
        learned, asked = (part(outcomes) for part in (parts.fitting, parts.reported))
        fitting, vanilla = (over.seen(rows) for rows in (learned, asked))
        gap_P = gap_weights(fitting, n_slots=slots(fitting))
        if not complete(vanilla):
            raise BadInput("debias: no held-out probe has a right option and an answer at every slot; run more probes")
        return cls(places=over, fitting=learned, asked=asked, vanilla=vanilla, gap_P=gap_P)

    def failing(self, tried: Sequence[Trialled]) -> dict[str, str]:
        """Why methods that leave most probes unanswered cannot be proved, by their text."""
        n_vanilla = complete(self.vanilla)
        told = {t.arm.text: unproved(t.arm.text, self.places.seen(t.rows), n_vanilla=n_vanilla) for t in tried}
        return {text: reason for text, reason in told.items() if reason is not None}

    def proved(self, tried: Sequence[Trialled], *, rng: np.random.Generator) -> dict[str, MethodProof]:
        """Every method beside vanilla, with the maps of a run over cells."""
        rows = {t.arm.text: self.places.seen(t.rows) for t in tried}
        found = prove(self.vanilla, rows, gap_P=self.gap_P, rng=rng)
        maps = map_proofs(self.fitting, self.asked, {t.arm.text: t.rows for t in tried}, rng=rng)
        return {name: replace(one, maps=maps[name]) for name, one in found.items()}


def _each(
    methods: Sequence[Arm],
    *,
    run: RunInfo,
    outcomes: Sequence[Outcome],
    parts: Split,
    seed: int,
    include: Sequence[Path],
    say: Callable[[str], None],
) -> tuple[dict[str, Trialled | NotApplicable | ModelError], Replay | None]:
    """Each method's trial or why there is none, and what vanilla takes; None where the model is not at hand."""
    done: dict[str, Trialled | NotApplicable | ModelError] = {}
    plain: Replay | None = None
    fitting, held_out = parts.fitting(outcomes), parts.reported(outcomes)
    with at_hand(run, include=include) if needs_model(methods) else nullcontext() as hand:
        if hand is not None:
            here = able(setting(run, outcomes, parts), hand.asking.model.capabilities)
            done |= {text: NotApplicable(why) for text, why in arms.refusals(methods, here).items()}
        able_to = [arm for arm in methods if arm.text not in done]
        if hand is not None and able_to:
            plain = replayed(hand, held_out)
        for arm in able_to:
            say(f"{arm.text} ({arm.shape})")
            try:
                done[arm.text] = trialled(arm, hand, run=run, fitting=fitting, held_out=held_out, seed=seed)
            except (NotApplicable, ModelError) as error:
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
