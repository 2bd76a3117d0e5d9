"""What a rule says of every pair: by how many positions the query is turned, whether it sees the key, with what bias.

A rule places segments at *virtual* positions, seen from each query segment and each suffix token. Rotations add up and
keep dot products, so a query turned by `(virtual - arrival) of the query less (virtual - arrival) of the key segment`
meets the keys as they arrived. No key is ever rotated again (PINE's own code rotates all keys for every query).

Axes: G query heads or 1 where all heads agree, S segments (queries first, then keys), M suffix tokens or 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vlbias.attention.contract import Isolate, Nia, Pine, Rotor, Rule, Sofa
from vlbias.attention.layout import SegmentLayout


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionEntries:
    """Entries of the queries inside the region. Turns are in positions; `bias_SS` adds to the score."""

    turn_GSS: Tensor
    prefix_turn_S: Tensor
    seen_SS: Tensor
    bias_SS: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class SuffixEntries:
    """Entries of suffix and generated tokens: they see all segments, without bias, and each other as usual."""

    turn_GMS: Tensor
    prefix_turn: int


def region_entries(rule: Rule, layout: SegmentLayout, importance_HSS: Tensor | None = None) -> RegionEntries:
    """Entries of every query segment. `importance_HSS` is for Pine with three segments or more, else unused."""
    n = layout.n_segments
    start_GSS = _region_starts(rule, layout, importance_HSS)
    arrival_S = torch.tensor([s.position for s in layout.segments], device=start_GSS.device)
    moved_GSS = start_GSS - arrival_S
    own_GS = moved_GSS.diagonal(dim1=-2, dim2=-1)
    seen_SS, bias_SS = torch.ones(n, n, dtype=torch.bool), torch.zeros(n, n, dtype=torch.float64)
    if isinstance(rule, Isolate | Nia):
        seen_SS = torch.eye(n, dtype=torch.bool)
    if isinstance(rule, Sofa):
        rank_S = torch.tensor([s.rank for s in layout.segments])
        later_SS = rank_S[None, :] > rank_S[:, None]
        seen_SS = ~later_SS if rule.sigma == 0 else seen_SS
        bias_SS[later_SS] = math.log(rule.sigma) if rule.sigma > 0 else 0.0
    return RegionEntries(
        turn_GSS=own_GS[..., None] - moved_GSS, prefix_turn_S=own_GS[0], seen_SS=seen_SS, bias_SS=bias_SS
    )


def suffix_entries(rule: Rule, layout: SegmentLayout, importance_HMS: Tensor | None = None) -> SuffixEntries:
    """Entries of suffix and generated tokens. `importance_HMS` is for Pine, else unused."""
    shift = 0
    if isinstance(rule, Isolate):
        shift = max(layout.extents) - sum(layout.extents)
        start_GMS = torch.full((1, 1, layout.n_segments), layout.region_position)
    elif isinstance(rule, Pine):
        if importance_HMS is None:
            raise ValueError("Pine places the segments before a suffix token by importance; none was given")
        start_GMS = _starts(_placed(rule, _by_importance(importance_HMS, layout)), layout)
    else:
        start_GMS = _ordinary_starts(rule, layout)[None, None]
    arrival_S = torch.tensor([s.position for s in layout.segments], device=start_GMS.device)
    return SuffixEntries(turn_GMS=shift - (start_GMS - arrival_S), prefix_turn=shift)


def check_rule(rule: Rule, layout: SegmentLayout) -> None:
    """Refuses a rule whose numbers cannot be meant for this layout."""
    if isinstance(rule, Sofa) and not 0.0 <= rule.sigma <= 1.0:
        raise ValueError(f"sigma must be between 0 and 1, found {rule.sigma}")
    if isinstance(rule, Pine) and rule.slots is not None and sorted(rule.slots) != list(range(layout.n_segments)):
        raise ValueError(f"slots must be a permutation of 0..{layout.n_segments - 1}, found {rule.slots}")


def _region_starts(rule: Rule, layout: SegmentLayout, importance_HSS: Tensor | None) -> Tensor:
    """Virtual first position of key segment u as query segment i sees it, [G, i, u]."""
    n = layout.n_segments
    if isinstance(rule, Isolate):
        return torch.full((1, n, n), layout.region_position)
    if isinstance(rule, Pine):
        if importance_HSS is None and n > 2:
            raise ValueError("Pine places three or more segments by importance; none was given")
        known_HSS = torch.zeros(1, n, n) if importance_HSS is None else importance_HSS
        own_SS = torch.eye(n, dtype=torch.bool, device=known_HSS.device)
        return _starts(_by_importance(known_HSS.masked_fill(own_SS, torch.inf), layout), layout)
    if isinstance(rule, Rotor):
        rank_S = [s.rank for s in layout.segments]
        ring = [[(rank - back) % n for back in range(n)] for rank in rank_S]
        return _starts(_of_ranks(torch.tensor(ring), layout)[None], layout)
    return _ordinary_starts(rule, layout).expand(1, n, n)


def _ordinary_starts(rule: Rule, layout: SegmentLayout) -> Tensor:
    """Segments side by side in the order of their ranks; as they arrived where they arrived so."""
    ranks = [s.rank for s in layout.segments]
    if isinstance(rule, Sofa | Nia) and ranks == sorted(ranks) and not layout.stacked:
        return torch.tensor([s.position for s in layout.segments])
    return _starts(_of_ranks(torch.arange(layout.n_segments - 1, -1, -1), layout), layout)


def _by_importance(importance_S: Tensor, layout: SegmentLayout) -> Tensor:
    """Segment indices, the most important first; equal ones by their rank."""
    by_rank_S = _of_ranks(torch.arange(layout.n_segments, device=importance_S.device), layout)
    order_S = torch.argsort(importance_S[..., by_rank_S], dim=-1, descending=True, stable=True)
    return by_rank_S[order_S]


def _placed(rule: Pine, important_first_S: Tensor) -> Tensor:
    """Segment indices, the nearest to the query first, from the most important first."""
    if rule.slots is None:
        return important_first_S
    n = len(rule.slots)
    nearest = [rule.slots.index(slot) for slot in range(n - 1, -1, -1)]
    return important_first_S[..., torch.tensor(nearest, device=important_first_S.device)]


def _of_ranks(rank_S: Tensor, layout: SegmentLayout) -> Tensor:
    """The index of the segment that has each rank."""
    ranks = [s.rank for s in layout.segments]
    return torch.tensor([ranks.index(rank) for rank in range(len(ranks))], device=rank_S.device)[rank_S]


def _starts(nearest_first_S: Tensor, layout: SegmentLayout) -> Tensor:
    """The first position of every segment when they stand side by side before the suffix, in this order."""
    extent_S = torch.tensor(layout.extents, device=nearest_first_S.device)
    reach_S = extent_S[nearest_first_S].cumsum(-1)
    return torch.zeros_like(reach_S).scatter(-1, nearest_first_S, layout.suffix_position - reach_S)
