"""What all organisms have in common: their words, tokenizer, size, how a clip is cut, and how their folder is written.

A family of real models is a file `family_NAME.py`, named by the model type of its config; `family` finds it.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from vlbias import rooms
from vlbias.probes._labels import WORDS, labels
from vlbias.probes._world import ANSWERS, SHAPES, TASKS, question_text
from vlbias.prompts import CLOSING, INSTRUCTION

PAD, UNKNOWN, BEGIN, END, ANSWER = "<|pad|>", "<|unknown|>", "<|begin|>", "<|end|>", "<|answer|>"
VISION_START, VISION_END, VIDEO, IMAGE = "<|vision_start|>", "<|vision_end|>", "<|video_pad|>", "<|image_pad|>"
SPECIALS = (PAD, UNKNOWN, BEGIN, END, ANSWER, VISION_START, VISION_END, VIDEO, IMAGE)
SIDE_PX, PATCH_PX, MERGE, FRAMES = 56, 14, 2, 2
PIXEL_MEAN, PIXEL_STD = 0.45, 0.25
# Asked in training only: from an attribute to its shape, which forces the model to bind the two, and for the place of
# a shape in the order, without which a bias by place cannot be learned.
REVERSED = "which shape is {value}?", "which shape has the {value}?"
WHERE = "where is the {shape}?"
PLACES = (
    "first", "second", "third", "fourth", "fifth", "sixth",
    "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
)  # fmt: skip
_CHAT_TEMPLATE = (
    "<|begin|>"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '<|answer|>' }}{% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'video' %}{{ 'VIDEO' }}"
    "{% elif part['type'] == 'image' %}{{ 'IMAGE' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|answer|>' }}{% endif %}"
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large an organism is; the sides of its two towers. `encoding` is for the family that has a choice of them."""

    hidden: int = 128
    layers: int = 4
    vision_hidden: int = 64
    vision_layers: int = 2
    encoding: str | None = None


def language(size: Size, **rope: Any) -> dict[str, Any]:
    """The config of the language tower of an organism of Qwen2's kind; `rope` is what a family adds to its rotation."""
    words = vocabulary()
    return {
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
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, **rope},
    }


class Family(Protocol):
    """What a file `family_NAME.py` holds. A clip is two frames of 56 x 56; its levels are uint8, C clips, X values."""

    TOWER: tuple[str, ...]
    """What names the weights that see: every one of them holds one of these."""

    PICTURES: int
    """How many pictures the visual tower is given of one clip."""

    def model(self, size: Size) -> Any:
        """A new organism with weights drawn from torch's generator."""

    def processor(self) -> Any:
        """The processor of the family's organisms."""

    def segment(self) -> list[int]:
        """The tokens of one clip in a prompt."""

    def arranged(self, frames_THWC: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The frames of a clip as one line of levels, in the order in which the processor gives them."""

    def see(self, organism: Any, pixels_CX: torch.Tensor) -> torch.Tensor:
        """The visual tokens of clips: [clip, token, width]."""

    def shows(self, seen_CPH: torch.Tensor) -> torch.Tensor:
        """Those of them that stand for what a clip shows."""

    def moved(self, seen_CPH: torch.Tensor) -> torch.Tensor:
        """What of them tells which way things move."""

    def positions(self, organism: Any, ids_1L: torch.Tensor) -> torch.Tensor:
        """The positions of a prompt's tokens, in one or in several axes: [..., 1, L]."""


def family(name: str) -> Family:
    """The family of that name; an unknown one is an error that tells the known ones."""
    return cast(Family, rooms.find("organisms", name, prefix="family_"))


def family_of(organism: Any) -> Family:
    """The family that an organism is of."""
    return family(organism.config.model_type)


def families() -> list[str]:
    """The names of the families."""
    return rooms.names("organisms", prefix="family_")


def vocabulary() -> dict[str, int]:
    """Every word that a question or an answer of the drawn world holds, with the special tokens first.

    What only a prompt with options holds comes last, so that older organisms have the same words before it.
    """
    asked = [question_text(task, shape) for task in TASKS for shape in SHAPES]
    said = [answer for answers in ANSWERS.values() for answer in answers]
    named = sorted(
        {word for text in (*asked, *said, *REVERSED, WHERE, *PLACES) for word in split(re.sub("{.*}", "", text))}
    )
    by_letter = (INSTRUCTION, CLOSING, WORDS["letters"], "Question: Options: ( )", *labels(4))
    lettered = sorted({word for text in by_letter for word in split(text.replace("{label}", ""))} - set(named))
    bare = sorted({"-", WORDS["none"]} - set(named) - set(lettered))
    return {token: k for k, token in enumerate((*SPECIALS, *named, *lettered, *bare))}


def split(text: str) -> list[str]:
    """A text as the words of the tokenizer: lower case, punctuation on its own."""
    return re.findall(r"\w+|[^\w\s]+", text.lower())


def tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer of every organism: one token per word."""
    words = Tokenizer(models.WordLevel(vocabulary(), unk_token=UNKNOWN))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        additional_special_tokens=[BEGIN, ANSWER, VISION_START, VISION_END, VIDEO, IMAGE],
        padding_side="left",
        model_max_length=4096,
    )


def chat_template(*, video: str, image: str) -> str:
    """The template of every organism, in which a clip and an image are written as the family writes them."""
    return _CHAT_TEMPLATE.replace("VIDEO", video).replace("IMAGE", image)


def save(organism: Any, folder: Path) -> None:
    """Write an ordinary Hugging Face folder, which `from_pretrained` reads without remote code; weights as float16."""
    folder.mkdir(parents=True, exist_ok=True)
    copy.deepcopy(organism).half().save_pretrained(folder)
    family_of(organism).processor().save_pretrained(folder)
