"""Measures whether a picture, as it will be drawn, can be told from its own turns and mirror images.

A plain or symmetric picture makes a question about its turn that has no answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vlbias.probes._pictures import as_drawn
from vlbias.records import RGB

LEAST_LEVELS = 2.0  # a disc that stands a pixel off comes to 1.4, plain paper with noise of 10 levels to 0.8
BLOCKS = 8
Levels: TypeAlias = npt.NDArray[np.float64]


def symmetry(path: str, sha256: str, *, side_px: int, ground_rgb: RGB, forms: Sequence[str]) -> str | None:
    """Why a picture cannot be asked in these forms, in one sentence; None where it can.

    `turn` needs a picture that differs from itself after a quarter and after half a turn, `mirror` one that no turn
    brings onto its mirror image. `side_px` is the square in which it is drawn. DecodeError for a damaged file.
    """
    if not {"turn", "mirror"} & set(forms):
        return None
    seen_HWC = np.asarray(as_drawn(path, sha256, side_px=side_px, ground_rgb=ground_rgb), dtype=np.float64)
    near = [(form, words, levels) for form, words, levels in _twins(seen_HWC, forms) if levels < LEAST_LEVELS]
    if not near:
        return None
    found = ", ".join(f"{words} by {levels:.1f}" for _, words, levels in near)
    hit = " and ".join(dict.fromkeys(form for form, _, _ in near))
    return (
        f"{path}: differs from {found} grey levels, and {LEAST_LEVELS:g} are needed to tell them apart; "
        f"give a picture without this symmetry, or leave {hit} out of forms"
    )


def difference(one_HWC: Levels, other_HWC: Levels) -> float:
    """How far two square pictures are apart, in grey levels (0 to 255): the mean over 8 x 8 blocks.

    A block counts with the difference of its mean colours in that channel in which it is largest, so that noise
    averages out and a difference of hue counts.
    """
    edges = np.linspace(0, len(one_HWC), BLOCKS + 1).round().astype(int)
    apart_HWC = one_HWC - other_HWC
    rows_BWC = np.stack([apart_HWC[low:high].mean(axis=0) for low, high in pairwise(edges)])
    blocks_BBC = np.stack([rows_BWC[:, low:high].mean(axis=1) for low, high in pairwise(edges)], axis=1)
    return float(np.abs(blocks_BBC).max(axis=2).mean())


def _twins(seen_HWC: Levels, forms: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    """Form, what the picture must differ from, and by how many levels it does."""
    if "turn" in forms:
        yield "turn", "itself after a quarter turn", difference(seen_HWC, np.rot90(seen_HWC))
        yield "turn", "itself after half a turn", difference(seen_HWC, np.rot90(seen_HWC, 2))
    if "mirror" in forms:
        turns = [np.rot90(seen_HWC[:, ::-1], k) for k in range(4)]
        yield "mirror", "its mirror image", min(difference(seen_HWC, turned_HWC) for turned_HWC in turns)
