"""Puts an engine into an unmodified `transformers` model and takes it out again.

    with patched(model, Pine(), engine=partials.attend) as attention:
        attention.expect([[(4, 9), (9, 30)], [(6, 11), (11, 32)]])      # the segments of both rows of the batch
        model(**batch).logits                                           # or model.generate(**batch)

Between the two nothing else of the model changes: no modelling code is copied; position ids, cache, masks and
`generate` are the model's own. The vision tower keeps its attention. The prefill of a region can be shared: further
tokens (a question) go through the model with the cache that the prefill returned.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from vlbias.attention._caches import growing
from vlbias.attention._families import check, text_model
from vlbias.attention.contract import Engine, Rule
from vlbias.attention.layout import Positions, SegmentLayout, Span, from_spans, stacked
from vlbias.attention.patch_call import IMPLEMENTATION, KEY, Call, Method, segment_attention
from vlbias.errors import ModelError, NotApplicable

Pictures: TypeAlias = npt.NDArray[np.bool_]
Place: TypeAlias = Callable[[SegmentLayout, Positions, Pictures | None], tuple[SegmentLayout, Positions]]
Sight: TypeAlias = Callable[[Positions, Pictures | None], npt.NDArray[np.bool_]]


class SegmentAttention:
    """A patched model's memory of where its segments lie. Made by `patched` and `repositioned`."""

    def __init__(
        self, model: Any, *, method: Method | None, place: Place | None, sight: Sight | None = None, least: int = 2
    ) -> None:
        self._model = model
        self.config = model.config
        self._text = text_model(model)
        self._method = method
        self._place = place
        self._sight = sight
        self._least = least
        self._spans: list[Sequence[Span]] = []
        self._real: Sequence[Span] | None = None
        self._ranks: Sequence[Sequence[int]] | None = None
        self._pictures_BL: Pictures | None = None
        self._calls: WeakKeyDictionary[Any, Call] = WeakKeyDictionary()
        self._now: Call | None = None
        self._own = self._text.config._attn_implementation

    def expect(
        self,
        spans: Sequence[Sequence[Span]],
        *,
        real: Sequence[Span] | None = None,
        ranks: Sequence[Sequence[int]] | None = None,
        pictures_BL: Pictures | None = None,
    ) -> None:
        """Says where the segments of the next prompts lie, in token indices of the padded batch, row by row.

        `real[b]` bounds the tokens of row b that are not padding (default: all). `ranks[b][k]` is the canonical place
        of the segment at place k of row b (default: k). `pictures_BL` tells the tokens that stand for pieces of images
        and clips, which some of `patch_positions` need. It holds until the next call; a batch in which no row has two
        segments (or as many as the patch needs at least) is left to the model, bit for bit. So is an empty list.
        """
        self._spans, self._real, self._ranks, self._pictures_BL = list(spans), real, ranks, pictures_BL
        several = self._method is not None and any(len(row) > 1 for row in spans)
        switch(self._model, IMPLEMENTATION if several else self._own)

    def enter(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        """The pre-hook of the text model: fixes position ids, mask and cache, and hands the layouts to the layers."""
        self._now = None
        if all(len(row) < self._least for row in self._spans):
            return None
        given = kwargs.get("inputs_embeds")
        tokens = given if given is not None else kwargs.get("input_ids", args[0] if args else None)
        if tokens is None:
            raise ModelError("patch: the text model was called with neither input_ids nor inputs_embeds")
        n_rows, n_queries = tokens.shape[:2]
        cache = growing(kwargs, module)
        seen = 0 if cache is None else cache.get_seq_length()
        positions = _positions(kwargs.get("position_ids"), n_rows, n_queries, seen, tokens.device)
        if seen == 0:
            if self._sight is not None:
                kwargs["attention_mask"] = self._seen(self._sight, positions, tokens, kwargs.get("attention_mask"))
            call, positions = self._begin(positions, n_rows)
            if cache is not None:
                self._calls[cache] = call
        else:
            call = self._known(cache, n_rows)
            axes = positions[1:] if positions.shape[0] == 4 else positions
            axes += call.delta_B.to(positions.device)[:, None]
        self._now = call
        kwargs["position_ids"] = positions[0] if positions.shape[0] == 1 else positions
        if kwargs.get("attention_mask") is None:
            # Without a mask, jumps in the ids would be taken for the seams of packed sequences.
            kwargs["attention_mask"] = torch.ones(n_rows, seen + n_queries, dtype=torch.long, device=tokens.device)
        if call.method is not None:
            kwargs[KEY] = call
        return args, kwargs

    def turned(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: tuple[Tensor, Tensor]) -> None:
        """The hook of the rotary embedding: keeps cos and sin, which the attention does not get, by kind of layer."""
        if self._now is not None:
            layer_type = kwargs.get("layer_type", args[2] if len(args) > 2 else None)
            self._now.turns[layer_type] = output

    def _seen(self, sight: Sight, positions_ABL: Tensor, tokens: Tensor, given: Any) -> Tensor:
        """What every token of a prefill sees, as [rows, 1, queries, keys] to be added to scores."""
        if given is not None and not (isinstance(given, Tensor) and given.dim() == 2):
            raise NotApplicable("patch: not applicable: this family makes its own masks; give sight=causal")
        n_rows, n_tokens = tokens.shape[:2]
        axes_ABL = (positions_ABL[1:] if positions_ABL.shape[0] == 4 else positions_ABL).cpu().numpy()
        real_BL = np.ones((n_rows, n_tokens), np.bool_) if given is None else given.cpu().numpy().astype(np.bool_)
        seen_BQL = np.empty((n_rows, n_tokens, n_tokens), np.bool_)
        for row in range(n_rows):
            prompt = row * len(self._spans) // n_rows
            pictures_L = None if self._pictures_BL is None else self._pictures_BL[prompt]
            seen_BQL[row] = sight(axes_ABL[:, row], pictures_L) & real_BL[row]
        dtype = next(self._text.parameters()).dtype
        hidden = torch.from_numpy(~seen_BQL[:, None]).to(tokens.device)
        return torch.zeros(hidden.shape, dtype=dtype, device=tokens.device).masked_fill(hidden, torch.finfo(dtype).min)

    def _known(self, cache: Any, n_rows: int) -> Call:
        call = self._calls.get(cache)
        if call is None:
            raise ModelError("patch: this cache was filled outside of the patch; prefill it inside")
        if len(call.layouts) != n_rows:
            raise ModelError(f"patch: {n_rows} rows go on after a prefill of {len(call.layouts)}; give as many")
        return call

    def _begin(self, positions_ABL: Tensor, n_rows: int) -> tuple[Call, Tensor]:
        """The layouts of a prefill and its position ids."""
        if n_rows % len(self._spans):
            raise ModelError(f"patch: {n_rows} rows, but segments were told for {len(self._spans)}; call expect first")
        copies = n_rows // len(self._spans)
        last, n_queries = max(row[-1][1] for row in self._spans if row), positions_ABL.shape[2]
        if n_queries < last:
            raise NotApplicable(
                f"patch: not applicable: found a first chunk of {n_queries} tokens, but the segments end at token "
                f"{last}; give all of them in one forward (no prefill_chunk_size), further tokens may follow in chunks"
            )
        old_ABL = positions_ABL.cpu().numpy()
        text_row, axes_ABL = (old_ABL[:1], old_ABL[1:]) if len(old_ABL) == 4 else (old_ABL[:0], old_ABL)
        moved_ABL = axes_ABL.copy()
        layouts, deltas = [], []
        for row in range(n_rows):
            prompt = row // copies
            real = None if self._real is None else self._real[prompt]
            layout = from_spans(
                # A prompt without segments is one stretch, which is left to the model.
                self._spans[prompt] or [real or (0, old_ABL.shape[2])],
                axes_ABL[:, row],
                real=real,
                ranks=None if self._ranks is None else self._ranks[prompt],
            )
            old_suffix = layout.suffix_position
            if self._place is not None and len(self._spans[prompt]) >= self._least:
                pictures_L = None if self._pictures_BL is None else self._pictures_BL[prompt]
                layout, moved_ABL[:, row] = self._place(layout, axes_ABL[:, row], pictures_L)
            layouts.append(layout)
            deltas.append(layout.suffix_position - old_suffix)
        call = Call(
            method=self._method,
            layouts=tuple(layouts),
            delta_B=torch.tensor(deltas, dtype=positions_ABL.dtype),
            rotary=self._text.rotary_emb,
        )
        joined = np.concatenate([text_row, moved_ABL])
        return call, torch.from_numpy(joined).to(positions_ABL)


@contextmanager
def patched(
    model: Any,
    rule: Rule | Callable[[int], Rule],
    *,
    engine: Engine,
    layers: Collection[int] | None = None,
    heads: Collection[int] | None = None,
    stack: bool = False,
) -> Iterator[SegmentAttention]:
    """A Hugging Face model whose text layers attend by `rule`; outside of the context it is as it was.

    `layers` and `heads` (query heads, in every layer) limit it to some; None means all. `stack` gives every segment the
    same position ids wherever it stands, so that its keys are the same numbers: use it for rules that move segments
    by importance. It needs all layers and heads, because the others would see the stacked ids too. `rule` may be a
    function that gives the rule for a number of segments.

    Raises NotApplicable for a family that cannot be patched, with the reason.
    """
    check(model)
    if stack and (layers is not None or heads is not None):
        raise NotApplicable("patch: stacked position ids need all layers and heads; give stack=False or no limits")
    AttentionInterface.register(IMPLEMENTATION, segment_attention)
    AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
    method = Method(
        rule=rule,
        engine=engine,
        layers=None if layers is None else frozenset(layers),
        heads=None if heads is None else tuple(sorted(set(heads))),
    )
    with _hooked(SegmentAttention(model, method=method, place=_stacked if stack else None)) as attention:
        yield attention


@contextmanager
def repositioned(
    model: Any, place: Place | None, *, sight: Sight | None = None, least: int = 2
) -> Iterator[SegmentAttention]:
    """A Hugging Face model whose own attention sees other position ids; outside of the context it is as it was.

    `place` gives the ids of one row (`patch_positions` has several) and the layout with its new `suffix_position`;
    None leaves them. `sight` gives what each token of one row sees, [queries, keys], from its own ids. Prompts of fewer
    than `least` segments are left to the model. Raises NotApplicable where `sight` cannot be put into a family.
    """
    text = text_model(model)
    if sight is not None:
        _check_masks(text)
    with _hooked(SegmentAttention(model, method=None, place=place, sight=sight, least=least)) as attention:
        yield attention


def _check_masks(text: Any) -> None:
    """Raises NotApplicable for a text model whose layers do not all take the one mask that they are given."""
    config = text.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"]) - {"full_attention"}
    if kinds or config._attn_implementation not in ("sdpa", "eager"):
        found = f"layers of the kind {', '.join(sorted(kinds))}" if kinds else config._attn_implementation
        raise NotApplicable(
            f"patch: not applicable: other sight needs full attention, sdpa or eager, and found {found}; give "
            "sight=causal, or load with attn_implementation=sdpa"
        )


def _stacked(layout: SegmentLayout, positions_AL: Positions, _: Pictures | None) -> tuple[SegmentLayout, Positions]:
    return stacked(layout, positions_AL)


@contextmanager
def _hooked(attention: SegmentAttention) -> Iterator[SegmentAttention]:
    text, model, own = attention._text, attention._model, attention._own
    handles = [
        text.register_forward_pre_hook(attention.enter, with_kwargs=True),
        text.rotary_emb.register_forward_hook(attention.turned, with_kwargs=True),
    ]
    try:
        yield attention
    finally:
        for handle in handles:
            handle.remove()
        switch(model, own)


def switch(model: Any, implementation: str) -> None:
    """Sets the attention of the text model alone."""
    nested = "text_config" in getattr(model.config, "sub_configs", {})
    model.set_attn_implementation({"text_config": implementation} if nested else implementation)


def _positions(given: Tensor | None, n_rows: int, n_queries: int, seen: int, device: torch.device) -> Tensor:
    """Position ids as [axes, rows, tokens]: one axis, three (M-RoPE), or a text row and three."""
    if given is None:
        ids_L = torch.arange(seen, seen + n_queries, device=device)
        return ids_L.expand(1, n_rows, n_queries).clone()
    ids_ABL = given[None] if given.dim() == 2 else given
    return ids_ABL.expand(-1, n_rows, -1).clone()
