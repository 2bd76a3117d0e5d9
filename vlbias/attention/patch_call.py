"""What happens inside the attention of a patched model: one sequence of calls, from its prefill to its last token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from vlbias.attention._families import Pairs, attention_scaling, inverse_frequencies, pairs
from vlbias.attention.contract import Engine, Heads, Rotation, Rule, Score, unrotated
from vlbias.attention.layout import SegmentLayout
from vlbias.errors import ModelError, NotApplicable

# No part of this name may be that of another implementation: transformers looks for "sdpa" and the like inside it.
IMPLEMENTATION = "vlbias_segment"
KEY = "vlbias_call"


@dataclass(frozen=True, kw_only=True)
class Method:
    """What a patch does, the same for every call: the rule, its engine, and the layers and heads it is for.

    `rule` may be a function of the number of segments.
    """

    rule: Rule | Callable[[int], Rule]
    engine: Engine
    layers: frozenset[int] | None = None
    heads: tuple[int, ...] | None = None

    def one_rule(self, counts: Sequence[int]) -> bool:
        """Whether rows of these numbers of segments can go through the engine together."""
        return len(counts) == 1 or not callable(self.rule)

    def rule_of(self, n_segments: int) -> Rule:
        """The rule for rows of so many segments."""
        return self.rule(n_segments) if callable(self.rule) else self.rule


@dataclass(kw_only=True, eq=False)
class Call:
    """One batch of sequences under a patch: its layouts, and what the prefill leaves for the tokens after it.

    `delta_B` is what every later position id is moved by. `turns` holds the cos and sin of the forward at hand by kind
    of layer, `bare_keys` the un-rotated keys of the region by layer and row.
    """

    method: Method | None
    layouts: tuple[SegmentLayout, ...]
    delta_B: Tensor
    rotary: Any
    turns: dict[str | None, tuple[Tensor, Tensor]] = field(default_factory=dict)
    bare_keys: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    pairs: dict[str | None, Pairs] = field(default_factory=dict)
    block_BL: Tensor | None = None

    @property
    def region(self) -> tuple[int, int]:
        """The tokens that hold the regions of all rows."""
        return min(x.region[0] for x in self.layouts), max(x.region[1] for x in self.layouts)

    def attend(self, module: Any, heads: tuple[Tensor, Tensor, Tensor], *, mask: Tensor | None, score: Score) -> Tensor:
        """Attention of one layer by the rule, [B, H, Q, D], from its query, key and value.

        Rows of one segment, and layers and heads outside of the method, go through the model's own attention.
        """
        query_BHQD, key_BKLD, value_BKLD = heads
        if query_BHQD.shape[2] == key_BKLD.shape[2]:
            self._see_blocks(mask)
        method = self.method
        if method is None or (method.layers is not None and module.layer_idx not in method.layers):
            return plain(module, query_BHQD, key_BKLD, value_BKLD, mask=mask, score=score)
        every = range(len(self.layouts))
        counts = sorted({layout.n_segments for layout in self.layouts})
        if counts[0] > 1 and method.heads is None and method.one_rule(counts):
            return self._engine(module, heads, method=method, score=score, rows=list(every))
        out_BHQD = plain(module, query_BHQD, key_BKLD, value_BKLD, mask=mask, score=score)
        chosen = slice(None) if method.heads is None else list(method.heads)
        for count in counts:
            rows = [row for row in every if self.layouts[row].n_segments == count]
            if count > 1:
                picked = (query_BHQD[rows], key_BKLD[rows], value_BKLD[rows])
                mixed_RHQD = out_BHQD[rows]
                mixed_RHQD[:, chosen] = self._engine(module, picked, method=method, score=score, rows=rows)[:, chosen]
                out_BHQD[rows] = mixed_RHQD
        return out_BHQD

    def _engine(
        self, module: Any, heads: tuple[Tensor, Tensor, Tensor], *, method: Method, score: Score, rows: list[int]
    ) -> Tensor:
        query, key, value = heads
        kind = getattr(module, "layer_type", None)
        kind = kind if kind in self.turns else None
        layouts = [self.layouts[row] for row in rows]
        rule = method.rule_of(layouts[0].n_segments)
        bare_query = bare_key = None
        if rule.needs_bare:
            bare_query, bare_key = self._bare(module, query, key, kind=kind, rows=rows)
        arrived = Heads(
            query_BHQD=query,
            key_BKLD=key,
            value_BKLD=value,
            bare_query_BHQD=bare_query,
            bare_key_BKRD=bare_key,
            bare_start=self.region[0],
            block_BL=self._blocks(key.shape[2], rows),
        )
        rotation = Rotation(inv_freq_F=inverse_frequencies(self.rotary, kind), pairing=self._pairs(module, kind).way)
        return method.engine(arrived, layouts, rotation=rotation, rule=rule, score=score)

    def _bare(
        self, module: Any, query: Tensor, key: Tensor, *, kind: str | None, rows: list[int]
    ) -> tuple[Tensor, Tensor]:
        """Queries and the keys of the region before rotation; the keys are kept, per layer, for the tokens to come."""
        scaling, found = attention_scaling(self.rotary, kind), self._pairs(module, kind)
        cos, sin = (found.each(x).expand(len(self.layouts), -1, -1)[rows] for x in self.turns[kind])
        first, last = self.region
        if query.shape[2] == key.shape[2]:
            inside = slice(first, last)
            bare = unrotated(key[:, :, inside], cos[:, inside], sin[:, inside], pairing=found.way, scaling=scaling)
            for place, row in enumerate(rows):
                self.bare_keys[module.layer_idx, row] = bare[place]
        kept = torch.stack([self.bare_keys[module.layer_idx, row] for row in rows])
        return unrotated(query, cos, sin, pairing=found.way, scaling=scaling), kept

    def _pairs(self, module: Any, kind: str | None) -> Pairs:
        if kind not in self.pairs:
            cos_BLR, sin_BLR = self.turns[kind]
            self.pairs[kind] = pairs(module, cos_BLR, sin_BLR, scaling=attention_scaling(self.rotary, kind))
        return self.pairs[kind]

    def _see_blocks(self, mask: Tensor | None) -> None:
        """Finds the image blocks that a model reads in both directions, from its own mask above the diagonal.

        Neighbours belong to one block exactly where the earlier sees the later. Raises NotApplicable where a block
        crosses the edge of a segment: then the model mixes segments by itself.
        """
        self.block_BL = None
        if mask is None:
            return
        above_BL = mask[:, 0].diagonal(offset=1, dim1=-2, dim2=-1)
        together_BL = above_BL if above_BL.dtype == torch.bool else above_BL == 0
        if not bool(together_BL.any()):
            return
        together_BL = together_BL.expand(len(self.layouts), -1)
        for row, layout in enumerate(self.layouts):
            edges = [s.start for s in layout.segments] + [layout.region[1]]
            crossed = [edge for edge in edges if 0 < edge < layout.end and bool(together_BL[row, edge - 1])]
            if crossed and layout.n_segments > 1:
                raise NotApplicable(
                    f"patch: not applicable: tokens on both sides of token {crossed[0]}, where a segment begins or "
                    "ends, see each other in both directions in the model's own mask; use an 'after' correction"
                )
        ends_BL = torch.nn.functional.pad(together_BL, (1, 0))
        begins_BL = torch.nn.functional.pad(together_BL, (0, 1))
        number_BL = (begins_BL & ~ends_BL).long().cumsum(-1) - 1
        self.block_BL = torch.where(begins_BL | ends_BL, number_BL, -1)

    def _blocks(self, n_tokens: int, rows: list[int]) -> Tensor | None:
        if self.block_BL is None:
            return None
        block_BL = self.block_BL[rows]
        return torch.nn.functional.pad(block_BL, (0, n_tokens - block_BL.shape[1]), value=-1)


def plain(
    module: Any, query_BHQD: Tensor, key_BKLD: Tensor, value_BKLD: Tensor, *, mask: Tensor | None, score: Score
) -> Tensor:
    """The model's own attention, [B, H, Q, D]."""
    if score.softcap is None:
        out_BQHD, _ = sdpa_attention_forward(module, query_BHQD, key_BKLD, value_BKLD, mask, scaling=score.scale)
        out_BHQD: Tensor = out_BQHD.transpose(1, 2).contiguous()
        return out_BHQD
    n_queries, n_tokens = query_BHQD.shape[2], key_BKLD.shape[2]
    groups = query_BHQD.shape[1] // key_BKLD.shape[1]
    key_BHLD, value_BHLD = (x.repeat_interleave(groups, dim=1) for x in (key_BKLD, value_BKLD))
    scores_BHQL = (query_BHQD @ key_BHLD.transpose(-1, -2)) * score.scale
    scores_BHQL = score.softcap * torch.tanh(scores_BHQL / score.softcap)
    if mask is None:
        later_QL = torch.ones(n_queries, n_tokens, dtype=torch.bool, device=query_BHQD.device)
        mask = later_QL.tril(n_tokens - n_queries)
    # A row of padding sees nothing; its output is never read, and must not be NaN.
    scores_BHQL = scores_BHQL.float().masked_fill(~mask, torch.finfo(torch.float32).min)
    return scores_BHQL.softmax(-1).to(query_BHQD.dtype) @ value_BHLD


def segment_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The attention function that is registered with transformers; gives [B, Q, H, D] as it expects."""
    call = kwargs.get(KEY)
    if call is None:
        raise ModelError(
            f"patch: {type(module).__name__} was called without its layouts; call the whole model, with `expect` set"
        )
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    score = Score(scale=scale, softcap=softcap, window=sliding_window)
    out_BHQD: Tensor = call.attend(module, (query, key, value), mask=attention_mask, score=score)
    return out_BHQD.transpose(1, 2).contiguous(), None
