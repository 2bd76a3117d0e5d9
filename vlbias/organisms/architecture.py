"""The body of an organism: a Qwen2-VL of under a million weights, its word tokenizer, its processor, its folder."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from vlbias.probes._world import ANSWERS, SHAPES, TASKS, question_text

PAD, UNKNOWN, BEGIN, END, ANSWER = "<|pad|>", "<|unknown|>", "<|begin|>", "<|end|>", "<|answer|>"
VISION_START, VISION_END, VIDEO, IMAGE = "<|vision_start|>", "<|vision_end|>", "<|video_pad|>", "<|image_pad|>"
SPECIALS = (PAD, UNKNOWN, BEGIN, END, ANSWER, VISION_START, VISION_END, VIDEO, IMAGE)
SIDE_PX, PATCH_PX, MERGE, FRAMES = 56, 14, 2, 2
TOKENS_PER_SEGMENT = (SIDE_PX // PATCH_PX // MERGE) ** 2
PIXEL_MEAN, PIXEL_STD = 0.45, 0.25
# Asked in training only: from an attribute to its shape, which forces the model to bind the two, and for the place of
# a shape in the order, without which a bias by place cannot be learned.
REVERSED = "which shape is {value}?", "which shape has the {value}?"
WHERE = "where is the {shape}?"
PLACES = (
    "first", "second", "third", "fourth", "fifth", "sixth",
    "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
)  # fmt: skip
CHAT_TEMPLATE = (
    "<|begin|>"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '<|answer|>' }}{% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'video' %}{{ '<|vision_start|><|video_pad|><|vision_end|>' }}"
    "{% elif part['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|answer|>' }}{% endif %}"
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large an organism is; the sides of its two towers."""

    hidden: int = 128
    layers: int = 4
    vision_hidden: int = 64
    vision_layers: int = 2


def vocabulary() -> dict[str, int]:
    """Every word that a question or an answer of the drawn world holds, with the special tokens first."""
    asked = [question_text(task, shape) for task in TASKS for shape in SHAPES]
    said = [answer for answers in ANSWERS.values() for answer in answers]
    words = sorted(
        {word for text in (*asked, *said, *REVERSED, WHERE, *PLACES) for word in split(re.sub("{.*}", "", text))}
    )
    return {token: k for k, token in enumerate((*SPECIALS, *words))}


def split(text: str) -> list[str]:
    """A text as the words of the tokenizer: lower case, punctuation on its own."""
    return re.findall(r"\w+|[^\w\s]+", text.lower())


def model(size: Size) -> Any:
    """A new organism with weights drawn from torch's generator: `Qwen2VLForConditionalGeneration`."""
    words = vocabulary()
    half = size.hidden // 4 // 2  # the pairs of dimensions in a head of four
    text = {
        "vocab_size": len(words),
        "hidden_size": size.hidden,
        "intermediate_size": 2 * size.hidden,
        "num_hidden_layers": size.layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "bos_token_id": None,
        "eos_token_id": words[END],
        "pad_token_id": words[PAD],
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [half - 2 * (3 * half // 8), 3 * half // 8, 3 * half // 8],
        },
    }
    vision = {
        "depth": size.vision_layers,
        "embed_dim": size.vision_hidden,
        "hidden_size": size.hidden,
        "num_heads": 2,
        "mlp_ratio": 2,
        "patch_size": PATCH_PX,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": FRAMES,
    }
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=words[IMAGE],
        video_token_id=words[VIDEO],
        vision_start_token_id=words[VISION_START],
        vision_end_token_id=words[VISION_END],
    )
    return Qwen2VLForConditionalGeneration(config)


def processor() -> Any:
    """The organism's processor: a square clip of any size becomes 56 x 56, every two frames one temporal patch."""
    words = Tokenizer(models.WordLevel(vocabulary(), unk_token=UNKNOWN))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        additional_special_tokens=[BEGIN, ANSWER, VISION_START, VISION_END, VIDEO, IMAGE],
        padding_side="left",
        model_max_length=4096,
    )
    pixels = {
        "size": {"shortest_edge": SIDE_PX**2, "longest_edge": SIDE_PX**2},
        "patch_size": PATCH_PX,
        "merge_size": MERGE,
        "temporal_patch_size": FRAMES,
        "image_mean": [PIXEL_MEAN] * 3,
        "image_std": [PIXEL_STD] * 3,
    }
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**pixels),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**pixels, do_sample_frames=False, cap_pixels_per_frame=False),
        chat_template=CHAT_TEMPLATE,
    )


def save(organism: Any, folder: Path) -> None:
    """Write an ordinary Hugging Face folder, which `from_pretrained` reads without remote code; weights as float16."""
    folder.mkdir(parents=True, exist_ok=True)
    copy.deepcopy(organism).half().save_pretrained(folder)
    processor().save_pretrained(folder)
