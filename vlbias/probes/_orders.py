"""The order in which a probe's options are displayed: one order per probe, the same at every slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from vlbias.records import Probe, digest

OrderRule = Literal["as_given", "cyclic", "balanced"]


def option_orders(probes: Sequence[Probe], *, rule: OrderRule, seed: int) -> list[tuple[int, ...]]:
    """For each probe the suite's index of the option at each place, as `Trial.option_order` holds it.

    `balanced`: of each run of L probes with L options, each place holds the right option once; the other options
    follow in an order of chance. `cyclic` does the same by a rotation of the given order. The order of a probe depends
    on the seed and on the probes before it only, so a limit to the first probes changes nothing. A probe without a
    right option gets an order of chance.
    """
    if rule == "as_given":
        return [tuple(range(len(probe.options))) for probe in probes]
    seen: dict[int, int] = {}
    orders = []
    for probe in probes:
        n = len(probe.options)
        rng = _generator(seed, probe.probe_id)
        if probe.gold is None:
            orders.append(tuple(int(k) for k in rng.permutation(n)))
            continue
        turn = seen.get(n, 0)
        seen[n] = turn + 1
        gold_place = int(_generator(seed, f"{n} options, round {turn // n}").permutation(n)[turn % n])
        orders.append(_order(n, probe.gold, gold_place=gold_place, rng=rng if rule == "balanced" else None))
    return orders


def _order(n: int, gold: int, *, gold_place: int, rng: np.random.Generator | None) -> tuple[int, ...]:
    if rng is None:
        return tuple((gold + place - gold_place) % n for place in range(n))
    rest = [int(k) for k in rng.permutation([k for k in range(n) if k != gold])]
    return (*rest[:gold_place], gold, *rest[gold_place:])


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng(int(digest([seed, name])[:16], 16))
