"""Organisms of the family Qwen2-VL: two frames become one temporal patch, so every visual token sees both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import (
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from vlbias.organisms.architecture import (
    FRAMES,
    IMAGE,
    MERGE,
    PATCH_PX,
    PIXEL_MEAN,
    PIXEL_STD,
    SIDE_PX,
    VIDEO,
    VISION_END,
    VISION_START,
    Size,
    chat_template,
    language,
    tokenizer,
    vocabulary,
)

TOWER = (".visual.",)
PICTURES = 1
_SIDE = SIDE_PX // PATCH_PX
_PATCHES = _SIDE**2
_TOKENS = (_SIDE // MERGE) ** 2


def model(size: Size) -> Any:
    """A new organism with weights drawn from torch's generator: `Qwen2VLForConditionalGeneration`."""
    words = vocabulary()
    half = size.hidden // 4 // 2  # the pairs of dimensions in a head of four
    side = 3 * half // 8
    config = Qwen2VLConfig(
        text_config=language(size, mrope_section=[half - 2 * side, side, side]),
        vision_config=vision(size),
        image_token_id=words[IMAGE],
        video_token_id=words[VIDEO],
        vision_start_token_id=words[VISION_START],
        vision_end_token_id=words[VISION_END],
    )
    return Qwen2VLForConditionalGeneration(config)


def vision(size: Size) -> dict[str, int]:
    """The sizes of the visual tower, by the names of its config."""
    return {
        "depth": size.vision_layers,
        "embed_dim": size.vision_hidden,
        "hidden_size": size.hidden,
        "num_heads": 2,
        "mlp_ratio": 2,
        "patch_size": PATCH_PX,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": FRAMES,
    }


def processor() -> Any:
    """The organism's processor: a square clip of any size becomes 56 x 56, every two frames one temporal patch."""
    pixels = {
        "size": {"shortest_edge": SIDE_PX**2, "longest_edge": SIDE_PX**2},
        "patch_size": PATCH_PX,
        "merge_size": MERGE,
        "temporal_patch_size": FRAMES,
        "image_mean": [PIXEL_MEAN] * 3,
        "image_std": [PIXEL_STD] * 3,
    }
    video, image = (f"{VISION_START}{item}{VISION_END}" for item in (VIDEO, IMAGE))
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**pixels),
        tokenizer=tokenizer(),
        video_processor=Qwen2VLVideoProcessor(**pixels, do_sample_frames=False, cap_pixels_per_frame=False),
        chat_template=chat_template(video=video, image=image),
    )


def segment() -> list[int]:
    """The tokens of one clip: its start, four visual tokens, its end."""
    words = vocabulary()
    return [words[VISION_START], *[words[VIDEO]] * _TOKENS, words[VISION_END]]


def arranged(frames_THWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Two frames in the order of Qwen2-VL's processor: patches in merge blocks, then channel, time, y, x."""
    side = _SIDE // MERGE
    parts = frames_THWC.transpose(0, 3, 1, 2).reshape(FRAMES, 3, side, MERGE, PATCH_PX, side, MERGE, PATCH_PX)
    levels_X: npt.NDArray[np.uint8] = parts.transpose(2, 5, 3, 6, 1, 0, 4, 7).reshape(-1)
    return levels_X


def see(organism: Any, pixels_CX: torch.Tensor) -> torch.Tensor:
    """The visual tokens of clips of two frames: [clip, token, width]."""
    n = len(pixels_CX)
    grid_C3 = torch.tensor([[1, _SIDE, _SIDE]], device=organism.device).expand(n, 3)
    with _whole_frames(organism):
        given = organism.model.visual(
            pixels_CX.to(organism.device).view(n * _PATCHES, -1),
            grid_thw=grid_C3,
            cu_seqlens=torch.tensor([0, n * _PATCHES], dtype=torch.int32, device=organism.device),
            max_seqlen=n * _PATCHES,
        )
    seen_CPH: torch.Tensor = given.pooler_output.view(n, _TOKENS, -1)
    return seen_CPH


def shows(seen_CPH: torch.Tensor) -> torch.Tensor:
    """Every token stands for what the clip shows."""
    return seen_CPH


def moved(seen_CPH: torch.Tensor) -> torch.Tensor:
    """Every token has seen both frames."""
    return seen_CPH


def positions(organism: Any, ids_1L: torch.Tensor) -> torch.Tensor:
    """[3, 1, L]: time, height and width, as the model counts them."""
    visual_1L = ids_1L == organism.config.video_token_id
    n_clips = int(visual_1L.sum()) // _TOKENS
    grid_S3 = torch.tensor([[1, _SIDE, _SIDE]], device=ids_1L.device).expand(n_clips, 3)
    position_31L: torch.Tensor
    position_31L, _ = organism.model.get_rope_index(ids_1L, visual_1L.int() * 2, video_grid_thw=grid_S3)
    return position_31L


@contextmanager
def _whole_frames(organism: Any) -> Iterator[None]:
    """Attention within each clip in one call, in place of the tower's loop over clips: the same numbers, sooner."""
    name = "vlbias_whole_frames"
    ALL_ATTENTION_FUNCTIONS.register(name, _within_clips)
    config = organism.model.visual.config
    before, config._attn_implementation = config._attn_implementation, name
    try:
        yield
    finally:
        config._attn_implementation = before


def _within_clips(
    _module: Any, query_1HLD: torch.Tensor, key_1HLD: torch.Tensor, value_1HLD: torch.Tensor, *_: Any, **how: Any
) -> tuple[torch.Tensor, None]:
    heads, length, width = query_1HLD.shape[1:]

    def clipwise(x_1HLD: torch.Tensor) -> torch.Tensor:
        return x_1HLD.view(heads, length // _PATCHES, _PATCHES, width).transpose(0, 1)

    mixed_CHPD = torch.nn.functional.scaled_dot_product_attention(
        clipwise(query_1HLD), clipwise(key_1HLD), clipwise(value_1HLD), scale=how["scaling"]
    )
    return mixed_CHPD.permute(0, 2, 1, 3).reshape(1, length, heads, width), None
