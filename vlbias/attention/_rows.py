"""Cuts a padded, ragged batch into rows without padding, and puts the results back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vlbias.attention.contract import Heads, Rule, Score
from vlbias.attention.layout import SegmentLayout
from vlbias.errors import NotApplicable


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One row of a call without padding: prefix, region, suffix, side by side.

    `layout` counts tokens from the first real one. `first` is the index of the first query among the T tokens; queries
    go on to the end. `bare_region_KRD` holds the keys of the region before rotation.
    """

    layout: SegmentLayout
    first: int
    query_HQD: Tensor
    key_KTD: Tensor
    value_KTD: Tensor
    bare_query_HQD: Tensor | None
    bare_region_KRD: Tensor | None
    block_T: Tensor | None

    @property
    def n_tokens(self) -> int:
        """T."""
        return self.key_KTD.shape[1]

    @property
    def holds_region(self) -> bool:
        """Whether the region is among the queries."""
        return self.first <= self.layout.region[0]

    @property
    def suffix_first(self) -> int:
        """The index of the first suffix token among the T tokens that is a query."""
        return max(self.first, self.layout.region[1])

    def arrival_T(self) -> Tensor:
        """The position at which every token arrives, for layouts whose extents are their lengths (plain RoPE)."""
        layout = self.layout
        if layout.extents != layout.lengths:
            raise NotApplicable("a sliding window needs one position per token; this row has positions on several axes")
        (first, after), position = layout.region, layout.segments[0].position
        prefix_end = layout.region_position if layout.stacked else position
        pieces = [torch.arange(prefix_end - first, prefix_end)]
        pieces += [torch.arange(s.position, s.position + s.length) for s in layout.segments]
        pieces += [layout.suffix_position + torch.arange(self.n_tokens - after)]
        return torch.cat(pieces).to(self.key_KTD.device)


def rows(heads: Heads, layouts: Sequence[SegmentLayout], *, rule: Rule) -> Iterator[tuple[Row, Tensor]]:
    """Every row of the batch without its padding, and the places of its queries among the Q of the call."""
    n_tokens, n_queries = heads.key_BKLD.shape[2], heads.query_BHQD.shape[2]
    if len(layouts) != heads.query_BHQD.shape[0]:
        raise ValueError(f"one layout per row: {len(layouts)} layouts for {heads.query_BHQD.shape[0]} rows")
    if rule.needs_bare and (heads.bare_query_BHQD is None or heads.bare_key_BKRD is None):
        raise ValueError(f"{type(rule).__name__} sorts segments by queries and keys before rotation; none were given")
    for index, layout in enumerate(layouts):
        yield _row(heads, layout, index, n_tokens - n_queries)


def gathered(heads: Heads, parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """The output of the call [B, H, Q, D] from each row's places and its output [H, Q', D]; padding is zeros."""
    out_BHQD = torch.zeros_like(heads.query_BHQD)
    for index, (places_Q, out_HQD) in enumerate(parts):
        out_BHQD[index, :, places_Q] = out_HQD.to(out_BHQD.dtype)
    return out_BHQD


def check_score(score: Score) -> None:
    """Refuses a score that cannot be meant."""
    if not score.scale > 0 or (score.softcap is not None and not score.softcap > 0):
        raise ValueError(f"scale and softcap must be positive, found {score}")
    if score.window is not None and score.window < 1:
        raise ValueError(f"a window must be at least 1 position, found {score.window}")


def _row(heads: Heads, layout: SegmentLayout, index: int, first_query: int) -> tuple[Row, Tensor]:
    n_tokens, device = heads.key_BKLD.shape[2], heads.key_BKLD.device
    real = [*range(layout.start, layout.end), *range(layout.width, n_tokens)]
    if layout.region[1] > n_tokens:
        raise ValueError(f"row {index}: the region ends at {layout.region[1]}, but only {n_tokens} tokens are there")
    first = sum(token < first_query for token in real)
    compact = _shifted(layout, len(real))
    if compact.region[0] < first < compact.region[1]:
        raise ValueError(f"row {index}: the queries begin inside the region; hand over all of it or none of it")
    columns = _slice_or_index(real, device)
    asked = real[first:]
    queries = _slice_or_index([token - first_query for token in asked], device)
    bare_key, start = heads.bare_key_BKRD, heads.bare_start
    low, high = (edge - start for edge in layout.region)
    if bare_key is not None and not 0 <= low < high <= bare_key.shape[2]:
        raise ValueError(
            f"row {index}: the keys before rotation cover {bare_key.shape[2]} tokens from {start} on, not "
            f"the region {layout.region}"
        )
    row = Row(
        layout=compact,
        first=first,
        query_HQD=heads.query_BHQD[index][:, queries],
        key_KTD=heads.key_BKLD[index][:, columns],
        value_KTD=heads.value_BKLD[index][:, columns],
        bare_query_HQD=None if heads.bare_query_BHQD is None else heads.bare_query_BHQD[index][:, queries],
        bare_region_KRD=None if bare_key is None else bare_key[index, :, low:high],
        block_T=None if heads.block_BL is None else heads.block_BL[index][columns],
    )
    return row, torch.tensor([token - first_query for token in asked], device=device, dtype=torch.long)


def _shifted(layout: SegmentLayout, n_real: int) -> SegmentLayout:
    by = layout.start
    moved = tuple(replace(s, start=s.start - by, end=s.end - by) for s in layout.segments)
    return replace(layout, start=0, segments=moved, end=n_real, width=n_real)


def _slice_or_index(tokens: list[int], device: torch.device) -> slice | Tensor:
    if tokens and tokens[-1] - tokens[0] + 1 == len(tokens):
        return slice(tokens[0], tokens[-1] + 1)
    return torch.tensor(tokens, device=device, dtype=torch.long)
