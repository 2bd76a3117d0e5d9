"""Other position ids and other sight inside each picture of a prompt: ablations of what a place in an image means.

A picture is a run of its tokens, in the order in which the model reads them (raster order). Both work on prompts of one
segment too, as the probes over the cells of an image have them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vlbias.attention.layout import Positions, SegmentLayout
from vlbias.attention.patch import Pictures, Place, Sight
from vlbias.attention.patch_positions import Placed, collapse, concentric, rings, runs
from vlbias.errors import BadInput, NotApplicable, nearest

POSITIONS = ("raster", "collapsed", "concentric", "reversed", "shuffled")
SIGHTS = ("causal", "concentric", "bidirectional")
Seen: TypeAlias = npt.NDArray[np.bool_]


def place(name: str, *, seed: int = 0) -> Place | None:
    """The rule of `POSITIONS` by its name; None for raster, the model's own ids.

    `collapsed` gives all tokens of a picture one position (BaPA, arXiv 2509.21984), `concentric` those of rings (CCA,
    arXiv 2410.15926). `reversed` gives the first token of a picture the id of its last, and so on, `shuffled` deals the
    ids of a picture by chance, the same way for every picture of one size. These two keep which ids there are, so what
    follows stays in its place. Sight stays as it is.
    """
    rules: dict[str, Place | None] = {
        "raster": None,
        "collapsed": collapse,
        "concentric": concentric,
        "reversed": _dealt(lambda n: np.arange(n)[::-1]),
        "shuffled": _dealt(lambda n: np.random.default_rng([seed, n]).permutation(n)),
    }
    if name not in rules:
        raise BadInput(f"positions={name!r} is unknown; {nearest(name, POSITIONS)}")
    return rules[name]


def sight(name: str) -> Sight | None:
    """Which token sees which, by the name in `SIGHTS`, [queries, keys]; None for causal, the model's own.

    With `bidirectional` the tokens of a picture all see each other. With `concentric` a token of a picture sees those
    of the same picture on its own ring and on rings further out (CCA, arXiv 2410.15926). All else stays causal. The
    paper trains with its mask; here it is put into a model that was trained without.
    """
    rules: dict[str, Sight | None] = {"causal": None, "bidirectional": _bidirectional, "concentric": _concentric}
    if name not in rules:
        raise BadInput(f"sight={name!r} is unknown; {nearest(name, SIGHTS)}")
    return rules[name]


def _dealt(order: Callable[[int], npt.NDArray[np.intp]]) -> Place:
    def placed(layout: SegmentLayout, positions_AL: Positions, pictures_L: Pictures | None) -> Placed:
        moved_AL = positions_AL.copy()
        for low, high in _pictures(layout.start, layout.end, pictures_L):
            moved_AL[:, low:high] = positions_AL[:, low:high][:, order(high - low)]
        return layout, moved_AL

    return placed


def _bidirectional(positions_AL: Positions, pictures_L: Pictures | None) -> Seen:
    seen_QL = _causal(positions_AL)
    for low, high in _pictures(0, positions_AL.shape[1], pictures_L):
        seen_QL[low:high, low:high] = True
    return seen_QL


def _concentric(positions_AL: Positions, pictures_L: Pictures | None) -> Seen:
    seen_QL = _causal(positions_AL)
    for low, high in _pictures(0, positions_AL.shape[1], pictures_L):
        ring_L = rings(positions_AL[:, low:high])
        seen_QL[low:high, low:high] = ring_L[:, None] >= ring_L[None]
    return seen_QL


def _causal(positions_AL: Positions) -> Seen:
    n_tokens = positions_AL.shape[1]
    return np.tri(n_tokens, dtype=np.bool_)


def _pictures(start: int, end: int, pictures_L: Pictures | None) -> list[tuple[int, int]]:
    if pictures_L is None:
        raise NotApplicable("pictures: not applicable: nothing says which tokens are pictures; give `pictures_BL`")
    return [(low, high) for picture, low, high in runs(pictures_L, start, end) if picture]
