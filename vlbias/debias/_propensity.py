"""Learns how likely each rank is looked at, from clicks: dual learning, and ratios of clicks on shuffled lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vlbias.debias._scores import Floats
from vlbias.errors import NotApplicable

DUAL_ROUNDS, NEWTON_ROUNDS = 5, 50
SETTLED = 1e-9
LONGEST_STEP = 1.0  # of a log ratio in one Newton step


@dataclass(frozen=True, kw_only=True, eq=False)
class Dual:
    """Propensities relative to the first rank [K], and worths of the features relative to the first feature [F]."""

    propensity_K: Floats
    worth_F: Floats
    rounds: int


def dual_learning(clicks_NK: Floats, feature_NK: npt.NDArray[np.int_]) -> Dual:
    """Propensity of each rank and worth of each feature from lists in the order in which they were shown.

    `clicks_NK` holds clicks, or their expectations, of N lists of K ranks; `feature_NK` numbers what stood there.
    It starts with the two listwise softmax losses of Ai et al. (SIGIR 2018, eq. 8 to 12): clicks over propensity train
    the worths, clicks over worth train the propensities, both relative to rank 1 of the list. Those inverse weights
    make the result noisy, so we go on from there to the maximum of the one likelihood behind both: a click of a list
    falls on a rank with a chance in proportion to propensity times worth (Newton's method). Like the two losses it
    takes nothing for granted of how many clicks a list gets. Its error is the smallest that any unbiased estimate can
    have, to within a tenth (docs/corrections.md). Errors: NotApplicable when a rank or a feature has no click, or when
    ranks and features never change partners, so that their ratios cannot be told apart.
    """
    n_features = int(feature_NK.max()) + 1
    shown_F = np.bincount(feature_NK.ravel(), minlength=n_features)
    clicked_F = np.bincount(feature_NK.ravel(), weights=clicks_NK.ravel(), minlength=n_features)
    if clicks_NK.sum(axis=0).min() <= 0 or (clicked_F <= 0).any() or (shown_F == 0).any():
        raise NotApplicable("dual learning: a rank or a feature without a click has no ratio to the others")
    clicks_NK, feature_NK = _with_clicks(clicks_NK, feature_NK)
    worth_F, propensity_K = np.ones(n_features), np.ones(clicks_NK.shape[1])
    for _ in range(DUAL_ROUNDS):
        worth_NK = worth_F[feature_NK]
        # Exam loss: labels c * worth_1 / worth_i; its softmax is best at the labels' shares, list by list the same.
        propensity_K = (clicks_NK * worth_NK[:, :1] / worth_NK).sum(axis=0)
        propensity_K = propensity_K / propensity_K[0]
        worth_F = _worths(clicks_NK / propensity_K, feature_NK, worth_F)
    return _most_likely(clicks_NK, feature_NK, start=(propensity_K, worth_F / worth_F[0]))


def shuffled_ratios(clicks_NK: Floats) -> Floats:
    """Propensities relative to rank 1 from lists shown in an order of chance: clicks at k over clicks at 1."""
    total_K = clicks_NK.sum(axis=0)
    if total_K[0] <= 0:
        raise NotApplicable("shuffled lists: rank 1 was never clicked; more lists are needed")
    ratios: Floats = total_K / total_K[0]
    return ratios


def _most_likely(clicks_NK: Floats, feature_NK: npt.NDArray[np.int_], *, start: tuple[Floats, Floats]) -> Dual:
    """Newton's method on log propensities and log worths, those of the first rank and feature held at 0."""
    rank_K, feature_F = np.log(start[0]), np.log(start[1])
    n_ranks, n_features = len(rank_K), len(feature_F)
    is_FNK = np.stack([feature_NK == f for f in range(n_features)]).astype(np.float64)
    got = np.concatenate([clicks_NK.sum(axis=0), np.einsum("fnk,nk->f", is_FNK, clicks_NK)])
    free = np.r_[1:n_ranks, n_ranks + 1 : n_ranks + n_features]
    for rounds in range(1, NEWTON_ROUNDS + 1):
        expected, curvature = _expected(rank_K + feature_F[feature_NK], clicks_NK.sum(axis=1), is_FNK)
        try:
            step = np.linalg.solve(curvature[np.ix_(free, free)], (got - expected)[free])
        except np.linalg.LinAlgError as error:
            raise NotApplicable("dual learning: ranks and features never change partners; shuffle some") from error
        step = step * min(1.0, LONGEST_STEP / max(float(np.abs(step).max()), SETTLED))
        rank_K[1:] += step[: n_ranks - 1]
        feature_F[1:] += step[n_ranks - 1 :]
        if np.abs(step).max() < SETTLED:
            return Dual(propensity_K=np.exp(rank_K), worth_F=np.exp(feature_F), rounds=rounds)
    raise NotApplicable(f"dual learning: not settled after {NEWTON_ROUNDS} steps; more lists are needed")


def _expected(logit_NK: Floats, total_N: Floats, is_FNK: Floats) -> tuple[Floats, Floats]:
    """The clicks expected of each rank and feature, [K + F], and the curvature of the likelihood there."""
    raised_NK = np.exp(logit_NK - logit_NK.max(axis=1, keepdims=True))
    share_NK = raised_NK / raised_NK.sum(axis=1, keepdims=True)
    clicks_NK = share_NK * total_N[:, None]
    share_NF = np.einsum("nk,fnk->nf", share_NK, is_FNK)
    clicks_KF = np.einsum("nk,fnk->kf", clicks_NK, is_FNK)
    expected = np.concatenate([clicks_NK.sum(axis=0), clicks_KF.sum(axis=0)])
    both_NP = np.concatenate([share_NK, share_NF], axis=1)
    curvature = -(both_NP * total_N[:, None]).T @ both_NP
    n_ranks = share_NK.shape[1]
    curvature[:n_ranks, n_ranks:] += clicks_KF
    curvature[n_ranks:, :n_ranks] += clicks_KF.T
    return expected, curvature + np.diag(expected)


def _worths(labels_NK: Floats, feature_NK: npt.NDArray[np.int_], worth_F: Floats) -> Floats:
    """One step of iterative scaling of the rank loss: label mass of a feature over what the softmax gives it."""
    worth_NK = worth_F[feature_NK]
    expected_NK = worth_NK / worth_NK.sum(axis=1, keepdims=True) * labels_NK.sum(axis=1, keepdims=True)
    size = len(worth_F)
    got_F = np.bincount(feature_NK.ravel(), weights=labels_NK.ravel(), minlength=size)
    had_F = np.bincount(feature_NK.ravel(), weights=expected_NK.ravel(), minlength=size)
    scaled_F = worth_F * got_F / had_F
    worths: Floats = scaled_F / scaled_F.max()
    return worths


def _with_clicks(clicks_NK: Floats, feature_NK: npt.NDArray[np.int_]) -> tuple[Floats, npt.NDArray[np.int_]]:
    keep = clicks_NK.sum(axis=1) > 0
    return clicks_NK[keep], feature_NK[keep]
