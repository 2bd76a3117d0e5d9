"""Counts per cluster and displayed place of options, and what their sums say: recall, shares, spread, calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vlbias.answers import Answer
from vlbias.metrics._blocks import Floats, Ints
from vlbias.metrics._resample import Resampling, rotations
from vlbias.metrics._spread_interval import Spread

RIGHT, GOLD, CHOSEN = 0, 1, 2
BINS = 10


def counts(answers: Sequence[Answer]) -> Floats:
    """Sums over the answers of each cluster, [cluster, channel, place].

    The channels are right answers with gold at a place, answers with gold there, and choices of the place. Where every
    answer has log-probabilities, two for each tenth of probability that some answer gives follow: the number of answers
    that give the place so much, for all tenths, and then the sum of the probability less gold (1 or 0).
    """
    n_places = answers[0].asked.n_options
    scored = all(_has_scores(answer) for answer in answers)
    row_NCP = np.zeros((len(answers), 3 + 2 * BINS * scored, n_places))
    place_P = np.arange(n_places)
    for row_CP, answer in zip(row_NCP, answers):
        order = answer.asked.option_order
        assert answer.asked.gold is not None and answer.chosen is not None
        gold, chosen = order.index(answer.asked.gold), order.index(answer.chosen)
        row_CP[GOLD, gold] = row_CP[CHOSEN, chosen] = 1
        row_CP[RIGHT, gold] = gold == chosen
        if scored:
            share_P = _probabilities(answer)
            tenth_P = np.minimum(share_P * BINS, BINS - 1).astype(np.intp)
            row_CP[3 + tenth_P, place_P] = 1
            row_CP[3 + BINS + tenth_P, place_P] = share_P - (place_P == gold)
    tenths = 3 + np.flatnonzero(row_NCP[:, 3 : 3 + BINS].any(axis=(0, 2)))
    row_NCP = row_NCP[:, [RIGHT, GOLD, CHOSEN, *tenths, *(tenths + BINS)]]
    cluster_N: Ints = np.unique([a.asked.cluster_id for a in answers], return_inverse=True)[1].reshape(-1)
    table_GCP = np.zeros((int(cluster_N.max()) + 1, *row_NCP.shape[1:]))
    np.add.at(table_GCP, cluster_N, row_NCP)
    return table_GCP


def turned(table_GCP: Floats, *, drawn: Resampling) -> Floats:
    """Sums [draws, channel, place] when the displayed places of each cluster are rotated or mirrored at random."""
    table_GMCP = np.moveaxis(table_GCP[:, :, rotations(table_GCP.shape[2])], 2, 1)
    flat = drawn.variants(table_GMCP.reshape(*table_GMCP.shape[:2], -1))
    return flat.reshape(-1, *table_GCP.shape[1:])


def resampled(table_GCP: Floats, *, drawn: Resampling) -> Floats:
    """Sums [draws, channel, place] over clusters drawn with replacement."""
    return drawn.sums(table_GCP.reshape(len(table_GCP), -1)).reshape(-1, *table_GCP.shape[1:])


def with_gold_everywhere(sums_BCP: Floats) -> Floats:
    """The draws in which gold stands at every place at least once: the others have no recall."""
    kept_B = np.all(sums_BCP[:, GOLD] > 0, axis=1)
    return sums_BCP if kept_B.all() else sums_BCP[kept_B]


def excess(table_GCP: Floats, channel: int) -> Floats:
    """What each place of each cluster has above the mean of its places, [cluster, place].

    Of choices, or of right answers above those that the recall over all places would give.
    """
    value_GP = table_GCP[:, channel]
    if channel == RIGHT:
        value_GP = value_GP - table_GCP[:, GOLD] * value_GP.sum() / table_GCP[:, GOLD].sum()
    return np.asarray(value_GP - value_GP.mean(axis=1, keepdims=True))


def recall(sums_BCP: Floats) -> Floats:
    """The share of right answers among those with gold at each place, in percent, [draws, place]."""
    return np.asarray(100 * sums_BCP[:, RIGHT] / sums_BCP[:, GOLD])


def share(sums_BCP: Floats) -> Floats:
    """The share of answers that choose each place, in percent, [draws, place]."""
    chosen_BP = sums_BCP[:, CHOSEN]
    return np.asarray(100 * chosen_BP / chosen_BP.sum(axis=1, keepdims=True))


def recall_deviation(sums_BCP: Floats) -> Floats:
    """Recall of each place less the mean of the places, in points, [draws, place]."""
    recall_BP = recall(sums_BCP)
    return np.asarray(recall_BP - recall_BP.mean(axis=1, keepdims=True))


def share_deviation(sums_BCP: Floats) -> Floats:
    """The share of choices of each place less an even share, 0..1, [draws, place]."""
    return np.asarray(share(sums_BCP) / 100 - 1 / sums_BCP.shape[2])


def divergence(deviation_BP: Floats) -> Floats:
    """The divergence from uniform of shares that are an even share and these deviations, in nats, [draws]."""
    n_places = deviation_BP.shape[1]
    share_BP = np.maximum(deviation_BP + 1 / n_places, 0.0)
    safe_BP = np.where(share_BP > 0, share_BP, 1.0)
    return np.asarray(np.einsum("bp,bp->b", share_BP, np.log(safe_BP * n_places)))


def root_mean_square(deviation_BP: Floats) -> Floats:
    """The standard deviation (ddof 0) of what lies so far from its mean, [draws]."""
    return np.asarray(np.sqrt(np.einsum("bp,bp->b", deviation_BP, deviation_BP) / deviation_BP.shape[1]))


def ece(sums_BCP: Floats) -> Floats:
    """The classwise expected calibration error, a class being a place, in points (Kull et al. 2019, equation 3)."""
    n_B, n_places = sums_BCP[:, CHOSEN].sum(axis=1), sums_BCP.shape[2]
    return np.asarray(100 * np.abs(_tenths(sums_BCP)[1]).sum(axis=(1, 2)) / (n_places * n_B))


def gap_deviation(sums_BCP: Floats) -> Floats:
    """The error of each tenth of probability and place less that of the tenth over all places, [draws, tenths * P].

    In points, each weighted by its share of the answers and places, so that their absolute values sum to what is left
    of the calibration error once each tenth is recalibrated without a look at places.
    """
    n_BTP, gap_BTP = _tenths(sums_BCP)
    one_P = np.ones(sums_BCP.shape[2])  # a product sums a few places much faster than sum(axis=2)
    n_BT = n_BTP @ one_P
    mean_BT = (gap_BTP @ one_P) / np.where(n_BT > 0, n_BT, 1.0)
    points_B = 100 / (sums_BCP.shape[2] * (sums_BCP[:, CHOSEN] @ one_P))
    left_BTP = (gap_BTP - n_BTP * mean_BT[:, :, None]) * points_B[:, None, None]
    return np.asarray(left_BTP.reshape(len(sums_BCP), -1))


def absolute_sum(deviation_BD: Floats) -> Floats:
    """The sum of absolute values, [draws]."""
    return np.asarray(np.abs(deviation_BD) @ np.ones(deviation_BD.shape[1]))


rstd = Spread(deviation=recall_deviation, size=root_mean_square)
kl = Spread(deviation=share_deviation, size=divergence)
ece_of_places = Spread(deviation=gap_deviation, size=absolute_sum)


def _tenths(sums_BCP: Floats) -> tuple[Floats, Floats]:
    """The counts and the sums of errors of each tenth and place, [draws, tenth, place] each."""
    middle = (sums_BCP.shape[1] + 3) // 2
    return sums_BCP[:, 3:middle], sums_BCP[:, middle:]


def _has_scores(answer: Answer) -> bool:
    return answer.logprobs is not None and all(map(math.isfinite, answer.logprobs))


def _probabilities(answer: Answer) -> Floats:
    """The probability of the option at each place, over the options."""
    score_P = np.asarray(answer.logprobs, dtype=np.float64)
    weight_P = np.exp(score_P - score_P.max())
    return np.asarray(weight_P / weight_P.sum())
