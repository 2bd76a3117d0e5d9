"""Organisms of a plain decoder: Qwen2-VL's eyes before a decoder whose position encoding is the only difference."""

from __future__ import annotations

from typing import Any

import torch

from vlbias.models.plain import PlainConfig, PlainDecoder
from vlbias.organisms.architecture import END, IMAGE, PAD, VIDEO, Size, vocabulary
from vlbias.organisms.family_qwen2_vl import PICTURES as PICTURES
from vlbias.organisms.family_qwen2_vl import TOWER as TOWER
from vlbias.organisms.family_qwen2_vl import arranged as arranged
from vlbias.organisms.family_qwen2_vl import moved as moved
from vlbias.organisms.family_qwen2_vl import processor as processor
from vlbias.organisms.family_qwen2_vl import see as see
from vlbias.organisms.family_qwen2_vl import segment as segment
from vlbias.organisms.family_qwen2_vl import shows as shows
from vlbias.organisms.family_qwen2_vl import vision

# One layer to gather what is asked, one to find the clip that it is asked about.
_MOST_LAYERS = 2


def model(size: Size) -> Any:
    """A new organism with weights drawn from torch's generator: `PlainDecoder` with the encoding of `size`."""
    words = vocabulary()
    text = {
        "encoding": size.encoding,
        "vocab_size": len(words),
        "hidden_size": size.hidden,
        "intermediate_size": 2 * size.hidden,
        "num_hidden_layers": min(size.layers, _MOST_LAYERS),
        "eos_token_id": words[END],
        "pad_token_id": words[PAD],
    }
    config = PlainConfig(
        text_config=text, vision_config=vision(size), image_token_id=words[IMAGE], video_token_id=words[VIDEO]
    )
    return PlainDecoder(config)


def positions(_organism: Any, ids_1L: torch.Tensor) -> torch.Tensor:
    """[1, L]: tokens counted from 0."""
    return torch.arange(ids_1L.shape[1], device=ids_1L.device)[None]
