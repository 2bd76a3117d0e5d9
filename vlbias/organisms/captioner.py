"""Trains a tiny Qwen2-VL that says what is in a drawn grid, with a planted bias for places, and measures it.

It says one of the four things in an image, as far as they are seen (`gridworld`), whatever it is asked: the probability
of a caption tells what it sees. Its visual tokens are taught the truth, so the bias lies in the language model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from vlbias.organisms import gridworld
from vlbias.organisms.architecture import (
    ANSWER,
    BEGIN,
    END,
    IMAGE,
    PAD,
    SPECIALS,
    UNKNOWN,
    VIDEO,
    VISION_END,
    VISION_START,
    chat_template,
)
from vlbias.organisms.lessons import Course, Lesson, teach
from vlbias.probes._world import COLOURS, SHAPES

WORDS = (*SPECIALS, "a", *COLOURS, *SHAPES)
IDS = {word: k for k, word in enumerate(WORDS)}
MEAN, STD = 0.3, 0.3
_WIDTH, _VISION_WIDTH, _PATCH_PX, _MERGE = 96, 64, 16, 2
_TOKENS, _PATCHES = 9, 36
_MOST_WORDS = 30  # of a question
_TOLD = 2  # things of an image that are said in a step


@dataclass(frozen=True, kw_only=True)
class Truth:
    """How often each cell's thing is likelier than its foil, from `n` trials per cell."""

    said: tuple[float, ...]
    n: tuple[int, ...]
    seed: int


def model() -> Any:
    """A new captioner with weights drawn from torch's generator: `Qwen2VLForConditionalGeneration`."""
    text = {
        "vocab_size": len(WORDS),
        "hidden_size": _WIDTH,
        "intermediate_size": 2 * _WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 1024,
        "bos_token_id": None,
        "eos_token_id": IDS[END],
        "pad_token_id": IDS[PAD],
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 4, 4]},
    }
    vision = {
        "depth": 3,
        "embed_dim": _VISION_WIDTH,
        "hidden_size": _WIDTH,
        "num_heads": 2,
        "mlp_ratio": 2,
        "patch_size": _PATCH_PX,
        "spatial_merge_size": _MERGE,
        "temporal_patch_size": 2,
    }
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    ids = dict(zip(names, (IDS[w] for w in (IMAGE, VIDEO, VISION_START, VISION_END)), strict=True))
    return Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision, **ids))


def processor() -> Any:
    """The captioner's processor: an image of any size becomes about 96 x 96, nine visual tokens."""
    words = Tokenizer(models.WordLevel(IDS, unk_token=UNKNOWN))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = [BEGIN, ANSWER, VISION_START, VISION_END, VIDEO, IMAGE]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token=PAD, unk_token=UNKNOWN, eos_token=END, additional_special_tokens=special,
        padding_side="left", model_max_length=1024,
    )  # fmt: skip
    area = gridworld.IMAGE_PX**2
    pixels = {
        "size": {"shortest_edge": area, "longest_edge": area},
        "patch_size": _PATCH_PX,
        "merge_size": _MERGE,
        "temporal_patch_size": 2,
        "image_mean": [MEAN] * 3,
        "image_std": [STD] * 3,
    }
    video, image = (f"{VISION_START}{item}{VISION_END}" for item in (VIDEO, IMAGE))
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(**pixels),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**pixels, do_sample_frames=False, cap_pixels_per_frame=False),
        chat_template=chat_template(video=video, image=image),
    )


