"""Says which effect of position a design finds, and how many probes and clips an effect needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vlbias.answers import Outcome
from vlbias.errors import BadInput, UnknownName
from vlbias.metrics._blocks import Ints, blocks, gold_points, right_points
from vlbias.metrics._detectable import (
    Components,
    Power,
    clips_needed,
    components,
    found_share,
    rehearsed,
    sizes,
    smallest_effect,
)
from vlbias.metrics._simulate import simulate
from vlbias.store import read

PILOT_PROBES = 3000
OUTCOMES = {"accuracy": right_points, "gold_probability": gold_points}


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What a design finds: the smallest effect, and for a wanted effect its power and the clips that it needs.

    Effects are in points. `smallest_effect_points` is None where no effect up to 100 points is found; the rest is None
    where no effect was asked about. `noise` says whose variance components these are.
    """

    n_slots: int
    shape: str
    n_probes: int
    n_clips: int
    clip_correlation: float
    noise: str
    wanted_power: float
    smallest_effect_points: float | None
    effect_points: float | None = None
    power: Power | None = None
    rehearsal: Power | None = None
    clips_needed: int | None = None
    probes_needed: int | None = None


def advise(
    noise: Components,
    *,
    n_clips: int,
    questions: float,
    effect_points: float | None = None,
    shape: str = "head",
    wanted_power: float = 0.8,
    seed: int = 0,
) -> Advice:
    """All that is said of a design of `n_clips` clips of `questions` questions; BadInput for an impossible one."""
    size_G = sizes(n_clips, questions)
    if effect_points is not None and not 0 < effect_points <= 100:
        raise BadInput(f"power: found an effect of {effect_points:g} points; give more than 0 and at most 100")
    if not 0.05 < wanted_power < 1:
        raise BadInput(f"power: found a wanted power of {wanted_power:g}; give a share between .05 and 1")
    least = smallest_effect(noise, size_G, shape=shape, power=wanted_power, seed=seed)
    found = Advice(
        n_slots=len(noise.noise_SS),
        shape=shape,
        n_probes=int(size_G.sum()),
        n_clips=n_clips,
        clip_correlation=noise.clip_correlation,
        noise=noise.source,
        wanted_power=wanted_power,
        smallest_effect_points=None if least is None else 100 * least,
    )
    if effect_points is None:
        return found
    effect = effect_points / 100
    needed = clips_needed(noise, effect=effect, questions=questions, shape=shape, power=wanted_power, seed=seed)
    return replace(
        found,
        effect_points=effect_points,
        power=found_share(noise, size_G, effect=effect, shape=shape, seed=seed),
        rehearsal=rehearsed(noise, size_G, effect=effect, shape=shape, seed=seed),
        clips_needed=needed,
        probes_needed=int(sizes(needed, questions).sum()),
    )


def scatter(folder: Path | None, *, outcome: str, n_slots: int, seed: int) -> Components:
    """The components of a results folder, or without one those that are assumed; BadInput for an unknown outcome."""
    if outcome not in OUTCOMES:
        raise UnknownName(what="outcome", name=outcome, known=OUTCOMES, where="power")
    if folder is not None:
        return of_run(read(folder).outcomes, outcome=outcome, source=f"scatter of {outcome} in run {folder.name}")
    if not 3 <= n_slots <= 64:
        raise BadInput(f"power: found {n_slots} slots; give 3 to 64")
    return assumed(n_slots, seed=seed, outcome=outcome)


def assumed(n_slots: int, *, seed: int = 0, outcome: str = "accuracy") -> Components:
    """Components to plan with before there is a run: the simulated world of four options whose questions share clips.

    Accuracy is .65, items differ by 1.5 logits, and questions of one clip share 35 % of their luck.
    """
    drawn = simulate(
        "none", 0.0, n_probes=PILOT_PROBES, world="clustered", rng=np.random.default_rng(seed), n_slots=n_slots
    )
    table = drawn.correct_PS if outcome == "accuracy" else drawn.gold_PS
    return components(table, drawn.cluster_P, source="assumed: accuracy .65, item sd 1.5 logits")


def of_run(outcomes: Sequence[Outcome], *, outcome: str = "accuracy", source: str) -> Components:
    """The components of a run's own answers, over its complete probes."""
    found = blocks(outcomes, OUTCOMES[outcome])
    return components(found.values_NP / 100, found.cluster_N, source=source)


def sentence(noise: Components, size_G: Ints, *, seed: int = 0) -> str:
    """One line for a plan or a report: the smallest head effect that this many probes and clips find."""
    least = smallest_effect(noise, size_G, seed=seed)
    size = "no head effect, however large," if least is None else f"a head effect of {100 * least:.1f} points"
    return f"with {size_G.sum()} probes of {len(size_G)} clips {size} is found with power 80 % ({noise.source})"


def words(advice: Advice) -> list[str]:
    """The advice in sentences."""
    least = advice.smallest_effect_points
    share = f"{100 * advice.wanted_power:g} %"
    said = [
        f"{advice.n_slots} slots, {advice.n_probes} probes of {advice.n_clips} clips; {advice.noise}; questions of one "
        f"clip correlate {advice.clip_correlation:.2f}",
        f"smallest {advice.shape} effect found with power {share}: "
        + ("none up to 100 points" if least is None else f"{least:.1f} points from the best slot to the worst"),
    ]
    if advice.power is not None and advice.rehearsal is not None:
        size = f"{advice.effect_points:g} points"
        said += [
            f"power for {size}: {_share(advice.power)}; by the permutation test itself: {_share(advice.rehearsal)}",
            f"needed for {size} with power {share}: {advice.clips_needed} clips, {advice.probes_needed} probes",
        ]
    return said


def _share(found: Power) -> str:
    return f"{100 * found.power:.0f} % ({100 * found.low:.0f} to {100 * found.high:.0f}, {found.method})"
