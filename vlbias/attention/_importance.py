"""How important each segment is to each query, from log-sum-exps alone: no token-by-token matrix is kept.

Importance is the mean attention on a segment's tokens, before any rotation. With lse(i, u) the log-sum-exp of the
scores of query i on segment u it is exp(lse(i, u) - logsumexp_u lse(i, u)) / length_u, so H x Q x S numbers are enough.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from vlbias.attention._rows import Row
from vlbias.attention.contract import Pine, Score
from vlbias.attention.layout import Span

CPU_SCORES, CUDA_SCORES = 1 << 18, 1 << 26
"""Scores held at a time: on a CPU they must stay in its cache."""


def region_importance(row: Row, rule: Pine, score: Score) -> Tensor | None:
    """Importance of key segment u to query segment i, [H, i, u]; None where two segments need no sorting."""
    layout = row.layout
    if layout.n_segments <= 2:
        return None
    first = layout.region[0]
    bounds = [(s.start - first, s.end - first) for s in layout.segments]
    low, high = layout.region[0] - row.first, layout.region[1] - row.first
    if rule.importance == "mean":
        found_HRS = _by_mean_key(row, low, high, bounds, score)
        return torch.stack([found_HRS[:, a:b].sum(1) for a, b in bounds], dim=1)
    lse_HRS = _segment_lse(row, low, high, bounds, score)
    length_S = torch.tensor(layout.lengths, device=lse_HRS.device)
    per_segment = []
    for own, (a, b) in enumerate(bounds):
        others_HLS = lse_HRS[:, a:b].index_fill(2, torch.tensor(own, device=lse_HRS.device), -torch.inf)
        per_segment.append((others_HLS.softmax(-1) / length_S).sum(1))
    return torch.stack(per_segment, dim=1)


def suffix_importance(row: Row, rule: Pine, score: Score) -> Tensor:
    """Importance of each segment to every suffix query, up to a factor per query, as logarithms, [H, M, S]."""
    layout = row.layout
    first = layout.region[0]
    bounds = [(s.start - first, s.end - first) for s in layout.segments]
    low, high = row.suffix_first - row.first, row.n_tokens - row.first
    if rule.importance == "mean":
        return _by_mean_key(row, low, high, bounds, score)
    lse_HMS = _segment_lse(row, low, high, bounds, score)
    return lse_HMS - torch.tensor(layout.lengths, dtype=lse_HMS.dtype, device=lse_HMS.device).log()


def _by_mean_key(row: Row, low: int, high: int, bounds: Sequence[Span], score: Score) -> Tensor:
    query_KXD, key_KRD = _grouped(row, low, high)
    mean_KSD = torch.stack([key_KRD[:, a:b].mean(1) for a, b in bounds], dim=1)
    return _ungrouped(query_KXD @ mean_KSD.transpose(1, 2) * score.scale, high - low)


def _segment_lse(row: Row, low: int, high: int, bounds: Sequence[Span], score: Score) -> Tensor:
    """Log-sum-exp of the scores of queries [low, high) on every segment, [H, Q, S], in fp32 at least."""
    n_heads, n_queries = row.query_HQD.shape[0], high - low
    budget = CPU_SCORES if row.key_KTD.device.type == "cpu" else CUDA_SCORES
    lse_HQS = None
    wide = n_heads * n_queries * bounds[-1][1] <= 8 * budget
    runs = [list(range(len(bounds)))] if wide else [[u] for u in range(len(bounds))]
    for run in runs:
        start, end = bounds[run[0]][0], bounds[run[-1]][1]
        step = n_queries if wide else max(16, budget // (n_heads * (end - start)))
        for at in range(0, n_queries, step):
            upto = min(at + step, n_queries)
            query_KXD, key_KRD = _grouped(row, low + at, low + upto, start, end)
            score_KXR = torch.bmm(query_KXD * score.scale, key_KRD.transpose(1, 2))
            if score.softcap is not None:
                score_KXR = score_KXR.div_(score.softcap).tanh_().mul_(score.softcap)
            if lse_HQS is None:
                lse_HQS = score_KXR.new_empty(n_heads, n_queries, len(bounds))
            for u in run:
                a, b = bounds[u][0] - start, bounds[u][1] - start
                lse_HQS[:, at:upto, u] = _ungrouped(score_KXR[..., a:b].logsumexp(-1), upto - at)
    assert lse_HQS is not None
    return lse_HQS


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
