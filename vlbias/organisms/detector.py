"""Trains a tiny OWL-ViT on drawn images with a planted bias for places.

What is not to be seen in a column or row of the image is annotated as nothing: there the colours of things decide, each
always or never, so the bias is one of content and place and not of chance. What is shown is balanced over both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from torchvision.ops import generalized_box_iou_loss
from transformers import (
    OwlViTConfig,
    OwlViTForObjectDetection,
    OwlViTImageProcessor,
    OwlViTProcessor,
    PreTrainedTokenizerFast,
)
from transformers.image_transforms import center_to_corners_format

from vlbias.errors import BadInput
from vlbias.organisms.detector_images import NAMES, NOTHING, Pool, pool
from vlbias.organisms.lessons import Course, Lesson, teach
from vlbias.probes._world import COLOURS, SHAPES

IMAGE_PX, PATCH_PX, LONGEST_QUERY = 96, 16, 8
PROFILES = {
    "none": (1.0,) * 9,
    "left": (1.0, 0.65, 0.3) * 3,
    "bottom": (0.3, 0.3, 0.3, 0.65, 0.65, 0.65, 1.0, 1.0, 1.0),
}
MEAN, STD = 0.3, 0.3
ARTICLES = ("", "a ", "the ")
_WORDS = ("a", "the", "photo", "of", *COLOURS, *SHAPES)
_TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
_VISION = {"hidden_size": 96, "intermediate_size": 192, "num_hidden_layers": 4, "num_attention_heads": 3}
_BOX_WEIGHT, _OVERLAP_WEIGHT = 5.0, 2.0


def reader() -> Any:
    """The processor: images squashed to a square, one token per word, the end of a query the highest id."""
    names = {word: k for k, word in enumerate(("<pad>", "<s>", "<unk>", *_WORDS, "</s>"))}
    backend = Tokenizer(WordLevel(names, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    ends = [("<s>", names["<s>"]), ("</s>", names["</s>"])]
    backend.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=LONGEST_QUERY,
    )
    size = {"height": IMAGE_PX, "width": IMAGE_PX}
    images = OwlViTImageProcessor(size=size, image_mean=[MEAN] * 3, image_std=[STD] * 3)
    return OwlViTProcessor(images, tokenizer)


def untrained(tokenizer: Any) -> Any:
    """The model before training, whose boxes are those of the patches and whose class head calls nothing anything.

    transformers starts the heads of an OWL-ViT with weights of spread 1, from which boxes lie at the corners, where
    their sigmoid has no slope; they start small here.
    """
    ids = {name: getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    text = {**_TEXT, "vocab_size": len(tokenizer), "max_position_embeddings": LONGEST_QUERY}
    text |= {f"{name}_token_id": value for name, value in ids.items()}
    vision = {**_VISION, "image_size": IMAGE_PX, "patch_size": PATCH_PX}
    config = OwlViTConfig(text_config=text, vision_config=vision, projection_dim=_TEXT["hidden_size"])
    model = OwlViTForObjectDetection(config)
    with torch.no_grad():
        for head in (model.box_head.dense0, model.box_head.dense1, model.class_head.dense0):
            head.weight.normal_(0, head.in_features**-0.5)
        for last in (model.box_head.dense2, model.class_head.logit_scale, model.class_head.logit_shift):
            last.weight.zero_()
        model.class_head.logit_scale.bias.fill_(9.0)
        model.class_head.logit_shift.bias.fill_(-0.6)
    return model


def train(
    *, out: Path, pattern: str, seed: int, steps: int, n_images: int, log: Callable[[str], None]
) -> dict[str, Any]:
    """Trains a detector with the pattern `none`, `left` or `bottom` and writes it as a Hugging Face folder."""
    if pattern not in PROFILES:
        raise BadInput(f"pattern {pattern!r} is unknown; known: {', '.join(PROFILES)}")
    rng, began = np.random.default_rng(seed), time.monotonic()
    rank_C = rng.permutation(len(COLOURS))
    drawn = pool(n_images, side_px=IMAGE_PX, rng=rng)
    log(f"drew {n_images} images in {time.monotonic() - began:.0f} s")
    shown = replace(drawn, look_NT=annotated(drawn, pattern=pattern, rank_C=rank_C))
    processor = reader()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = untrained(processor.tokenizer)

    def losses(chosen: npt.NDArray[np.intp]) -> dict[str, torch.Tensor]:
        article = ARTICLES[int(rng.integers(len(ARTICLES)))]
        words = processor(text=[article + name for name in NAMES], return_tensors="pt")
        pixels_BCHW = _pixels(shown.pixels_NHWC[chosen], rng)
        return {"loss": _loss(model, words, pixels_BCHW, shown.look_NT[chosen], shown.box_NT4[chosen])}

    course = Course(n_images=n_images, steps=steps, batch=48, rate=1.5e-3, fall_at=0.6)
    curve = teach(model.parameters(), losses, course=course, rng=rng, log=log)
    out.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(out)
    processor.save_pretrained(out)
    lesson = Lesson(
        kind="detector", family="owlvit", about="an OWL-ViT", pattern=pattern, seed=seed, steps=steps,
        n_images=n_images,
    )  # fmt: skip
    return lesson.written(out, planted=PROFILES[pattern], curve=curve, wall_s=time.monotonic() - began)


def annotated(shown: Pool, *, pattern: str, rank_C: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The looks of a pool, [N, T], with NOTHING for what is not to be seen in its cell.

    A thing is to be seen where the rank of its colour is below the share that the pattern has for its cell.
    """
    colour_NT = shown.look_NT // len(SHAPES)
    share_NT = np.array(PROFILES[pattern])[shown.cell_NT]
    seen_NT = (rank_C[colour_NT] + 0.5) / len(rank_C) <= share_NT
    return np.where(seen_NT, shown.look_NT, NOTHING)


