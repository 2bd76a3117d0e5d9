"""Where the segments of a prompt lie: prefix, segments with lengths and position extents, suffix.

One `SegmentLayout` is one row of a batch; a ragged batch is a sequence of them. Token indices count from the left edge
of the padded row. Positions are position ids, in the units of the model's rotary embedding; with several axes
(M-RoPE) a position is the least over the axes and an extent is the largest less the least, plus one.

    index     0        start     region.start        region.end      end      width
              | padding | prefix | segment 0 .. N-1 | suffix | padding | generated ...
    position             as usual   stretch.position   suffix_position
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vlbias.errors import NotApplicable

Span = tuple[int, int]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """One segment in a row: tokens [start, end), which arrive at positions [position, position + extent).

    `rank` is its place in the canonical order (0 is first): an order that depends on content alone, such as that of
    content hashes. It breaks ties between equally important segments and is the ring of RoToR.
    """

    start: int
    end: int
    position: int
    extent: int
    rank: int

    @property
    def length(self) -> int:
        """Its number of tokens."""
        return self.end - self.start


@dataclass(frozen=True, kw_only=True)
class SegmentLayout:
    """The stretches of one row. Raises ValueError where they do not lie side by side.

    `start` and `end` bound the real tokens of the prompt, `width` is the padded width of the prompt: tokens at `width`
    and beyond were generated, tokens in [end, width) are right padding. `suffix_position` is the position of the first
    suffix token, as it arrives (of the first generated token where the suffix is empty).
    """

    start: int
    segments: tuple[Stretch, ...]
    end: int
    width: int
    suffix_position: int

    def __post_init__(self) -> None:
        if not self.segments:
            raise ValueError("a layout needs at least one segment")
        edges = [self.start, self.segments[0].start, *(s.end for s in self.segments), self.end, self.width]
        if edges != sorted(edges) or edges[0] < 0 or any(s.length < 1 or s.extent < 1 for s in self.segments):
            raise ValueError(f"the stretches of a layout must lie in order and not be empty, found edges {edges}")
        for left, right in zip(self.segments[:-1], self.segments[1:]):
            if left.end != right.start:
                raise ValueError(f"tokens [{left.end}, {right.start}) lie between two segments and belong to neither")
        if sorted(s.rank for s in self.segments) != list(range(len(self.segments))):
            raise ValueError(f"ranks must be 0..{len(self.segments) - 1}, found {[s.rank for s in self.segments]}")

    @property
    def n_segments(self) -> int:
        """The number of segments; with 1 there is nothing to correct and a patch leaves the row to the model."""
        return len(self.segments)

    @property
    def region(self) -> Span:
        """The tokens of all segments."""
        return self.segments[0].start, self.segments[-1].end

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Tokens per segment."""
        return tuple(s.length for s in self.segments)

    @cached_property
    def extents(self) -> tuple[int, ...]:
        """Positions per segment."""
        return tuple(s.extent for s in self.segments)

    @property
    def region_position(self) -> int:
        """The first position of the region: `suffix_position` less all extents."""
        return self.suffix_position - sum(self.extents)

    @property
    def stacked(self) -> bool:
        """Whether every segment arrives so that it ends just before the suffix."""
        return all(s.position + s.extent == self.suffix_position for s in self.segments)


def from_spans(
    spans: Sequence[Span], positions_AL: Positions, *, real: Span | None = None, ranks: Sequence[int] | None = None
) -> SegmentLayout:
    """The layout of one row, from the [start, end) token span of every segment and the position ids of the row.

    `positions_AL` has one line per axis (1 for plain RoPE, 3 for M-RoPE) and one column per token of the padded row.
    `real` bounds the tokens that are not padding (default: all). `ranks[k]` is the canonical place of segment k
    (default: its place in the prompt, which is right only if the prompt was put in canonical order).
    Raises NotApplicable where tokens stand between segments.
    """
    width = positions_AL.shape[1]
    start, end = real if real is not None else (0, width)
    for (_, left), (right, _) in zip(spans[:-1], spans[1:]):
        if left != right:
            raise NotApplicable(
                f"tokens [{left}, {right}) stand between two segments and belong to neither, so their order cannot be "
                "made not to matter; write nothing between segments, or count them to the segments"
            )
    stretches = [_stretch(positions_AL, span, rank) for span, rank in zip(spans, ranks or range(len(spans)))]
    after = spans[-1][1]
    follows = int(positions_AL[:, spans[0][0]].min()) + sum(s.extent for s in stretches)
    return SegmentLayout(
        start=start,
        segments=tuple(stretches),
        end=end,
        width=width,
        suffix_position=int(positions_AL[:, after].min()) if after < end else follows,
    )


def stacked(layout: SegmentLayout, positions_AL: Positions) -> tuple[SegmentLayout, Positions]:
    """The same row with every segment moved to end just before the suffix, which starts after the sum of extents.

    The region's first position and the inner positions of every segment stay. Stacked ids make a segment's keys the
    same numbers, bit for bit, wherever it stands. Where a model advances by less than the extent of a segment
    (transformers after a long Qwen2.5-VL clip) the suffix moves too; generation goes on from its last position + 1.
    """
    if layout.stacked:
        return layout, positions_AL
    moved_AL = positions_AL.copy()
    ordinary = int(positions_AL[:, layout.segments[0].start].min())
    suffix_position = ordinary + sum(layout.extents)
    moved = []
    for stretch in layout.segments:
        position = suffix_position - stretch.extent
        moved_AL[:, stretch.start : stretch.end] += position - stretch.position
        moved.append(replace(stretch, position=position))
    moved_AL[:, layout.region[1] : layout.end] += suffix_position - layout.suffix_position
    return replace(layout, segments=tuple(moved), suffix_position=suffix_position), moved_AL


def _stretch(positions_AL: Positions, span: Span, rank: int) -> Stretch:
    start, end = span
    inside_AL = positions_AL[:, start:end]
    if inside_AL.size == 0:
        raise ValueError(f"segment [{start}, {end}) holds no token of a row of {positions_AL.shape[1]}")
    low, high = int(inside_AL.min()), int(inside_AL.max())
    return Stretch(start=start, end=end, position=low, extent=high - low + 1, rank=rank)
