"""Random attention calls of a given size: what a model of that shape would hand to an engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from vlbias.attention.contract import Heads, Rotation, Score
from vlbias.attention.layout import SegmentLayout, from_spans, stacked

BASE = 10_000.0


@dataclass(frozen=True, kw_only=True)
class Size:
    """The shape of a call: a prefix, `segments` of about equal length and a suffix make `tokens` in all."""

    tokens: int
    segments: int = 10
    prefix: int = 20
    suffix: int = 150
    heads: int = 8
    key_heads: int = 8
    width: int = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """The arguments of an engine, but for the rule."""

    heads: Heads
    layouts: tuple[SegmentLayout, ...]
    rotation: Rotation
    score: Score


def call(size: Size, *, stack: bool, seed: int, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Call:
    """A prefill call on normal random numbers, with stacked or ordinary position ids."""
    layout, positions_T = _layout(size, stack)
    chance = torch.Generator().manual_seed(seed)
    rotation = Rotation(inv_freq_F=BASE ** -(torch.arange(0, size.width, 2, dtype=torch.float64) / size.width))
    bare = [
        torch.randn(1, n, size.tokens, size.width, generator=chance)
        for n in (size.heads, size.key_heads, size.key_heads)
    ]
    bare_query_BHLD, bare_key_BKLD, value_BKLD = (x.to(device=device, dtype=dtype) for x in bare)
    heads = Heads(
        query_BHQD=_rotated(bare_query_BHLD, positions_T, rotation),
        key_BKLD=_rotated(bare_key_BKLD, positions_T, rotation),
        value_BKLD=value_BKLD,
        bare_query_BHQD=bare_query_BHLD,
        bare_key_BKRD=bare_key_BKLD,
    )
    rotation = replace(rotation, inv_freq_F=rotation.inv_freq_F.to(device))
    return Call(heads=heads, layouts=(layout,), rotation=rotation, score=Score(scale=size.width**-0.5))


def decoding(prefill: Call) -> Call:
    """The call for the last token alone, all others cached."""
    heads = prefill.heads
    assert heads.bare_query_BHQD is not None
    last = replace(
        heads,
        query_BHQD=heads.query_BHQD[:, :, -1:].contiguous(),
        bare_query_BHQD=heads.bare_query_BHQD[:, :, -1:].contiguous(),
    )
    return replace(prefill, heads=last)


def some_heads(prefill: Call, index: slice, *, dtype: torch.dtype) -> Call:
    """The same call for some heads alone, in another dtype; query and key heads must be as many."""
    heads = prefill.heads
    assert heads.bare_query_BHQD is not None and heads.bare_key_BKRD is not None
    cut = Heads(
        query_BHQD=heads.query_BHQD[:, index].to(dtype),
        key_BKLD=heads.key_BKLD[:, index].to(dtype),
        value_BKLD=heads.value_BKLD[:, index].to(dtype),
        bare_query_BHQD=heads.bare_query_BHQD[:, index].to(dtype),
        bare_key_BKRD=heads.bare_key_BKRD[:, index].to(dtype),
    )
    return replace(prefill, heads=cut)


def _layout(size: Size, stack: bool) -> tuple[SegmentLayout, Tensor]:
    region = size.tokens - size.prefix - size.suffix
    edges = size.prefix + np.linspace(0, region, size.segments + 1).round().astype(int)
    spans = [(int(low), int(high)) for low, high in zip(edges[:-1], edges[1:])]
    positions_AL = np.arange(size.tokens, dtype=np.int64)[None]
    layout = from_spans(spans, positions_AL)
    if stack:
        layout, positions_AL = stacked(layout, positions_AL)
    return layout, torch.from_numpy(positions_AL[0])


def _rotated(x_BHLD: Tensor, positions_T: Tensor, rotation: Rotation) -> Tensor:
    angle_TF = positions_T[:, None].double() * rotation.inv_freq_F
    cos, sin = (f(angle_TF).to(device=x_BHLD.device, dtype=torch.float32) for f in (torch.cos, torch.sin))
    a, b = x_BHLD.float().chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x_BHLD.dtype)
