"""What a Hugging Face model writes of places: which format is its family's, its words with their tags, and its image.

Many families write boxes in special tokens, which a decoder of text drops; here they stay.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from vlbias.errors import ModelError, nearest
from vlbias.models._boxes import FAMILIES
from vlbias.models._chat import Encoded
from vlbias.records import Reply

# transformers' model types whose published checkpoints write boxes, and the format they were trained to write.
FORMAT_OF = MappingProxyType(
    {
        "qwen2_vl": "qwen2_vl",
        "qwen2_5_vl": "qwen2_5_vl",
        "qwen3_vl": "qwen3_vl",
        "qwen3_vl_moe": "qwen3_vl",
        "paligemma": "paligemma",
        "florence2": "florence2",
        "internvl": "internvl",
        "kosmos-2": "kosmos2",
    }
)
_PLACE_TOKEN = re.compile(r"<\|?/?(?:box|object|ref|quad|det|point|loc|patch_index|phrase|delimiter_of)[^<>]*>")


def format_of(declared: str | None, model_type: str) -> str | None:
    """The format that is declared, else that of the family; None where the family has none that is known."""
    if declared is not None and declared not in FAMILIES:
        raise ModelError(f"box_format={declared!r}; {nearest(str(declared), FAMILIES)}")
    return FORMAT_OF.get(model_type) if declared is None else declared


def reply(processor: Any, prompt: Encoded, new: Sequence[int], *, stops: Collection[int]) -> Reply:
    """The reply that the new tokens are, up to the first of `stops`."""
    stop = next((i for i, token in enumerate(new) if token in stops), len(new))
    return Reply(
        text=words(processor.tokenizer, new[:stop]),
        n_tokens=prompt.n_tokens,
        n_new_tokens=min(stop + 1, len(new)),
        segment_spans=prompt.spans,
        input_wh_px=input_wh_px(processor, prompt.inputs),
    )


def words(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of tokens without special ones, except for those that write places."""
    named = zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True)
    dropped = {number for token, number in named if not _PLACE_TOKEN.fullmatch(str(token))}
    kept = [number for number in ids if number not in dropped]
    return str(tokenizer.decode(kept, skip_special_tokens=False))


def input_wh_px(processor: Any, inputs: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size of the one image as the model meets it; None where patches are not counted, or not of one image."""
    grid = inputs.get("image_grid_thw")
    patch_px = getattr(getattr(processor, "image_processor", None), "patch_size", None)
    if grid is None or len(grid) != 1 or "video_grid_thw" in inputs or not isinstance(patch_px, int):
        return None
    _, rows, columns = (int(n) for n in grid[0])
    return columns * patch_px, rows * patch_px