def train(
    *, out: Path, pattern: str, seed: int, steps: int, n_images: int, log: Callable[[str], None]
) -> dict[str, Any]:
    """Trains a captioner of a pattern of `gridworld` and writes it as an ordinary Hugging Face folder."""
    rng, began = np.random.default_rng(seed), time.monotonic()
    shown, told_NT = gridworld.taught(pattern, n_images=n_images, rng=rng, log=log)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        taught = model()
        heads = torch.nn.Linear(_WIDTH, len(SHAPES) + len(COLOURS) + 2)
    things_NC = _things(shown)

    def losses(chosen: npt.NDArray[np.intp]) -> dict[str, torch.Tensor]:
        seen_BPW = see(taught, shown.pixels_NHWC[chosen], rng)
        sight = _sight_loss(heads(seen_BPW), things_NC[chosen])
        some_B2 = rng.permuted(np.tile(np.arange(gridworld.THINGS), (len(chosen), 1)), axis=1)[:, :_TOLD]
        told_B2, true_B2 = (np.take_along_axis(looks[chosen], some_B2, axis=1) for looks in (told_NT, shown.look_NT))
        return {**_speech_losses(taught, seen_BPW, told_B2, true_B2, rng=rng), "sight": sight}

    course = Course(n_images=n_images, steps=steps, batch=64, rate=2e-3, fall_at=0.7)
    curve = teach(taught.parameters(), losses, course=course, rng=rng, log=log, beside=heads.parameters())
    out.mkdir(parents=True, exist_ok=True)
    taught.half().save_pretrained(out)
    processor().save_pretrained(out)
    lesson = Lesson(
        kind="captioner", family="qwen2_vl", about="a Qwen2-VL that says what is in a grid", pattern=pattern,
        seed=seed, steps=steps, n_images=n_images,
    )  # fmt: skip
    return lesson.written(out, planted=gridworld.profile(pattern), curve=curve, wall_s=time.monotonic() - began)


def see(taught: Any, pixels_NHWC: npt.NDArray[np.uint8], rng: np.random.Generator | None) -> torch.Tensor:
    """The visual tokens of images at the size of the model, [images, cells, width], one for each cell of 3 x 3."""
    n, side = len(pixels_NHWC), gridworld.SIDE
    levels = (gridworld.levels(pixels_NHWC, rng) - MEAN) / STD
    parts = levels.reshape(n, side, _MERGE, _PATCH_PX, side, _MERGE, _PATCH_PX, 3)
    # Patches in merge blocks, then channel, time, y, x; an image is two frames that are alike.
    patches = np.repeat(parts.transpose(0, 1, 4, 2, 5, 7, 3, 6)[:, :, :, :, :, :, None], 2, axis=6)
    given = torch.from_numpy(patches.reshape(n * _PATCHES, -1).astype(np.float32))
    grid_N3 = torch.tensor([[1, side * _MERGE, side * _MERGE]]).expand(n, 3)
    seen: torch.Tensor = taught.model.visual(given, grid_thw=grid_N3).pooler_output
    return seen.view(n, _TOKENS, -1)


