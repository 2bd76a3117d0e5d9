"""Learns how likely each rank is looked at, from clicks: dual learning, and ratios of clicks on shuffled lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vlbias.debias._scores import Floats
from vlbias.errors import NotApplicable

MOST_ROUNDS = 200
SETTLED = 1e-8


@dataclass(frozen=True, kw_only=True, eq=False)
class Dual:
    """Propensities relative to the first rank [K], and worths of the features relative to the first feature [F]."""

    propensity_K: Floats
    worth_F: Floats
    rounds: int


def dual_learning(clicks_NK: Floats, feature_NK: npt.NDArray[np.int_]) -> Dual:
    """Propensity of each rank and worth of each feature from lists in the order in which they were shown.

    `clicks_NK` holds clicks, or their expectations, of N lists of K ranks; `feature_NK` numbers what stood there.
    Minimises the two listwise softmax losses of Ai et al. (SIGIR 2018, eq. 8 to 12): clicks over propensity train the
    worths, clicks over worth train the propensities, both relative to rank 1 of the list. The propensities have their
    minimum in closed form; the worths take steps of iterative scaling. Errors: NotApplicable when a rank or a feature
    has no click, so that its ratio cannot be told.
    """
    n_features = int(feature_NK.max()) + 1
    shown_F = np.bincount(feature_NK.ravel(), minlength=n_features)
    clicked_F = np.bincount(feature_NK.ravel(), weights=clicks_NK.ravel(), minlength=n_features)
    if clicks_NK.sum(axis=0).min() <= 0 or (clicked_F[shown_F > 0] <= 0).any():
        raise NotApplicable("dual learning: a rank or a feature without a click has no ratio to the others")
    clicks_NK, feature_NK = _with_clicks(clicks_NK, feature_NK)
    worth_F = np.ones(n_features)
    propensity_K = np.ones(clicks_NK.shape[1])
    rounds, change = 0, np.inf
    while change > SETTLED and rounds < MOST_ROUNDS:
        rounds += 1
        before = np.concatenate([propensity_K, worth_F])
        worth_NK = worth_F[feature_NK]
        # Exam loss: labels c * worth_1 / worth_i; its softmax is best at the labels' shares, list by list the same.
        propensity_K = (clicks_NK * worth_NK[:, :1] / worth_NK).sum(axis=0)
        propensity_K = propensity_K / propensity_K[0]
        worth_F = _worths(clicks_NK / propensity_K, feature_NK, worth_F)
        change = float(np.abs(np.concatenate([propensity_K, worth_F]) / before - 1).max())
    return Dual(propensity_K=propensity_K, worth_F=worth_F / worth_F[0], rounds=rounds)


def shuffled_ratios(clicks_NK: Floats) -> Floats:
    """Propensities relative to rank 1 from lists shown in an order of chance: clicks at k over clicks at 1."""
    total_K = clicks_NK.sum(axis=0)
    if total_K[0] <= 0:
        raise NotApplicable("shuffled lists: rank 1 was never clicked; more lists are needed")
    ratios: Floats = total_K / total_K[0]
    return ratios


def _worths(labels_NK: Floats, feature_NK: npt.NDArray[np.int_], worth_F: Floats) -> Floats:
    """One step of iterative scaling of the rank loss: label mass of a feature over what the softmax gives it."""
    worth_NK = worth_F[feature_NK]
    expected_NK = worth_NK / worth_NK.sum(axis=1, keepdims=True) * labels_NK.sum(axis=1, keepdims=True)
    size = len(worth_F)
    got_F = np.bincount(feature_NK.ravel(), weights=labels_NK.ravel(), minlength=size)
    had_F = np.bincount(feature_NK.ravel(), weights=expected_NK.ravel(), minlength=size)
    seen = had_F > 0
    scaled_F = np.where(seen, worth_F * np.divide(got_F, had_F, out=np.ones(size), where=seen), worth_F)
    worths: Floats = scaled_F / scaled_F.max()
    return worths


def _with_clicks(clicks_NK: Floats, feature_NK: npt.NDArray[np.int_]) -> tuple[Floats, npt.NDArray[np.int_]]:
    keep = clicks_NK.sum(axis=1) > 0
    return clicks_NK[keep], feature_NK[keep]
