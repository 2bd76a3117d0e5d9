"""How important each segment is to each query, from log-sum-exps alone: no token-by-token matrix is kept.

Importance is the mean attention on a segment's tokens, before any rotation. With lse(i, u) the log-sum-exp of the
scores of query i on segment u it is exp(lse(i, u) - logsumexp_u lse(i, u)) / length_u, so H x Q x S numbers are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from vlbias.attention._rows import Row
from vlbias.attention.contract import Pine, Score
from vlbias.attention.layout import Span

SegmentLse: TypeAlias = Callable[[Row, int, int, Sequence[Span], Score], Tensor]
CPU_SCORES, CUDA_SCORES = 1 << 18, 1 << 26
"""Scores held at a time: on a CPU they must stay in its cache."""


def region_importance(row: Row, rule: Pine, score: Score, *, lse: SegmentLse | None = None) -> Tensor | None:
    """Importance of key segment u to query segment i, [H, i, u]; None where two segments need no sorting.

    `lse` is what finds the log-sum-exps (default: `segment_lse`).
    """
    layout = row.layout
    if layout.n_segments <= 2:
        return None
    first = layout.region[0]
    bounds = [(s.start - first, s.end - first) for s in layout.segments]
    low, high = layout.region[0] - row.first, layout.region[1] - row.first
    if rule.importance == "mean":
        found_HRS = _by_mean_key(row, low, high, bounds, score)
        return torch.stack([found_HRS[:, a:b].sum(1) for a, b in bounds], dim=1)
    lse_HRS = (lse or segment_lse)(row, low, high, bounds, score)
    length_S = torch.tensor(layout.lengths, device=lse_HRS.device)
    per_segment = []
    for own, (a, b) in enumerate(bounds):
        others_HLS = lse_HRS[:, a:b].index_fill(2, torch.tensor(own, device=lse_HRS.device), -torch.inf)
        per_segment.append((others_HLS.softmax(-1) / length_S).sum(1))
    return torch.stack(per_segment, dim=1)


def suffix_importance(row: Row, rule: Pine, score: Score, *, lse: SegmentLse | None = None) -> Tensor:
    """Importance of each segment to every suffix query, up to a factor per query, as logarithms, [H, M, S]."""
    layout = row.layout
    first = layout.region[0]
    bounds = [(s.start - first, s.end - first) for s in layout.segments]
    low, high = row.suffix_first - row.first, row.n_tokens - row.first
    if rule.importance == "mean":
        return _by_mean_key(row, low, high, bounds, score)
    lse_HMS = (lse or segment_lse)(row, low, high, bounds, score)
    return lse_HMS - torch.tensor(layout.lengths, dtype=lse_HMS.dtype, device=lse_HMS.device).log()


def _by_mean_key(row: Row, low: int, high: int, bounds: Sequence[Span], score: Score) -> Tensor:
    query_KXD, key_KRD = _grouped(row, low, high)
    mean_KSD = torch.stack([key_KRD[:, a:b].mean(1) for a, b in bounds], dim=1)
    return _ungrouped(query_KXD @ mean_KSD.transpose(1, 2) * score.scale, high - low)


def segment_lse(row: Row, low: int, high: int, bounds: Sequence[Span], score: Score) -> Tensor:
    """Log-sum-exp of the scores of queries [low, high) on every segment, [H, Q, S], in fp32 at least.

    What region queries score on their own segment is left at minus infinity: no rule asks for it.
    """
    assert row.bare_query_HQD is not None
    n_heads, n_queries = row.query_HQD.shape[0], high - low
    dtype = torch.promote_types(row.bare_query_HQD.dtype, torch.float32)
    lse_HQS = row.bare_query_HQD.new_full((n_heads, n_queries, len(bounds)), -torch.inf, dtype=dtype)
    budget = CPU_SCORES if row.key_KTD.device.type == "cpu" else CUDA_SCORES
    if n_heads * n_queries * bounds[-1][1] <= 8 * budget:
        score_KXR = _scores(row, (low, high), (0, bounds[-1][1]), score)
        for u, (a, b) in enumerate(bounds):
            lse_HQS[..., u] = _ungrouped(score_KXR[..., a:b].logsumexp(-1), n_queries)
        return lse_HQS
    of_region = row.holds_region and high + row.first <= row.layout.region[1]
    for u, (a, b) in enumerate(bounds):
        step = max(16, budget // (n_heads * (b - a)))
        for begin, stop in ((0, a), (b, n_queries)) if of_region else ((0, n_queries),):
            for at in range(begin, stop, step):
                upto = min(at + step, stop)
                score_KXL = _scores(row, (low + at, low + upto), (a, b), score)
                lse_KX = score_KXL[..., 0] - score_KXL.log_softmax(-1)[..., 0]  # on a CPU faster than logsumexp
                lse_HQS[:, at:upto, u] = _ungrouped(lse_KX, upto - at)
    return lse_HQS


def _scores(row: Row, queries: Span, keys: Span, score: Score) -> Tensor:
    """Scores before rotation [K, G * Q, L] of some queries on some keys of the region."""
    query_KXD, key_KLD = _grouped(row, *queries, *keys)
    score_KXL = torch.bmm(query_KXD * score.scale, key_KLD.transpose(1, 2))
    return score_KXL if score.softcap is None else score_KXL.div_(score.softcap).tanh_().mul_(score.softcap)


def _grouped(row: Row, low: int, high: int, start: int = 0, end: int | None = None) -> tuple[Tensor, Tensor]:
    """Bare queries [K, G * Q, D] folded so that keys need no copies, and bare keys [K, R, D]; fp32 at least."""
    assert row.bare_query_HQD is not None and row.bare_region_KRD is not None
    query_HQD, key_KRD = row.bare_query_HQD[:, low:high], row.bare_region_KRD[:, start:end]
    dtype = torch.promote_types(query_HQD.dtype, torch.float32)
    n_key_heads, width = key_KRD.shape[0], query_HQD.shape[-1]
    return query_HQD.reshape(n_key_heads, -1, width).to(dtype), key_KRD.to(dtype)


def _ungrouped(folded: Tensor, n_queries: int) -> Tensor:
    """[K, G * Q, ...] back to [H, Q, ...]."""
    return folded.reshape(-1, n_queries, *folded.shape[2:])
