"""Asks each trial under several option orders: all rotations, all orders, K of chance, or the right option moved."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Literal, TypeAlias

import numpy as np

from vlbias.errors import BadSuite
from vlbias.records import Trial, digest

Rule: TypeAlias = Literal["cyclic", "full", "gold_moving"] | int
RULES = ("cyclic", "full", "gold_moving")
MOST_FULL = 6
Order: TypeAlias = tuple[int, ...]


def permuted(trials: Iterable[Trial], *, rule: Rule, seed: int) -> Iterator[Trial]:
    """Each trial once per option order, one after the other, so that they share all that comes before the options.

    The factor `order` names the order: `cyclic0` to `cyclic<n-1>`, `full0` to `full<n!-1>`, `random0` to
    `random<K-1>`, `gold0` to `gold<n-1>`; the name is added to `trial_id` too. The orders of a probe are the same at
    every slot. PriDe (arXiv 2309.03882, section 2.5) has the first two and calls the last answer-moving attack.
    """
    for trial in trials:
        for name, order in orders_of(trial, rule=rule, seed=seed):
            yield replace(
                trial,
                trial_id=f"{trial.trial_id}/{name}",
                option_order=order,
                factors=(*trial.factors, ("order", name)),
            )


def orders_of(trial: Trial, *, rule: Rule, seed: int) -> list[tuple[str, Order]]:
    """The named orders of one trial; its own order comes first, except when the right option is moved."""
    base, n = trial.option_order, len(trial.option_order)
    where = f"probe {trial.probe.probe_id}"
    if ("asks", "index") in trial.factors:
        raise BadSuite(
            f"{where}: its options are the numbers of its images, so they have no other order; "
            "leave option_orders out, or ask for content alone (asks: [content])"
        )
    if rule == "cyclic":
        return [(f"cyclic{k}", base[k:] + base[:k]) for k in range(n)]
    if rule == "full":
        if n > MOST_FULL:
            raise BadSuite(f"{where}: {n} options have {math.factorial(n)} orders; full takes at most {MOST_FULL}")
        return [(f"full{k}", order) for k, order in enumerate(permutations(base))]
    if rule == "gold_moving":
        if trial.probe.gold is None:
            raise BadSuite(f"{where}: there is no right option to move; use cyclic, full or a number")
        return [(f"gold{k}", _moved(base, trial.probe.gold, place=k)) for k in range(n)]
    assert not isinstance(rule, str)
    if not 1 <= rule <= math.factorial(n):
        raise BadSuite(f"{where}: found {rule} orders of chance; {n} options have 1 to {math.factorial(n)}")
    rng = np.random.default_rng(int(digest([seed, "option orders", trial.probe.probe_id])[:16], 16))
    return [(f"random{k}", order) for k, order in enumerate(_of_chance(base, count=rule, rng=rng))]


def _moved(base: Order, gold: int, *, place: int) -> Order:
    """The others keep their relative order."""
    rest = tuple(k for k in base if k != gold)
    return (*rest[:place], gold, *rest[place:])


def _of_chance(base: Order, *, count: int, rng: np.random.Generator) -> Sequence[Order]:
    found = {base: None}
    while len(found) < count:
        found[tuple(int(k) for k in rng.permutation(base))] = None
    return list(found)
