"""One block of attention with its log-sum-exp, and the sum of blocks folded as they come."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SCORES = 1 << 22
"""Scores held at a time by `masked`."""


@dataclass(kw_only=True, eq=False)
class Fold:
    """A sum of attention blocks over the same queries: output [H, Q, D] and log-sum-exp [H, Q], in fp32 at least.

    softmax over all keys = sum over blocks of softmax over the block, weighted by the softmax of their log-sum-exps.
    """

    out_HQD: Tensor
    lse_HQ: Tensor

    @staticmethod
    def empty(query_HQD: Tensor, width: int) -> Fold:
        """Nothing seen yet."""
        dtype = torch.promote_types(query_HQD.dtype, torch.float32)
        shape = query_HQD.shape[:2]
        return Fold(
            out_HQD=query_HQD.new_zeros(*shape, width, dtype=dtype),
            lse_HQ=query_HQD.new_full(shape, -torch.inf, dtype=dtype),
        )

    def add(self, low: int, high: int, part: tuple[Tensor, Tensor], bias_Q: Tensor | None = None) -> None:
        """Adds a block over queries [low, high), its output and log-sum-exp; `bias_Q` raises all scores of a query."""
        out_HQD, lse_HQ = part
        was_HQ = self.lse_HQ[:, low:high]
        new_HQ = lse_HQ if bias_Q is None else lse_HQ + bias_Q.to(lse_HQ.dtype)
        weight_HQ = torch.sigmoid(new_HQ - was_HQ).nan_to_num_(nan=0.0)
        self.out_HQD[:, low:high].lerp_(out_HQD.to(self.out_HQD.dtype), weight_HQ[..., None])
        torch.logaddexp(was_HQ, new_HQ, out=was_HQ)


def block(
    query_HQD: Tensor, key_KLD: Tensor, value_KLD: Tensor, *, scale: float, causal: bool
) -> tuple[Tensor, Tensor]:
    """Softmax attention of one block: output [H, Q, D] and log-sum-exp [H, Q]. Causal blocks are square.

    Keys and values are not repeated for groups of query heads: the group is folded into the queries where all keys are
    seen, and is run head by head where the block is causal.
    """
    n_keys = key_KLD.shape[0]
    if query_HQD.shape[0] == n_keys:
        return _flash(query_HQD, key_KLD, value_KLD, scale=scale, causal=causal)
    shape = query_HQD.shape
    if not causal:
        folded_KXD = query_HQD.reshape(n_keys, -1, shape[2])
        out_KXD, lse_KX = _flash(folded_KXD, key_KLD, value_KLD, scale=scale, causal=False)
        return out_KXD.reshape(*shape[:2], -1), lse_KX.reshape(shape[:2])
    query_KGQD = query_HQD.view(n_keys, -1, *shape[1:])
    parts = [_flash(query_KGQD[:, g], key_KLD, value_KLD, scale=scale, causal=True) for g in range(query_KGQD.shape[1])]
    out_KGQD, lse_KGQ = torch.stack([p[0] for p in parts], dim=1), torch.stack([p[1] for p in parts], dim=1)
    return out_KGQD.flatten(0, 1), lse_KGQ.flatten(0, 1)


def masked(
    query_HQD: Tensor, key_KLD: Tensor, value_KLD: Tensor, seen: Tensor | None, *, scale: float, softcap: float | None
) -> tuple[Tensor, Tensor]:
    """The same with a mask `seen` ([Q, L] or [H, Q, L], None: all) and a softcap, some query rows at a time.

    A query that sees nothing here has output 0 and log-sum-exp minus infinity.
    """
    n_keys, n_heads, n_queries = key_KLD.shape[0], query_HQD.shape[0], query_HQD.shape[1]
    dtype = torch.promote_types(query_HQD.dtype, torch.float32)
    step = max(1, SCORES // (n_heads * key_KLD.shape[1]))
    key_KDL, value_KLD = key_KLD.to(dtype).transpose(1, 2), value_KLD.to(dtype)
    outs, lses = [], []
    for low in range(0, n_queries, step):
        query_HXD = query_HQD[:, low : low + step].to(dtype)
        rows = query_HXD.shape[1]
        score_HXL = ((query_HXD * scale).reshape(n_keys, -1, query_HXD.shape[2]) @ key_KDL).view(n_heads, rows, -1)
        if softcap is not None:
            score_HXL = score_HXL.div_(softcap).tanh_().mul_(softcap)
        if seen is not None:
            score_HXL = score_HXL.masked_fill(~seen[..., low : low + step, :], -torch.inf)
        lse_HX = score_HXL.logsumexp(-1)
        share_HXL = (score_HXL - lse_HX.masked_fill(lse_HX == -torch.inf, 0.0)[..., None]).exp_()
        outs.append((share_HXL.view(n_keys, -1, share_HXL.shape[-1]) @ value_KLD).reshape(n_heads, rows, -1))
        lses.append(lse_HX)
    return torch.cat(outs, dim=1), torch.cat(lses, dim=1)


def _flash(
    query_HQD: Tensor, key_HLD: Tensor, value_HLD: Tensor, *, scale: float, causal: bool
) -> tuple[Tensor, Tensor]:
    """PyTorch's fused attention with its log-sum-exp; plain matrix products where the device has no such kernel."""
    tensors = query_HQD[None], key_HLD[None], value_HLD[None]
    same_width = query_HQD.shape[-1] == value_HLD.shape[-1]
    if query_HQD.device.type == "cpu" and same_width:
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(*tensors, 0.0, causal, scale=scale)
        return out[0], lse[0]
    if query_HQD.device.type == "cuda" and same_width and query_HQD.dtype in (torch.float16, torch.bfloat16):
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention(*tensors, 0.0, causal, False, scale=scale)[:2]
        return out[0], lse[0]
    n = query_HQD.shape[1]
    seen = torch.ones(n, n, dtype=torch.bool, device=query_HQD.device).tril() if causal else None
    return masked(query_HQD, key_HLD, value_HLD, seen, scale=scale, softcap=None)
