"""The Triton engine: flash attention that turns its query tile anew at every key segment, in registers.

Two kernels: one for the log-sum-exp of every query on every segment before rotation (importance), one for attention.
Prefill runs all key stretches in one program per tile of queries; decoding runs one program per stretch and merges.
Sliding windows and image blocks are left to `partials`. Runs on CUDA, and on a CPU under TRITON_INTERPRET=1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from vlbias.attention import partials
from vlbias.attention._importance import region_importance, suffix_importance
from vlbias.attention._rows import Row, check_score, gathered, rows
from vlbias.attention._tables import Tables, halves, tables
from vlbias.attention.contract import Heads, Pine, Rotation, Rule, Score
from vlbias.attention.entries import check_rule, region_entries, suffix_entries
from vlbias.attention.layout import SegmentLayout, Span

FEW_QUERIES = 64
"""Up to so many queries, key stretches run in programs of their own."""


def attend(heads: Heads, layouts: Sequence[SegmentLayout], *, rotation: Rotation, rule: Rule, score: Score) -> Tensor:
    """One attention call by Triton kernels. See `contract.Engine`. Scores and sums are fp32 for any input."""
    check_score(score)
    if score.window is not None or heads.block_BL is not None:
        return partials.attend(heads, layouts, rotation=rotation, rule=rule, score=score)
    done = []
    for row, places_Q in rows(heads, layouts, rule=rule):
        check_rule(rule, row.layout)
        region = suffix = None
        if row.holds_region:
            importance = region_importance(row, rule, score, lse=segment_lse) if isinstance(rule, Pine) else None
            region = region_entries(rule, row.layout, importance)
        if row.suffix_first < row.n_tokens:
            importance = suffix_importance(row, rule, score, lse=segment_lse) if isinstance(rule, Pine) else None
            suffix = suffix_entries(rule, row.layout, importance)
        done.append((places_Q, _attention(row, tables(row, region, suffix, rotation), rotation, score)))
    return gathered(heads, done)


def segment_lse(row: Row, low: int, high: int, bounds: Sequence[Span], score: Score) -> Tensor:
    """Log-sum-exp of the scores before rotation of queries [low, high) on every segment, [H, Q, S], fp32."""
    assert row.bare_query_HQD is not None and row.bare_region_KRD is not None
    query_HQD, key_KRD = row.bare_query_HQD[:, low:high].contiguous(), row.bare_region_KRD.contiguous()
    n_heads, n_queries, width = query_HQD.shape
    edge_S = torch.tensor([bounds[0][0], *(b for _, b in bounds)], dtype=torch.int32, device=query_HQD.device)
    lse_HQS = query_HQD.new_empty(n_heads, n_queries, len(bounds), dtype=torch.float32)
    tile = _tile(n_queries)
    grid = (triton.cdiv(n_queries, tile), n_heads, len(bounds))
    _lse_kernel[grid](
        query_HQD, key_KRD, edge_S, lse_HQS, n_queries, key_KRD.shape[1], score.scale, score.softcap or 0.0,
        GROUP=n_heads // key_KRD.shape[0], SEGMENTS=len(bounds), WIDTH=width,
        PADDED=max(16, triton.next_power_of_2(width)), ROWS=tile, COLUMNS=64, CAPPED=score.softcap is not None,
    )  # fmt: skip
    return lse_HQS


def _attention(row: Row, table: Tables, rotation: Rotation, score: Score) -> Tensor:
    query_HQD = halves(row.query_HQD, rotation).contiguous()
    key_KTD, value_KTD = halves(row.key_KTD, rotation).contiguous(), row.value_KTD.contiguous()
    n_heads, n_queries, width = query_HQD.shape
    n_stretches = table.bias_CC.shape[0]
    per_program = 1 if n_queries <= FEW_QUERIES else n_stretches
    splits = triton.cdiv(n_stretches, per_program)
    out_PHQV = query_HQD.new_empty(splits, n_heads, n_queries, value_KTD.shape[2], dtype=torch.float32)
    lse_PHQ = query_HQD.new_empty(splits, n_heads, n_queries, dtype=torch.float32)
    tile = _tile(n_queries)
    _attention_kernel[(triton.cdiv(n_queries, tile), n_heads, splits)](
        query_HQD, key_KTD, value_KTD, table.edge_C, table.stretch_Q, table.phase_GQC, table.bias_CC,
        table.cos_UF, table.sin_UF, out_PHQV, lse_PHQ, n_queries, row.n_tokens, row.first, score.scale,
        score.softcap or 0.0, GROUP=n_heads // key_KTD.shape[0], STRETCHES=n_stretches, PER_PROGRAM=per_program,
        SHARED=table.phase_GQC.shape[0] == 1, HALF=width // 2, HALF_PADDED=max(16, triton.next_power_of_2(width // 2)),
        VALUES=value_KTD.shape[2], VALUES_PADDED=max(16, triton.next_power_of_2(value_KTD.shape[2])),
        ROWS=tile, COLUMNS=64, CAPPED=score.softcap is not None,
    )  # fmt: skip
    if splits == 1:
        return out_PHQV[0]
    weight_PHQ = lse_PHQ.softmax(0)
    return (out_PHQV * weight_PHQ[..., None]).sum(0)


def _tile(n_queries: int) -> int:
    return 64 if n_queries >= 64 else 16


@triton.jit  # type: ignore[untyped-decorator]
def _capped(score, cap, CAPPED: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    if CAPPED:
        score = cap * (2.0 * tl.sigmoid(2.0 * score / cap) - 1.0)
    return score


@triton.jit  # type: ignore[untyped-decorator]
def _turned(query_a, query_b, COS, SIN, phase_at, ok):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    cos, sin = tl.load(COS + phase_at, mask=ok, other=1.0), tl.load(SIN + phase_at, mask=ok, other=0.0)
    return query_a * cos - query_b * sin, query_b * cos + query_a * sin


@triton.jit  # type: ignore[untyped-decorator]
def _folded(score, value, most, total, sum_out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    higher = tl.maximum(most, tl.max(score, 1))
    safe = tl.where(higher == -float("inf"), 0.0, higher)
    share, fade = tl.exp(score - safe[:, None]), tl.exp(most - safe)
    sum_out = sum_out * fade[:, None] + tl.dot(share.to(value.dtype), value, input_precision="ieee")
    return higher, total * fade + tl.sum(share, 1), sum_out


@triton.jit  # type: ignore[untyped-decorator]
def _lse_kernel(  # type: ignore[no-untyped-def]  # noqa: ANN202
    Q, K, EDGE, LSE, n_queries, n_keys, scale, cap,  # noqa: ANN001
    GROUP: tl.constexpr, SEGMENTS: tl.constexpr, WIDTH: tl.constexpr, PADDED: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, CAPPED: tl.constexpr,
):  # fmt: skip
    head, segment = tl.program_id(1), tl.program_id(2)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    feature = tl.arange(0, PADDED)
    row_ok, feature_ok = rows < n_queries, feature < WIDTH
    query = tl.load(
        Q + (head * n_queries + rows[:, None]).to(tl.int64) * WIDTH + feature[None],
        mask=row_ok[:, None] & feature_ok[None], other=0.0,
    )  # fmt: skip
    most = tl.full([ROWS], -float("inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    start, end = tl.load(EDGE + segment), tl.load(EDGE + segment + 1)
    base = K + (head // GROUP).to(tl.int64) * n_keys * WIDTH
    for at in range(start, end, COLUMNS):
        columns = at + tl.arange(0, COLUMNS)
        column_ok = columns < end
        key = tl.load(
            base + columns[:, None] * WIDTH + feature[None], mask=column_ok[:, None] & feature_ok[None], other=0.0
        )
        score = _capped(tl.dot(query, tl.trans(key), input_precision="ieee") * scale, cap, CAPPED)
        score = tl.where(column_ok[None], score, -float("inf"))
        higher = tl.maximum(most, tl.max(score, 1))
        total = total * tl.exp(most - higher) + tl.sum(tl.exp(score - higher[:, None]), 1)
        most = higher
    tl.store(LSE + (head * n_queries + rows).to(tl.int64) * SEGMENTS + segment, most + tl.log(total), mask=row_ok)


@triton.jit  # type: ignore[untyped-decorator]
def _attention_kernel(  # type: ignore[no-untyped-def]  # noqa: ANN202
    Q, K, V, EDGE, STRETCH, PHASE, BIAS, COS, SIN, OUT, LSE,  # noqa: ANN001
    n_queries, n_keys, first, scale, cap,  # noqa: ANN001
    GROUP: tl.constexpr, STRETCHES: tl.constexpr, PER_PROGRAM: tl.constexpr, SHARED: tl.constexpr,
    HALF: tl.constexpr, HALF_PADDED: tl.constexpr, VALUES: tl.constexpr, VALUES_PADDED: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, CAPPED: tl.constexpr,
):  # fmt: skip
    head, part = tl.program_id(1), tl.program_id(2)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    feature, wide = tl.arange(0, HALF_PADDED), tl.arange(0, VALUES_PADDED)
    row_ok, feature_ok, wide_ok = rows < n_queries, feature < HALF, wide < VALUES
    query_at = Q + (head * n_queries + rows[:, None]).to(tl.int64) * (2 * HALF) + feature[None]
    query_ok = row_ok[:, None] & feature_ok[None]
    query_a = tl.load(query_at, mask=query_ok, other=0.0).to(tl.float32)
    query_b = tl.load(query_at + HALF, mask=query_ok, other=0.0).to(tl.float32)
    own = tl.load(STRETCH + rows, mask=row_ok, other=0)
    most = tl.full([ROWS], -float("inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    sum_out = tl.zeros([ROWS, VALUES_PADDED], tl.float32)
    key_base = K + (head // GROUP).to(tl.int64) * n_keys * (2 * HALF)
    value_base = V + (head // GROUP).to(tl.int64) * n_keys * VALUES
    table_row = rows if SHARED else head * n_queries + rows
    for stretch in range(part * PER_PROGRAM, tl.minimum((part + 1) * PER_PROGRAM, STRETCHES)):
        bias = tl.load(BIAS + own * STRETCHES + stretch, mask=row_ok, other=-float("inf"))
        if tl.max(bias, 0) > -float("inf"):
            phase = tl.load(PHASE + table_row.to(tl.int64) * STRETCHES + stretch, mask=row_ok, other=0)
            turned_a, turned_b = _turned(query_a, query_b, COS, SIN, phase[:, None] * HALF + feature[None], query_ok)
            turned_a, turned_b = turned_a.to(K.dtype.element_ty), turned_b.to(K.dtype.element_ty)
            start, end = tl.load(EDGE + stretch), tl.load(EDGE + stretch + 1)
            for at in range(start, end, COLUMNS):
                columns = at + tl.arange(0, COLUMNS)
                column_ok = columns < end
                key_at = key_base + columns[:, None].to(tl.int64) * (2 * HALF) + feature[None]
                key_ok = column_ok[:, None] & feature_ok[None]
                key_a, key_b = tl.load(key_at, mask=key_ok, other=0.0), tl.load(key_at + HALF, mask=key_ok, other=0.0)
                score = tl.dot(turned_a, tl.trans(key_a), input_precision="ieee")
                score += tl.dot(turned_b, tl.trans(key_b), input_precision="ieee")
                score = _capped(score * scale, cap, CAPPED) + bias[:, None]
                causal = (own[:, None] != stretch) | (columns[None] <= first + rows[:, None])
                score = tl.where(column_ok[None] & causal, score, -float("inf"))
                value_at = value_base + columns[:, None].to(tl.int64) * VALUES + wide[None]
                value = tl.load(value_at, mask=column_ok[:, None] & wide_ok[None], other=0.0)
                most, total, sum_out = _folded(score, value, most, total, sum_out)
    whole = tl.where(total > 0, total, 1.0)
    out_row = (part * tl.num_programs(1) + head) * n_queries + rows
    out_at = OUT + out_row[:, None].to(tl.int64) * VALUES + wide[None]
    tl.store(out_at, sum_out / whole[:, None], mask=row_ok[:, None] & wide_ok[None])
    tl.store(LSE + out_row, most + tl.log(whole), mask=row_ok)
