"""Says how often a preference between two contradicting segments is found, asking both orders of content or one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

from vlbias.metrics._blocks import Floats

LEVEL = 0.05
SPREAD = 2.0
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(61)


@dataclass(frozen=True, kw_only=True)
class Design:
    """The chance to find a preference of `index` (share that believes the head less the neighbour) with `n_pairs`.

    `both_orders` asks each pair twice; `one_order` asks it once, `one_order_twice_the_pairs` asks as often as
    `both_orders` and needs twice the pairs. All three are shares.
    """

    n_pairs: int
    index: float
    both_orders: float
    one_order: float
    one_order_twice_the_pairs: float

    @property
    def powers(self) -> tuple[float, float, float]:
        """The three chances, in the order above."""
        return self.both_orders, self.one_order, self.one_order_twice_the_pairs


def design(n_pairs: int, index: float, *, spread: float = SPREAD) -> Design:
    """The power of the mid-p McNemar and binomial tests at .05, exactly, no simulation.

    The contents of a pair differ in worth by `spread` in log-odds (one standard deviation), and the head is worth
    gamma more, so that the index is as given: logit P(head) = worth + gamma. With both orders asked, the pairs that
    believe one place twice are compared, and what the content is worth falls out; with one order it is noise.
    """
    gamma = _gamma(index, spread)
    worth_K = spread * NODES
    head_K, neighbour_K = special.expit(worth_K + gamma), special.expit(-worth_K - gamma)
    twice_head, twice_neighbour = _mean(head_K * head_K[::-1]), _mean(neighbour_K * neighbour_K[::-1])
    stuck = twice_head + twice_neighbour
    m_M = np.arange(n_pairs + 1)
    found_M = np.array([_found(int(m), twice_head / stuck) for m in m_M])
    return Design(
        n_pairs=n_pairs,
        index=index,
        both_orders=float(stats.binom.pmf(m_M, n_pairs, stuck) @ found_M),
        one_order=_found(n_pairs, (1 + index) / 2),
        one_order_twice_the_pairs=_found(2 * n_pairs, (1 + index) / 2),
    )


def _gamma(index: float, spread: float) -> float:
    """The log-odds that the head gains where the index is `index`."""
    wanted = (1 + index) / 2
    return float(optimize.brentq(lambda g: _mean(special.expit(spread * NODES + g)) - wanted, -20.0, 20.0))


def _mean(value_K: Floats) -> float:
    """The mean over pairs, whose worth is normal."""
    return float(WEIGHTS @ value_K / WEIGHTS.sum())


def _found(n: int, chance: float) -> float:
    """The chance that `n` draws of `chance` differ from a half by the two-sided mid-p binomial test."""
    k_K = np.arange(n + 1)
    low_K = np.minimum(k_K, n - k_K)
    p_K = 2 * stats.binom.cdf(low_K, n, 0.5) - stats.binom.pmf(low_K, n, 0.5)
    return float(stats.binom.pmf(k_K, n, chance) @ (p_K < LEVEL))
