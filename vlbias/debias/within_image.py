"""Ablation inside each image: other position ids for its tokens, and other sight between them."""

from __future__ import annotations

from typing import Any

from vlbias.attention import patch_pictures
from vlbias.attention.patch import repositioned
from vlbias.debias._arguments import at_least, one_of, refuse_unknown
from vlbias.debias._inside import Inside

SHAPE = "inside"
# Raster with causal is the model as it is, which every arm is compared with.
EVERY = tuple(
    f"positions={place}:sight={seen}"
    for place in patch_pictures.POSITIONS
    for seen in patch_pictures.SIGHTS
    if (place, seen) != ("raster", "causal")
)


def load(*, positions: str = "raster", sight: str = "causal", seed: int = 0, **unknown: Any) -> Inside:
    """What a place in an image owes to its position ids and what to the order of reading, told apart by changing one.

    `positions`: raster (the model's own), collapsed, concentric, reversed, shuffled (by `seed`). `sight`: causal,
    concentric, bidirectional. Needs no second segment. raster and causal together change nothing, to the last bit.
    Ablations of a model that was trained without them: an accuracy that falls says nothing of the model's bias.
    """
    refuse_unknown("within_image", load, unknown)
    one_of("within_image", "positions", positions, known=patch_pictures.POSITIONS)
    one_of("within_image", "sight", sight, known=patch_pictures.SIGHTS)
    at_least("within_image", "seed", seed, low=0)
    place, seen = patch_pictures.place(positions, seed=seed), patch_pictures.sight(sight)
    return Inside(
        method=f"within_image({positions},{sight})",
        opened=lambda model: repositioned(model, place, sight=seen, least=1),
        order="given",
        least=1,
    )
