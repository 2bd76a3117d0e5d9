"""Simulates click logs whose propensities are known, and says how exactly any method can learn them from so many."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vlbias.debias._scores import Floats

# How often each rank was looked at (Joachims et al., SIGIR 2005), as used with dual learning by Ai et al. (2018).
EXAM_K = np.array([0.68, 0.61, 0.48, 0.34, 0.28, 0.20, 0.11, 0.10, 0.08, 0.06])
# The chance of a click on a document of grade 0 to 4 that is looked at: 0.1 + 0.9 (2^y - 1) / 15.
CLICKED_Y = 0.1 + 0.9 * (2.0 ** np.arange(5) - 1) / 15
RANKER = 0.5  # how much grade counts beside chance (standard deviation 1) when documents are ranked; 0: shuffled
CANDIDATES = 24  # documents per query of which the ten best are shown; the published data hold 473,134 for 19,944
EVEN = (0.2, 0.2, 0.2, 0.2, 0.2)  # share of documents of grade 0 to 4
SCARCE = (0.26, 0.36, 0.28, 0.08, 0.02)
Grades = npt.NDArray[np.int_]


def click_logs(
    n_lists: int, *, rng: np.random.Generator, ranker: float = RANKER, shares: tuple[float, ...] = EVEN
) -> tuple[Floats, Grades]:
    """Clicks [N, K], 0 or 1, of the position-based model, and the grades [N, K] of what was shown at each rank.

    As published (Ai et al., SIGIR 2018): a weak ranker picks and orders the ten best of each query's documents, and a
    list without any click is drawn again. The `shares` of the grades are our choice.
    """
    clicks: list[Floats] = []
    grades: list[Grades] = []
    missing = n_lists
    while missing:
        grade_NK = _ranked(round(1.2 * missing) + 10, rng=rng, ranker=ranker, shares=shares)
        clicks_NK = (rng.random(grade_NK.shape) < EXAM_K * CLICKED_Y[grade_NK]).astype(np.float64)
        kept = np.flatnonzero(clicks_NK.any(axis=1))[:missing]
        clicks.append(clicks_NK[kept])
        grades.append(grade_NK[kept])
        missing -= len(kept)
    return np.concatenate(clicks), np.concatenate(grades)


def shuffled_clicks(n_lists: int, *, rng: np.random.Generator, per_list: int = 5000) -> Floats:
    """Clicks [N / per_list, K] summed over `per_list` showings, each in an order of chance, of the same ten documents.

    Over orders of chance the clicks on a rank are binomial with the mean worth of the list's documents.
    """
    grade_NK = rng.integers(0, len(CLICKED_Y), size=(max(1, n_lists // per_list), len(EXAM_K)))
    chance_NK = EXAM_K * CLICKED_Y[grade_NK].mean(axis=1, keepdims=True)
    clicks_NK: Floats = rng.binomial(per_list, chance_NK).astype(np.float64)
    return clicks_NK


def least_errors(grade_NK: Grades) -> Floats:
    """The Cramer-Rao bound: the least covariance [K - 1, K - 1] of log(exam_1 / exam_k) for k = 2 to K.

    No unbiased estimate from clicks on these lists, each with a click or more, has a smaller one, whatever its method.
    The parameters are the log propensities and the log worths of the grades; the highest grade's is held at its value.
    """
    n_ranks, n_grades = grade_NK.shape[1], len(CLICKED_Y)
    chance_NK = EXAM_K * CLICKED_Y[grade_NK]
    none_N1 = np.prod(1 - chance_NK, axis=1, keepdims=True)
    odds_NK = chance_NK / (1 - chance_NK)
    odds_NP = np.concatenate(
        [odds_NK, *((odds_NK * (grade_NK == y)).sum(1, keepdims=True) for y in range(n_grades))], 1
    )
    weight_NK = odds_NK / (1 - none_N1)
    weight_KY = np.stack([(weight_NK * (grade_NK == y)).sum(axis=0) for y in range(n_grades)], axis=1)
    information = np.diag(np.concatenate([weight_KY.sum(axis=1), weight_KY.sum(axis=0)]))
    information[:n_ranks, n_ranks:], information[n_ranks:, :n_ranks] = weight_KY, weight_KY.T
    information -= (odds_NP * none_N1 / (1 - none_N1) ** 2).T @ odds_NP  # what it tells that there is a click at all
    covariance = np.linalg.inv(information[:-1, :-1])[:n_ranks, :n_ranks]
    ratio = np.eye(n_ranks)[0] - np.eye(n_ranks)[1:]
    least: Floats = ratio @ covariance @ ratio.T
    return least


def _ranked(n_lists: int, *, rng: np.random.Generator, ranker: float, shares: tuple[float, ...]) -> Grades:
    """The grades [N, K] of the best candidates by grade and chance, best first."""
    size = (n_lists, CANDIDATES)
    grade_NC = np.searchsorted(np.cumsum(shares[:-1]), rng.random(size), side="right")
    score_NC = ranker * grade_NC + rng.normal(size=size)
    best_NK = np.argsort(-score_NC, axis=1)[:, : len(EXAM_K)]
    return np.take_along_axis(grade_NC, best_NK, axis=1)
