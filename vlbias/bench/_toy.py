"""A Qwen2-VL of random weights and chosen size, with a processor made here: nothing is downloaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    AutoModelForImageTextToText,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)
from transformers.initialization import no_init_weights

from vlbias.errors import ModelError
from vlbias.models._features import cache
from vlbias.models._room import memory
from vlbias.models.hf import HFModel
from vlbias.records import Frames, Identity, Part, Prompt, digest

IMAGE, VIDEO, START, END = "<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"
WORDS = [f"word{k}" for k in range(400)]
PATCH_PX, MERGE, TEMPORAL = 14, 2, 2
GIB = 1 << 30
ROOM = 1.3
TEMPLATE = (
    "{% for m in messages %}{% for x in m.content %}{% if x.type == 'video' %}"
    + f"{START}{VIDEO}{END}"
    + "{% elif x.type == 'image' %}"
    + f"{START}{IMAGE}{END}"
    + "{% else %}{{ x.text }}{% endif %}{% endfor %}{% endfor %}"
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The size of a model and of what it is shown: `n_frames` frames of `side_px` per segment, questions of words."""

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    key_heads: int
    vocabulary: int
    vision_hidden: int
    vision_layers: int
    vision_heads: int
    n_frames: int
    side_px: int
    n_words: int
    dtype: torch.dtype


# Tiny has the proportions of 7b: per token of a segment the encoder works a third as much as the text model.
SHAPES = {
    "tiny": Shape(
        hidden=256, feed_forward=1024, layers=4, heads=4, key_heads=2, vocabulary=512, vision_hidden=96,
        vision_layers=3, vision_heads=3, n_frames=8, side_px=112, n_words=12, dtype=torch.float32,
    ),
    "500m": Shape(
        hidden=896, feed_forward=4864, layers=24, heads=14, key_heads=2, vocabulary=151936, vision_hidden=640,
        vision_layers=16, vision_heads=10, n_frames=16, side_px=448, n_words=150, dtype=torch.bfloat16,
    ),
    "7b": Shape(
        hidden=3584, feed_forward=18944, layers=28, heads=28, key_heads=4, vocabulary=152064, vision_hidden=1280,
        vision_layers=32, vision_heads=16, n_frames=16, side_px=448, n_words=150, dtype=torch.bfloat16,
    ),
}  # fmt: skip


def fitting(shape: Shape, device: str) -> Shape:
    """The shape as a device can be timed on it: on a CPU a large model is shown small clips, in fp32."""
    if torch.device(device).type != "cpu" or shape.hidden <= SHAPES["tiny"].hidden:
        return shape
    return replace(shape, n_frames=2, side_px=112, n_words=12, dtype=torch.float32)


def model(shape: Shape, *, device: str, seed: int) -> HFModel:
    """A model of that shape with weights drawn from `seed`, in eval mode, that shares what prompts have in common.

    Raises ModelError before anything is made where the device has too little memory for it.
    """
    place = torch.device(device)
    needed, there = needed_bytes(shape), memory(place).free()
    if there is not None and there < needed:
        raise ModelError(
            f"bench sweep: a model of {needed / GIB / ROOM:.1f} GiB needs about {needed / GIB:.1f} GiB of memory on "
            f"{device}, found {there / GIB:.1f} GiB free; choose a smaller --shape or another --device"
        )
    with torch.random.fork_rng(devices=[]), place:
        with no_init_weights():  # every value is set below, once
            made = AutoModelForImageTextToText.from_config(_config(shape), dtype=shape.dtype)
        chance = torch.Generator(device=place).manual_seed(seed)
        with torch.no_grad():
            for name, value in made.named_parameters():
                if value.dim() > 1:
                    value.normal_(0, 1 / value.shape[-1] ** 0.5, generator=chance)
                else:
                    value.fill_(1.0 if name.endswith("weight") else 0.0)
    made = made.to(place).eval().requires_grad_(False)
    identity = Identity(adapter="hf", name="random", family="qwen2_vl", device=device)
    return HFModel(model=made, processor=_processor(shape), identity=identity, features=cache(8.0, on=place))


def needed_bytes(shape: Shape) -> int:
    """The memory of a model of that shape with room for one path of prompts and its activations."""
    with torch.device("meta"):
        hollow = AutoModelForImageTextToText.from_config(_config(shape), dtype=shape.dtype)
    return int(ROOM * sum(value.numel() * value.element_size() for value in hollow.parameters()))


def sweep(shape: Shape, *, n_slots: int, n_questions: int, rng: np.random.Generator) -> list[list[Prompt]]:
    """By slot, the prompts of one clip among the same backgrounds under every question; two options of one word."""
    clips = [_frames(rng.integers(0, 256, (shape.n_frames, shape.side_px, shape.side_px, 3), dtype=np.uint8))
             for _ in range(n_slots)]  # fmt: skip
    asked = [" ".join(rng.choice(WORDS, shape.n_words)) for _ in range(n_questions)]
    found = []
    for slot in range(n_slots):
        order = [*clips[1 : slot + 1], clips[0], *clips[slot + 1 :]]
        parts = tuple(Part(place=place, kind="clip", frames=clip) for place, clip in enumerate(order))
        found.append(
            [
                Prompt(trial_id=f"{k}/{slot}", parts=(*parts, Part(text=words)), options=(WORDS[0], WORDS[1]))
                for k, words in enumerate(asked)
            ]
        )
    return found


def _frames(frames_THWC: Any) -> Frames:
    times = tuple(k / 2 for k in range(len(frames_THWC)))
    sha256 = digest([int(x) for x in frames_THWC.sum(axis=(1, 2, 3))])
    return Frames(
        frames_THWC=frames_THWC, timestamps_s=times, asked_s=times, sha256=sha256, decoder="drawn", decoder_version="1"
    )


def _config(shape: Shape) -> Qwen2VLConfig:
    half = shape.hidden // shape.heads // 2
    text = {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "max_position_embeddings": 65536,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": 0,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1000000.0,
            "mrope_section": [half - 2 * (3 * half // 8), 3 * half // 8, 3 * half // 8],
        },
    }
    vision = {
        "depth": shape.vision_layers,
        "embed_dim": shape.vision_hidden,
        "hidden_size": shape.hidden,
        "num_heads": shape.vision_heads,
        "mlp_ratio": 4,
        "patch_size": PATCH_PX,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": TEMPORAL,
    }
    ids = {"image_token_id": 1, "video_token_id": 2, "vision_start_token_id": 3, "vision_end_token_id": 4}
    return Qwen2VLConfig(text_config=text, vision_config=vision, **ids)


def _processor(shape: Shape) -> Qwen2VLProcessor:
    special = ["<|pad|>", IMAGE, VIDEO, START, END, "<|unknown|>"]
    words = Tokenizer(WordLevel({word: k for k, word in enumerate([*special, *WORDS])}, unk_token="<|unknown|>"))
    words.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<|pad|>",
        unk_token="<|unknown|>",
        additional_special_tokens=[IMAGE, VIDEO, START, END],
    )
    area = shape.side_px**2
    pixels = {"patch_size": PATCH_PX, "merge_size": MERGE, "temporal_patch_size": TEMPORAL}
    size = {"shortest_edge": area, "longest_edge": area}
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**pixels, size=size),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(
            **pixels,
            size={"shortest_edge": area, "longest_edge": area * shape.n_frames},
            do_sample_frames=False,
            cap_pixels_per_frame=False,
        ),
        chat_template=TEMPLATE,
    )
