"""Says in one line which effect of position a plan will find, before there is a run; or why that cannot be said."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from vlbias import power
from vlbias.metrics._blocks import Ints
from vlbias.metrics._detectable import Components, design_effect
from vlbias.metrics._detectable_maps import of_grid, of_places, smallest_on_map
from vlbias.metrics._order_designs import design
from vlbias.plan import Plan
from vlbias.records import Trial

POWER = 0.8
ACCURACY = 0.65
MOST_PAIRS = 1000
CONDITION = ("shift", "layout", "style", "asks")


def sentence(plan: Plan, *, seed: int) -> str:
    """The smallest effect found with power 80 % by the test of this kind of probe, or `no power sentence: ` and why.

    Answers are assumed to scatter as those of `power.assumed`; what cannot be assumed is not guessed.
    """
    told = _told(plan)
    clusters = {trial.probe.cluster_id for trial in plan.trials}
    if len(clusters) < 2:
        return f"no power sentence: {len(clusters)} cluster tells nothing of the scatter between clusters"
    for names, said in KINDS:
        if names <= told:
            return said(plan.trials, seed)
    if told:
        return f"no power sentence: trials differ in {', '.join(sorted(told))}, which have no one test to plan for"
    n_slots = len({trial.slot for trial in plan.trials} - {None})
    if n_slots < 3:
        return f"no power sentence: {n_slots} slots have no shape; it needs three"
    return power.sentence(power.assumed(n_slots, seed=seed), _sizes(plan.trials), seed=seed)


def noted(plan: Plan, *, seed: int) -> Plan:
    """The plan with its sentence as a note, for the report; a sweep needs none, as its answers tell more afterwards."""
    if not _told(plan):
        return plan
    return replace(plan, notes=(*plan.notes, f"planned: {sentence(plan, seed=seed)}"))


def _told(plan: Plan) -> set[str]:
    """The factors in which trials differ besides their slot."""
    return {name for trial in plan.trials for name, _ in trial.factors} - {"repeat"}


def _canvas(_: Sequence[Trial], __: int) -> str:
    return "no power sentence: the outcome is a loss in nats, whose scatter is not known before a run"


def _forms(_: Sequence[Trial], __: int) -> str:
    return "no power sentence: each form of question has a test of its own; its interval says what was found"


def _cells(trials: Sequence[Trial], seed: int) -> str:
    """The pattern of the grid and condition with most trials; versions and images of an item are averaged in a cell."""
    ways = [tuple(dict(t.factors).get(name, "") for name in ("grid", *CONDITION)) for t in trials]
    way = Counter(ways).most_common(1)[0][0]
    mine = [t for t, of in zip(trials, ways, strict=True) if of == way]
    coordinates = {dict(t.factors).get("coordinate", "") for t in mine} - {"there"}
    mine = [t for t in mine if dict(t.factors).get("coordinate", "") == min(coordinates)]
    grid = way[0]
    grid_rc = int(grid.split("x")[0]), int(grid.split("x")[1])
    n_cells = math.prod(grid_rc)
    if n_cells < 3:
        return f"no power sentence: a grid of {grid} has no pattern; it needs three cells"
    size_G = _sizes(mine, item=_item)
    least = smallest_on_map(
        of_grid(grid_rc),
        power.assumed(n_cells, seed=seed),
        size_G,
        answers=len(mine) / size_G.sum() / n_cells,
        seed=seed,
    )
    return _said(least, f"a fall over the {grid} cells", size_G, what="items")


def _images(trials: Sequence[Trial], seed: int) -> str:
    """Accuracy at each place of one way of asking."""
    ways = [tuple(dict(t.factors)[name] for name in ("asks", "layout", "distractors")) for t in trials]
    way = Counter(ways).most_common(1)[0][0]
    mine = [t for t, of in zip(trials, ways, strict=True) if of == way]
    n_places = len({t.slot for t in mine})
    if n_places < 3:
        return f"no power sentence: {n_places} places of an image have no curve; it needs three"
    size_G = _sizes(mine)
    noise = power.assumed(n_places, seed=seed)
    least = smallest_on_map(of_places(n_places), noise, size_G, answers=len(mine) / size_G.sum() / n_places, seed=seed)
    return _said(least, f"a fall over {n_places} places ({', '.join(way)})", size_G, what="questions")


def _conflict(trials: Sequence[Trial], _: int) -> str:
    """The index of preference, exactly, as if all pairs of a clip were believed alike."""
    n = len({trial.probe.cluster_id for trial in trials})
    if n > MOST_PAIRS:
        return f"no power sentence: {n} clips find an index of fewer points than a preference has to have to matter"
    both = len({dict(trial.factors)["content_order"] for trial in trials}) > 1

    def found(index: float) -> float:
        return design(n, index).both_orders if both else design(n, index).one_order

    orders = "both orders of content" if both else "one order of content"
    if found(0.98) < POWER:
        return f"with {n} clips no index of preference, however large, is found with power 80 % ({orders})"
    low, high = 0.0, 0.98
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) >= POWER else (middle, high)
    return (
        f"with {n} clips an index of preference of {100 * high:.1f} points is found with power 80 % (exact; {orders}; "
        "pairs of a clip counted once, as if believed alike)"
    )


def _placement(trials: Sequence[Trial], seed: int) -> str:
    """The change of accuracy at one placement, when the others change nothing."""
    told = [dict(trial.factors) for trial in trials]
    others = {one["placement"] for one in told} - {one["baseline"] for one in told}
    if not others:
        return "no power sentence: nothing but the baseline is asked"
    noise, size_G = power.assumed(3, seed=seed), _sizes(trials)
    both = float(noise.noise_SS[0, 0] + noise.noise_SS[1, 1] - 2 * noise.noise_SS[0, 1])
    return _said(_normal(both, noise, size_G, tests=len(others)),
                 f"a change of accuracy at one of {len(others)} placements", size_G, what="questions")  # fmt: skip


def _options(trials: Sequence[Trial], seed: int) -> str:
    """A liking for one place among the options, of the way of labelling that is asked most."""
    ways = [tuple(v for name, v in t.factors if name in ("labels", "phrase")) for t in trials]
    way = Counter(ways).most_common(1)[0][0]
    mine = [t for t, of in zip(trials, ways, strict=True) if of == way]
    k = max(len(t.option_order) for t in mine)
    if k < 2:
        return "no power sentence: one option has no order"
    size_G = _sizes(mine)
    wrong = (1 - ACCURACY) / (k - 1)
    # Of the answers of a probe, each place holds the right option equally often.
    one = (ACCURACY * (1 - ACCURACY) + (k - 1) * wrong * (1 - wrong)) / k / (len(mine) / size_G.sum())
    least = _normal(one, power.assumed(3, seed=seed), size_G, tests=k)
    return _said(least, f"a liking for one of {k} places, above its even share,", size_G, what="questions")


def _normal(variance: float, noise: Components, size_G: Ints, *, tests: int) -> float:
    """The smallest mean (0..1) found two-sided at .05 over `tests`, by the normal approximation."""
    z = float(stats.norm.isf(0.025 / tests) + stats.norm.ppf(POWER))
    return z * math.sqrt(variance * design_effect(noise, size_G) / float(size_G.sum()))


def _said(least: float | None, what_is_found: str, size_G: Ints, *, what: str) -> str:
    size = "no effect, however large," if least is None or least > 1 else f"{what_is_found} of {100 * least:.1f} points"
    return (
        f"with {size_G.sum()} {what} of {len(size_G)} clips {size} is found with power 80 % (assumed: accuracy "
        f"{ACCURACY:.2f}, item sd 1.5 logits)"
    )


def _item(trial: Trial) -> str:
    told = dict(trial.factors)
    return told.get("item", trial.probe.probe_id.removesuffix(f"-{told.get('present')}"))


def _sizes(trials: Sequence[Trial], *, item: Callable[[Trial], str] = lambda trial: trial.probe.probe_id) -> Ints:
    """The number of items of each cluster."""
    cluster = {item(trial): trial.probe.cluster_id for trial in trials}
    return np.array(list(Counter(cluster.values()).values()), dtype=np.intp)


KINDS: tuple[tuple[frozenset[str], Callable[[Sequence[Trial], int], str]], ...] = (
    (frozenset({"cell", "grid", "background"}), _canvas),
    (frozenset({"cell", "grid"}), _cells),
    (frozenset({"rival_slot", "content_order"}), _conflict),
    (frozenset({"placement", "baseline"}), _placement),
    (frozenset({"image_at", "asks", "layout", "distractors"}), _images),
    (frozenset({"swap"}), _options),
    (frozenset({"labels", "order"}), _options),
    (frozenset({"form"}), _forms),
)
