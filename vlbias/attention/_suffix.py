"""A few suffix queries at once, as in decoding: all scores side by side, one softmax, one product with the values."""

from __future__ import annotations

import torch
from torch import Tensor

from vlbias.attention._rows import Row
from vlbias.attention._seen import seen
from vlbias.attention._turns import turned_copies
from vlbias.attention.contract import Rotation, Score
from vlbias.attention.entries import SuffixEntries


def few_suffix_queries(row: Row, entries: SuffixEntries, rotation: Rotation, score: Score) -> Tensor:
    """The output [H, M, D] of M suffix queries, in fp32 at least. Keys are read as they are, groups share them."""
    query_HMD, n_keys = row.query_HQD * score.scale, row.key_KTD.shape[0]
    turn_GMP = torch.full((1, 1, 1), entries.prefix_turn, device=query_HMD.device)
    turn_GMC = torch.cat((turn_GMP.expand(*entries.turn_GMS.shape[:2], 1), entries.turn_GMS.to(query_HMD.device)), -1)
    spans = [(0, row.layout.region[0]), *((s.start, s.end) for s in row.layout.segments)]
    queries = [query_HMD]
    if turn_GMC.any():
        copies_HMCD = turned_copies(query_HMD, turn_GMC, rotation)
        queries = [copies_HMCD[:, :, c] for c in range(len(spans))] + queries
        spans.append((row.layout.region[1], row.n_tokens))
    else:
        spans = [(0, row.n_tokens)]  # all is met where it arrived: one span, as in the model itself
    key_KDT = row.key_KTD.transpose(1, 2)
    parts = [
        torch.bmm(q.reshape(n_keys, -1, q.shape[-1]), key_KDT[:, :, a:b]) for q, (a, b) in zip(queries, spans) if b > a
    ]
    score_HMT = torch.cat(parts, dim=-1).view(*query_HMD.shape[:2], -1)
    score_HMT = score_HMT.to(torch.promote_types(score_HMT.dtype, torch.float32))
    if score.softcap is not None:
        score_HMT = score_HMT.div_(score.softcap).tanh_().mul_(score.softcap)
    hidden = _hidden(row, turn_GMC, spans, score)
    if hidden is not None:
        score_HMT = score_HMT.masked_fill(hidden, -torch.inf)
    share_KXT = score_HMT.softmax(-1).view(n_keys, -1, row.n_tokens).to(row.value_KTD.dtype)
    return torch.bmm(share_KXT, row.value_KTD).view(*query_HMD.shape[:2], -1)


def _hidden(row: Row, turn_GMC: Tensor, spans: list[tuple[int, int]], score: Score) -> Tensor | None:
    rows = row.suffix_first, row.n_tokens
    if score.window is None and rows[1] - rows[0] == 1:
        return None
    masks = []
    for index, (low, high) in enumerate(spans):
        last = index == len(spans) - 1
        turn_GQ = None if last else turn_GMC[..., index]
        mask = seen(row, rows, (low, high), causal=last, window=score.window, turn_GQ=turn_GQ)
        masks.append(torch.ones(rows[1] - rows[0], high - low, dtype=torch.bool) if mask is None else mask)
    heads = max(mask.shape[0] if mask.ndim == 3 else 1 for mask in masks)
    device = row.key_KTD.device
    return ~torch.cat([mask.to(device).expand(heads, *mask.shape[-2:]) for mask in masks], dim=-1)