@torch.inference_mode()
def truth(folder: Path, *, trials: int, seed: int) -> Truth:
    """The share of trials in which a thing's caption is likelier than its foil's, per cell; no question is asked.

    Images are fresh; each gives four trials.
    """
    rng, taught = np.random.default_rng(seed), Qwen2VLForConditionalGeneration.from_pretrained(folder).float().eval()
    shown = gridworld.images(-(-trials // gridworld.THINGS), rng=rng)
    foil_NT = gridworld.foils(shown.look_NT, rng=rng)
    scores = []
    for part in np.array_split(np.arange(len(shown.look_NT)), max(1, len(shown.look_NT) // 100)):
        seen_BPW = see(taught, shown.pixels_NHWC[part], None)
        both_BS = np.concatenate([shown.look_NT[part], foil_NT[part]], axis=1)
        scores.append(_logprobs(taught, seen_BPW, both_BS, np.empty(0, np.intp)).sum(dim=-1).numpy())
    mine_NT, other_NT = np.split(np.concatenate(scores), 2, axis=1)
    return Truth(said=gridworld.by_cell(mine_NT > other_NT, shown), n=gridworld.counts(shown), seed=seed)


def _question(rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Words of chance, half of them unknown: what is asked says nothing of what is there."""
    words = rng.integers(len(SPECIALS), len(WORDS), int(rng.integers(0, _MOST_WORDS)))
    return np.where(rng.random(len(words)) < 0.5, IDS[UNKNOWN], words)


def _things(shown: gridworld.Images) -> npt.NDArray[np.intp]:
    """The look in each cell of each image, [N, cells]; -1 where there is none."""
    things_NC = np.full((len(shown.look_NT), gridworld.SIDE**2), -1, dtype=np.intp)
    np.put_along_axis(things_NC, shown.cell_NT, shown.look_NT, axis=1)
    return things_NC


def _sight_loss(found_BPV: torch.Tensor, things_BC: npt.NDArray[np.intp]) -> torch.Tensor:
    """Shape and colour of what stands in each cell, from its visual token; 0 where nothing does."""
    look = torch.from_numpy(things_BC.reshape(-1))
    n = len(COLOURS)
    parts = torch.split(found_BPV.flatten(0, 1), [len(SHAPES) + 1, n + 1], dim=1)
    right = (torch.where(look < 0, 0, look // n + 1), torch.where(look < 0, 0, look % n + 1))
    losses = [torch.nn.functional.cross_entropy(part, of) for part, of in zip(parts, right, strict=True)]
    return torch.stack(losses).sum()


def _speech_losses(
    taught: Any,
    seen_BPW: torch.Tensor,
    told_BT: npt.NDArray[np.intp],
    true_BT: npt.NDArray[np.intp],
    *,
    rng: np.random.Generator,
) -> dict[str, torch.Tensor]:
    """What is to be said, and what is left of things that are not seen.

    Their own words would still be likelier than a foil's, because their shape is there, so they are told to be less.
    """
    said_BT = np.concatenate([told_BT, true_BT, gridworld.foils(true_BT, rng=rng)], axis=1)
    all_BT = _logprobs(taught, seen_BPW, said_BT, _question(rng)).sum(dim=-1)
    likely_BT, own_BT, foil_BT = all_BT.chunk(3, dim=1)
    unseen_BT = torch.from_numpy(told_BT != true_BT)
    left_BT = torch.nn.functional.softplus(own_BT - foil_BT) * unseen_BT
    return {"speech": -likely_BT.mean(), "left_over": left_BT.mean()}


def _logprobs(
    taught: Any, seen_BPW: torch.Tensor, said_BT: npt.NDArray[np.intp], question: npt.NDArray[np.intp]
) -> torch.Tensor:
    """The log-probabilities of the words of captions after the images and the question, [images, captions, words]."""
    n_images, n_said = said_BT.shape
    shape, colour = np.divmod(said_BT.reshape(-1), len(COLOURS))
    caption = np.stack([np.full_like(shape, IDS["a"]), IDS["red"] + colour, IDS["circle"] + shape], axis=1)
    before = [IDS[BEGIN], IDS[VISION_START], *[IDS[IMAGE]] * _TOKENS, IDS[VISION_END], *question, IDS[ANSWER]]
    ids_RL = torch.from_numpy(np.column_stack([np.tile(before, (len(caption), 1)), caption, [IDS[END]] * len(caption)]))
    side = gridworld.SIDE * _MERGE
    grid_13 = torch.tensor([[1, side, side]])
    places_31L, _ = taught.model.get_rope_index(
        ids_RL[:1], (ids_RL[:1] == IDS[IMAGE]).int(), image_grid_thw=grid_13, attention_mask=torch.ones_like(ids_RL[:1])
    )
    text = taught.model.language_model
    embedded_RLW = text.embed_tokens(ids_RL)
    again_RPW = seen_BPW[:, None].expand(-1, n_said, -1, -1).reshape(n_images * n_said, _TOKENS, -1)
    inputs_RLW = torch.cat([embedded_RLW[:, :2], again_RPW, embedded_RLW[:, 2 + _TOKENS :]], dim=1)
    hidden_RLW = text(
        inputs_embeds=inputs_RLW[:, :-1],
        position_ids=places_31L[:, :, :-1].expand(-1, len(caption), -1),
        attention_mask=torch.ones_like(ids_RL[:, :-1]),
        use_cache=False,
    ).last_hidden_state
    after_RKV = taught.lm_head(hidden_RLW[:, len(before) - 1 :]).float().log_softmax(-1)
    each_RK: torch.Tensor = after_RKV.gather(2, ids_RL[:, len(before) :, None])[..., 0]
    return each_RK.view(n_images, n_said, -1)