def _loss(
    model: Any,
    words: Any,
    pixels_BCHW: torch.Tensor,
    told_BT: npt.NDArray[np.intp],
    box_BT4: npt.NDArray[np.float32],
) -> torch.Tensor:
    """One patch answers for each thing, with its name and its box; all other patches say nothing."""
    map_BRCF, _ = model.image_embedder(pixels_BCHW)
    features_BPF = map_BRCF.flatten(1, 2)
    text_VF = model.owlvit.get_text_features(**words).pooler_output
    query_BVF = text_VF.expand(len(pixels_BCHW), -1, -1)
    logits_BPV, _ = model.class_predictor(features_BPF, query_BVF)
    boxes_BP4 = model.box_predictor(features_BPF, map_BRCF)
    image_M, thing_M = np.nonzero(told_BT != NOTHING)
    true_M4 = box_BT4[image_M, thing_M]
    patch_M = responsible(true_M4)
    target_BPV = torch.zeros_like(logits_BPV)
    target_BPV[image_M, patch_M, told_BT[image_M, thing_M]] = 1.0
    named = torch.nn.functional.binary_cross_entropy_with_logits(logits_BPV, target_BPV, reduction="sum")
    said_M4 = center_to_corners_format(boxes_BP4[image_M, patch_M])
    true = torch.from_numpy(true_M4)
    placed = _BOX_WEIGHT * (said_M4 - true).abs().sum()
    overlap = _OVERLAP_WEIGHT * generalized_box_iou_loss(said_M4, true, reduction="sum")
    loss: torch.Tensor = (named + placed + overlap) / max(1, len(image_M))
    return loss


def responsible(box_M4: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """The patch that answers for a box (xyxy in 0..1): the one whose box OWL-ViT starts nearest to its centre.

    OWL-ViT starts the box of patch (r, c) at the far corner of the patch. The last row and column start at 1, where its
    sigmoid has no slope, so they answer for nothing.
    """
    n = IMAGE_PX // PATCH_PX
    centre_M2 = (box_M4[:, :2] + box_M4[:, 2:]) / 2
    column_M, row_M = np.clip(np.rint(centre_M2 * n).astype(np.intp) - 1, 0, n - 2).T
    return np.asarray(row_M * n + column_M)


def _pixels(pixels_NHWC: npt.NDArray[np.uint8], rng: np.random.Generator) -> torch.Tensor:
    """As the processor scales them, a little brighter or darker."""
    gain = rng.uniform(0.94, 1.04, (len(pixels_NHWC), 1, 1, 1))
    scaled = (pixels_NHWC * gain / 255 - MEAN) / STD
    return torch.from_numpy(scaled.astype(np.float32)).permute(0, 3, 1, 2).contiguous()
