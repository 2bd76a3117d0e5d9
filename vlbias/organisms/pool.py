"""The clips that organisms are trained on: drawn once, and kept as the levels that the visual tower is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from vlbias.organisms.architecture import FRAMES, PIXEL_MEAN, PIXEL_STD, SIDE_PX, Family
from vlbias.organisms.decoding import as_decoded
from vlbias.probes._world import SHAPES, Content, contents, scene
from vlbias.videos.draw import snapshots

_DRAWN_PX = 112
_CLIP_S = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """Clips drawn ahead: their contents, and their levels, uint8 [clip, value], in the order of the family's processor.

    `segment` are the tokens of one clip in a prompt.
    """

    contents: tuple[Content, ...]
    levels_CX: torch.Tensor
    segment: tuple[int, ...]
    by_shape: dict[str, npt.NDArray[np.int64]]
    by_look: dict[tuple[str, str], npt.NDArray[np.int64]]


def pool(n: int, family: Family, *, rng: np.random.Generator, log: Callable[[str], None]) -> Pool:
    """Draw `n` clips as the organism meets them: two frames, 56 x 56, with the blur and noise of a decoded film."""
    shown = contents(n, rng=rng)
    levels_CX = np.empty((n, FRAMES * SIDE_PX**2 * 3), np.uint8)
    for k, content in enumerate(shown):
        levels_CX[k] = family.arranged(_clip(content, rng))
        if k % 2000 == 1999:
            log(f"drawn {k + 1} of {n} clips")
    return pool_of(shown, torch.from_numpy(levels_CX), family)


def pool_of(shown: Sequence[Content], levels_CX: torch.Tensor, family: Family) -> Pool:
    """A pool of clips whose contents and levels are known."""
    looks: dict[tuple[str, str], list[int]] = {}
    for k, content in enumerate(shown):
        looks.setdefault((content.shape, content.colour), []).append(k)
    shapes = {s: np.array([k for k, c in enumerate(shown) if c.shape == s]) for s in SHAPES}
    return Pool(
        contents=tuple(shown),
        levels_CX=levels_CX,
        segment=tuple(family.segment()),
        by_shape=shapes,
        by_look={look: np.array(where) for look, where in looks.items()},
    )


def pixels(clips: Pool, chosen: npt.NDArray[np.int64], rng: np.random.Generator | None) -> torch.Tensor:
    """What the visual tower is given for these clips: [clip, value]; with `rng`, each a little lighter or darker."""
    levels_CX = clips.levels_CX[torch.from_numpy(chosen)].float().div_(255)
    gain_C1 = torch.ones(len(chosen), 1)
    if rng is not None:
        gain_C1 = torch.from_numpy(rng.uniform(0.94, 1.04, (len(chosen), 1)).astype(np.float32))
    return levels_CX.mul_(gain_C1).sub_(PIXEL_MEAN).div_(PIXEL_STD)


def _clip(content: Content, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    drawn = scene(content, size_wh_px=(_DRAWN_PX, _DRAWN_PX), duration_s=_CLIP_S, fps=8, rng=rng)
    # Samplers differ in where they take two frames of a clip: from its quarters to its ends.
    reach = rng.uniform(0.22, 0.48)
    pair_THWC = snapshots(drawn, (_CLIP_S * (0.5 - reach), _CLIP_S * (0.5 + reach)))
    return np.stack([as_decoded(image_HWC, side_px=SIDE_PX, rng=rng) for image_HWC in pair_THWC])
