"""What the tokens after the segments read: their attention weights, seen and changed while a model runs.

    with reading(model, weigh) as attention:
        attention.expect([[(4, 9), (9, 30)]])             # the segments of every row of the batch
        model(**batch).logits                             # or model.generate(**batch)

`weigh` is called in every layer with the weights of each row's reading tokens, those of the question, of the answer
and whatever the model writes. What it gives back takes their place; None leaves the layer as it is, bit for bit.
Tokens up to the last segment attend as the model does, by its fused attention: only the rows of the reading tokens are
ever held as a matrix. Source of the weights: softmax(q k * scale, with the model's own mask and softcap), in fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from vlbias.attention._caches import growing
from vlbias.attention._families import check, text_model
from vlbias.attention.contract import Score
from vlbias.attention.layout import Span
from vlbias.attention.patch import switch
from vlbias.attention.patch_call import plain
from vlbias.errors import ModelError, NotApplicable

# No part of this name may be that of another implementation: transformers looks for "sdpa" and the like inside it.
IMPLEMENTATION = "vlbias_reading"
KEY = "vlbias_reading"


@dataclass(frozen=True, kw_only=True, eq=False)
class Read:
    """The weights of one row in one layer: `weights_HML` of M reading tokens on all L keys, fp32, each line sums to 1.

    `spans` are the tokens of the segments, `start` the first token that is not padding. The first `n_prompt` reading
    tokens belong to the prompt and the others to an answer; it is 0 for tokens that are written one by one.
    """

    layer: int
    weights_HML: Tensor
    spans: tuple[Span, ...]
    start: int
    n_prompt: int

    def masses_HMS(self) -> Tensor:
        """The attention on every segment: its weights, summed over its tokens."""
        return torch.stack([self.weights_HML[..., a:b].sum(-1) for a, b in self.spans], dim=-1)


Weigh: TypeAlias = Callable[[Read], Tensor | None]


class Reading:
    """A patched model's memory of where the segments lie. Made by `reading`."""

    def __init__(self, model: Any, weigh: Weigh) -> None:
        self.config = model.config
        self._weigh = weigh
        self._spans: list[Sequence[Span]] = []
        self._real: Sequence[Span] | None = None
        self._tails: Sequence[int] | None = None
        self._prefilled = False

    def expect(
        self, spans: Sequence[Sequence[Span]], *, real: Sequence[Span] | None = None, tails: Sequence[int] | None = None
    ) -> None:
        """Says where the segments of the next prompts lie, in token indices of the padded batch, row by row.

        `real[b]` bounds the tokens of row b that are not padding (default: all), `tails[b]` counts those at its end
        that belong to an answer (default: none). It holds until the next call.
        """
        self._spans, self._real, self._tails = list(spans), real, tails

    def enter(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The pre-hook of the text model: hands itself to the layers and sees to the cache."""
        cache = growing(kwargs, module)
        self._prefilled = cache is not None and cache.get_seq_length() > 0
        kwargs[KEY] = self
        return args, kwargs

    def attend(self, module: Any, heads: tuple[Tensor, Tensor, Tensor], *, mask: Tensor | None, score: Score) -> Tensor:
        """Attention of one layer, [B, H, Q, D]: the model's own, but for what is changed of the reading tokens."""
        query_BHQD, key_BKLD, value_BKLD = heads
        out_BHQD = plain(module, query_BHQD, key_BKLD, value_BKLD, mask=mask, score=score)
        n_keys, n_rows = key_BKLD.shape[2], query_BHQD.shape[0]
        if len(self._spans) != n_rows:
            raise ModelError(
                f"reading: {n_rows} rows, but segments were told for {len(self._spans)}; call expect first"
            )
        first = n_keys - query_BHQD.shape[2]
        for row, spans in enumerate(self._spans):
            if not spans:
                continue
            start, end = (0, n_keys) if self._real is None else self._real[row]
            low, high, n_prompt = max(b for _, b in spans), end, 0
            if self._prefilled:
                low, high = first, n_keys
            else:
                n_prompt = high - low - (0 if self._tails is None else self._tails[row])
            if low < first or high <= low:
                raise NotApplicable(
                    f"reading: not applicable: tokens {low} to {high} come after the segments, and the forward begins "
                    f"at token {first}; give the whole prompt in one forward, with a question after the segments"
                )
            asked = slice(low - first, high - first)
            own_mask = None if mask is None else mask[min(row, mask.shape[0] - 1), :, asked, :n_keys]
            weights_HML = dense(query_BHQD[row, :, asked], key_BKLD[row], own_mask, score=score)
            read = Read(
                layer=module.layer_idx, weights_HML=weights_HML, spans=tuple(spans), start=start, n_prompt=n_prompt
            )
            changed_HML = self._weigh(read)
            if changed_HML is not None:
                out_BHQD[row, :, asked] = _valued(changed_HML, value_BKLD[row]).to(out_BHQD.dtype)
        return out_BHQD


@contextmanager
def reading(model: Any, weigh: Weigh) -> Iterator[Reading]:
    """A Hugging Face model whose reading tokens are weighed anew; outside of the context it is as it was.

    Raises NotApplicable for a family whose attention cannot be reached, with the reason.
    """
    check(model)
    AttentionInterface.register(IMPLEMENTATION, reading_attention)
    AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
    text = text_model(model)
    own, attention = text.config._attn_implementation, Reading(model, weigh)
    handle = text.register_forward_pre_hook(attention.enter, with_kwargs=True)
    try:
        switch(model, IMPLEMENTATION)
        yield attention
    finally:
        handle.remove()
        switch(model, own)


def reading_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The attention function that is registered with transformers; gives [B, Q, H, D] as it expects."""
    attention = kwargs.get(KEY)
    if attention is None:
        raise ModelError(f"reading: {type(module).__name__} was called by itself; call the whole model")
    score = Score(scale=query.shape[-1] ** -0.5 if scaling is None else scaling, softcap=softcap)
    out_BHQD: Tensor = attention.attend(module, (query, key, value), mask=attention_mask, score=score)
    return out_BHQD.transpose(1, 2).contiguous(), None


def dense(query_HMD: Tensor, key_KLD: Tensor, mask_1ML: Tensor | None, *, score: Score) -> Tensor:
    """The weights [H, M, L] of the last M of L tokens, in fp32; without a mask they are causal."""
    n_heads, n_queries, width = query_HMD.shape
    n_key_heads, n_keys = key_KLD.shape[:2]
    grouped_KXD = query_HMD.float().reshape(n_key_heads, -1, width)
    score_HML = (grouped_KXD @ key_KLD.float().transpose(1, 2)).view(n_heads, n_queries, n_keys) * score.scale
    if score.softcap is not None:
        score_HML = score.softcap * torch.tanh(score_HML / score.softcap)
    if mask_1ML is None:
        whole_ML = torch.ones(n_queries, n_keys, dtype=torch.bool, device=query_HMD.device)
        mask_1ML = whole_ML.tril(n_keys - n_queries)[None]
    return score_HML.masked_fill(~mask_1ML, -torch.inf).softmax(-1)


def _valued(weights_HML: Tensor, value_KLD: Tensor) -> Tensor:
    n_heads, n_queries, n_keys = weights_HML.shape
    grouped_KXL = weights_HML.reshape(value_KLD.shape[0], -1, n_keys)
    return (grouped_KXL @ value_KLD.float()).view(n_heads, n_queries, -1)
