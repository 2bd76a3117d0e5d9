"""Organisms of the family LLaVA-OneVision: SigLIP sees every frame alone, so the language model has to compare them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import (
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessor,
    LlavaOnevisionProcessor,
    LlavaOnevisionVideoProcessor,
)

from vlbias.organisms.architecture import (
    FRAMES,
    IMAGE,
    MERGE,
    PATCH_PX,
    PIXEL_MEAN,
    PIXEL_STD,
    SIDE_PX,
    VIDEO,
    Size,
    chat_template,
    language,
    tokenizer,
    vocabulary,
)

TOWER = (".vision_tower.", ".multi_modal_projector.")
PICTURES = FRAMES
_SIDE = SIDE_PX // PATCH_PX
_TOKENS = (_SIDE // MERGE) ** 2  # of one frame, after the model's pooling of 2 x 2


def model(size: Size) -> Any:
    """A new organism with weights drawn from torch's generator: `LlavaOnevisionForConditionalGeneration`."""
    words = vocabulary()
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": size.vision_hidden,
        "intermediate_size": 2 * size.vision_hidden,
        "num_hidden_layers": size.vision_layers,
        "num_attention_heads": 2,
        "image_size": SIDE_PX,
        "patch_size": PATCH_PX,
        "vision_use_head": False,
    }
    config = LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **language(size)},
        vision_config=vision,
        image_token_index=words[IMAGE],
        video_token_index=words[VIDEO],
        image_grid_pinpoints=[[SIDE_PX, SIDE_PX]],
    )
    return LlavaOnevisionForConditionalGeneration(config)


def processor() -> Any:
    """The organism's processor: every frame becomes 56 x 56."""
    pixels = {
        "size": {"height": SIDE_PX, "width": SIDE_PX},
        "image_mean": [PIXEL_MEAN] * 3,
        "image_std": [PIXEL_STD] * 3,
    }
    return LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(**pixels, image_grid_pinpoints=[[SIDE_PX, SIDE_PX]]),
        tokenizer=tokenizer(),
        video_processor=LlavaOnevisionVideoProcessor(**pixels),
        num_image_tokens=_SIDE**2,
        vision_feature_select_strategy="full",
        chat_template=chat_template(video=VIDEO, image=IMAGE),
        image_token=IMAGE,
        video_token=VIDEO,
    )


def segment() -> list[int]:
    """The tokens of one clip: four of each frame, then the model's own token for the end of a picture."""
    return [vocabulary()[VIDEO]] * (FRAMES * _TOKENS + 1)


def arranged(frames_THWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Two frames in the order of the processor: time, channel, y, x."""
    levels_X: npt.NDArray[np.uint8] = frames_THWC.transpose(0, 3, 1, 2).reshape(-1)
    return levels_X


def see(organism: Any, pixels_CX: torch.Tensor) -> torch.Tensor:
    """The visual tokens of clips of two frames: [clip, token, width], the end of the picture last."""
    clips = pixels_CX.to(organism.device).view(len(pixels_CX), FRAMES, 3, SIDE_PX, SIDE_PX)
    seen_CPH: torch.Tensor = organism.model.get_video_features(clips, return_dict=True).pooler_output
    return seen_CPH


def shows(seen_CPH: torch.Tensor) -> torch.Tensor:
    """All but the end of the picture."""
    return seen_CPH[:, :-1]


def moved(seen_CPH: torch.Tensor) -> torch.Tensor:
    """The second frame less the first, place by place: no token of one frame can tell which way a thing moves."""
    return seen_CPH[:, _TOKENS:-1] - seen_CPH[:, :_TOKENS]


def positions(organism: Any, ids_1L: torch.Tensor) -> torch.Tensor:
    """[1, L]: one after the other."""
    return torch.arange(ids_1L.shape[1], device=organism.device)[None]
