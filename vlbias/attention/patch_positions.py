"""Other position ids for the segments of a prompt, under the model's own attention: ablations of what order means.

Every function takes the layout, the position ids [axes, tokens] of one row and which tokens are pieces of pictures, and
gives layout and ids anew; tokens after the region move along, so that text goes on after the last position. What tokens
see stays causal, by index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from vlbias.attention.layout import Positions, SegmentLayout
from vlbias.attention.patch import Pictures, Place
from vlbias.errors import NotApplicable

Placed = tuple[SegmentLayout, Positions]


def reverse(layout: SegmentLayout, positions_AL: Positions, _: Pictures | None) -> Placed:
    """The positions of the first segment become those of the last, and so on."""
    return reordered(layout, positions_AL, range(layout.n_segments - 1, -1, -1))


def shuffle(seed: int) -> Place:
    """The segments' positions in an order of chance, one for each number of segments, other than the given one."""

    def place(layout: SegmentLayout, positions_AL: Positions, _: Pictures | None) -> Placed:
        rng = np.random.default_rng([seed, layout.n_segments])
        given = list(range(layout.n_segments))
        order = given
        while order == given:
            order = rng.permutation(layout.n_segments).tolist()
        return reordered(layout, positions_AL, order)

    return place


def reordered(layout: SegmentLayout, positions_AL: Positions, order: Sequence[int]) -> Placed:
    """Positions as if the segments stood in `order`, their tokens staying where they are."""
    moved_AL = positions_AL.copy()
    segments = list(layout.segments)
    following = int(positions_AL[:, layout.segments[0].start].min())
    for k in order:
        stretch = segments[k]
        moved_AL[:, stretch.start : stretch.end] += following - stretch.position
        segments[k] = replace(stretch, position=following)
        following += stretch.extent
    return _after(replace(layout, segments=tuple(segments)), moved_AL, following)


def collapse(layout: SegmentLayout, positions_AL: Positions, pictures_L: Pictures | None) -> Placed:
    """All tokens of a picture stand at one position, and what follows goes on after it (BaPA, arXiv 2509.21984).

    A picture is a run of its tokens, so the frames that a model writes one after the other are one. Pictures apart keep
    their order.
    """
    return _packed(layout, positions_AL, pictures_L, lambda inside_AL: np.zeros(inside_AL.shape[1], dtype=np.int64))


def concentric(layout: SegmentLayout, positions_AL: Positions, pictures_L: Pictures | None) -> Placed:
    """The tokens of a picture stand on rings, the outermost first (CCA, arXiv 2410.15926).

    The grid is read from the ids where they have a height and a width (M-RoPE); else the run must be a square. Frames
    of one run share their rings. We change positions alone: the paper trains with them, and with a mask of rings.
    Raises NotApplicable for a run of which the grid is not known.
    """
    return _packed(layout, positions_AL, pictures_L, rings)


def _packed(
    layout: SegmentLayout,
    positions_AL: Positions,
    pictures_L: Pictures | None,
    offsets: Callable[[Positions], Positions],
) -> Placed:
    """Text tokens one by one, every run of picture tokens at `offsets`, all axes alike, segments side by side."""
    if pictures_L is None:
        raise NotApplicable("positions: not applicable: nothing says which tokens are pictures; give `pictures_BL`")
    moved_AL = positions_AL.copy()
    following = int(positions_AL[:, layout.segments[0].start].min())
    segments = []
    for stretch in layout.segments:
        first = following
        for picture, low, high in runs(pictures_L, stretch.start, stretch.end):
            plain_L: Positions = np.arange(high - low, dtype=np.int64)
            offset_L: Positions = offsets(positions_AL[:, low:high]) if picture else plain_L
            moved_AL[:, low:high] = following + offset_L
            following += int(offset_L.max()) + 1
        segments.append(replace(stretch, position=first, extent=following - first))
    return _after(replace(layout, segments=tuple(segments)), moved_AL, following)


def runs(pictures_L: Pictures, start: int, end: int) -> Iterator[tuple[bool, int, int]]:
    """The runs of tokens in [start, end): whether each is a picture, its first token, and the one after its last."""
    for picture, run in groupby(range(start, end), key=lambda token: bool(pictures_L[token])):
        tokens = list(run)
        yield picture, tokens[0], tokens[-1] + 1


def _after(layout: SegmentLayout, moved_AL: Positions, following: int) -> Placed:
    moved_AL[:, layout.region[1] : layout.end] += following - layout.suffix_position
    return replace(layout, suffix_position=following), moved_AL


def rings(inside_AL: Positions) -> Positions:
    """The ring of each token of a picture, 0 outermost, from its position ids."""
    count = inside_AL.shape[1]
    side = round(count**0.5)
    if len(inside_AL) == 3:
        row_L, column_L = inside_AL[1] - inside_AL[1].min(), inside_AL[2] - inside_AL[2].min()
    elif side * side == count:
        row_L, column_L = np.divmod(np.arange(count), side)
    else:
        raise NotApplicable(
            f"concentric: not applicable: a picture of {count} tokens is no square, and nothing else is known"
        )
    edges = (row_L, row_L.max() - row_L, column_L, column_L.max() - column_L)
    ring_L: Positions = np.minimum.reduce(edges).astype(np.int64)
    return ring_L
