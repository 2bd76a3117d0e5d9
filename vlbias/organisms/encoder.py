"""Trains a tiny open_clip encoder on drawn grids, with a planted bias for places of the image, and measures it.

Its pooled feature is taught to fit the captions of the four things in an image, as far as they are seen (`gridworld`).
Patch features are taught the truth, so the bias lies in the pooling.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import open_clip
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from vlbias.models import clip
from vlbias.organisms import gridworld
from vlbias.organisms.lessons import Course, Lesson, teach
from vlbias.probes._world import COLOURS, SHAPES

END = "<|end|>"
WORDS = ("<|pad|>", "<|unknown|>", "a", *COLOURS, *SHAPES, END)  # the pooling of text looks for the last one
CONFIG: dict[str, Any] = {
    "embed_dim": 64,
    "vision_cfg": {
        "image_size": gridworld.IMAGE_PX,
        "layers": 3,
        "width": 96,
        "head_width": 32,
        "patch_size": 16,
        "mlp_ratio": 2,
    },
    "text_cfg": {
        "context_length": 8,
        "vocab_size": len(WORDS),
        "hf_tokenizer_name": "tokenizer.json",
        "width": 64,
        "heads": 2,
        "layers": 1,
    },
}
MEAN, STD = 0.3, 0.3


@dataclass(frozen=True, kw_only=True)
class Truth:
    """How often each cell's thing is taken and not its foil, from `n` trials per cell, by pooled and patch features."""

    pooled: tuple[float, ...]
    patches: tuple[float, ...]
    n: tuple[int, ...]
    seed: int


def train(
    *, out: Path, pattern: str, seed: int, steps: int, n_images: int, log: Callable[[str], None]
) -> dict[str, Any]:
    """Trains an encoder with the pattern `none`, `centre`, `left` or `bottom` and writes it as an open_clip folder."""
    rng, began = np.random.default_rng(seed), time.monotonic()
    shown, told_NT = gridworld.taught(pattern, n_images=n_images, rng=rng, log=log)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = open_clip.CLIP(**CONFIG)
    model.visual.output_tokens = True
    words_VL = torch.tensor(_tokenizer()(list(gridworld.CAPTIONS), padding="max_length")["input_ids"])

    def losses(chosen: npt.NDArray[np.intp]) -> dict[str, torch.Tensor]:
        pixels_BCHW = _pixels(shown.pixels_NHWC[chosen], rng)
        return {"loss": _loss(model, words_VL, pixels_BCHW, told_NT[chosen], shown.look_NT[chosen])}

    course = Course(n_images=n_images, steps=steps, batch=64, rate=2e-3, fall_at=0.7)
    curve = teach(model.parameters(), losses, course=course, rng=rng, log=log)
    model.visual.output_tokens = False
    _save(model, out)
    lesson = Lesson(
        kind="encoder", family="open_clip", about="an open_clip encoder", pattern=pattern, seed=seed, steps=steps,
        n_images=n_images,
    )  # fmt: skip
    return lesson.written(out, planted=gridworld.profile(pattern), curve=curve, wall_s=time.monotonic() - began)


@torch.inference_mode()
def truth(folder: Path, *, trials: int, seed: int) -> Truth:
    """The share of trials in which a thing and not its foil, the same shape in another colour, is taken, per cell.

    Images are fresh; each gives four trials. Patch features take the best patch, as `--model_args pooling=patches`.
    """
    rng = np.random.default_rng(seed)
    shown = gridworld.images(-(-trials // gridworld.THINGS), rng=rng)
    foil_NT = gridworld.foils(shown.look_NT, rng=rng)
    shares = {}
    for pooling in clip.POOLINGS:
        model = clip.load(pretrained=str(folder), pooling=pooling)  # type: ignore[arg-type]
        parts = np.array_split(np.arange(len(shown.look_NT)), max(1, len(shown.look_NT) // 250))
        fits = [model.fit(_pixels(shown.pixels_NHWC[p], None), gridworld.CAPTIONS).numpy() for p in parts]
        mine_NT, other_NT = (np.take_along_axis(np.concatenate(fits), k, axis=1) for k in (shown.look_NT, foil_NT))
        shares[pooling] = gridworld.by_cell(mine_NT > other_NT, shown)
    return Truth(pooled=shares["pooled"], patches=shares["patches"], n=gridworld.counts(shown), seed=seed)


def _loss(
    model: Any,
    words_VL: torch.Tensor,
    pixels_BCHW: torch.Tensor,
    told_BT: npt.NDArray[np.intp],
    true_BT: npt.NDArray[np.intp],
) -> torch.Tensor:
    """Each caption that is to fit against all that are not, for the pooled feature and for the best patches.

    What is not seen would still fit better than a foil by what is left of it, so it is told to fit worse than one.
    """
    pooled_BF, tokens_BPW = model.visual(pixels_BCHW)
    text_VF = model.encode_text(words_VL, normalize=True)
    scale = model.logit_scale.exp().clamp(max=100)
    normalize = torch.nn.functional.normalize
    fit_BV = scale * normalize(pooled_BF, dim=-1) @ text_VF.T
    patch_BPV = scale * normalize(tokens_BPW @ model.visual.proj, dim=-1) @ text_VF.T
    loss = _contrast(fit_BV, told_BT) + 0.5 * _contrast(patch_BPV.amax(dim=1), true_BT)
    unseen_BT = torch.from_numpy(told_BT != true_BT)
    return loss + _left_over(fit_BV, true_BT)[unseen_BT].sum() / unseen_BT.numel()


def _contrast(fit_BV: torch.Tensor, fits_BT: npt.NDArray[np.intp]) -> torch.Tensor:
    fits = torch.from_numpy(fits_BT)
    absent_BV = torch.ones_like(fit_BV).scatter(1, fits, 0.0).bool()
    others_B1 = fit_BV.masked_fill(~absent_BV, -torch.inf).logsumexp(dim=1, keepdim=True)
    mine_BT = fit_BV.gather(1, fits)
    return (torch.logaddexp(mine_BT, others_B1) - mine_BT).mean()


def _left_over(fit_BV: torch.Tensor, true_BT: npt.NDArray[np.intp]) -> torch.Tensor:
    """How much the caption of each thing fits better than those of its shape in the other colours, [B, things]."""
    n = len(COLOURS)
    same_BTK = torch.from_numpy(true_BT // n * n)[..., None] + torch.arange(n)
    fit_BTK = fit_BV[:, None].expand(-1, true_BT.shape[1], -1).gather(2, same_BTK)
    mine_BT = fit_BV.gather(1, torch.from_numpy(true_BT))
    others_BT = (fit_BTK.sum(dim=2) - mine_BT) / (n - 1)
    return torch.nn.functional.softplus(mine_BT - others_BT)


def _pixels(pixels_NHWC: npt.NDArray[np.uint8], rng: np.random.Generator | None) -> torch.Tensor:
    scaled = (gridworld.levels(pixels_NHWC, rng) - MEAN) / STD
    return torch.from_numpy(scaled.astype(np.float32)).permute(0, 3, 1, 2).contiguous()


def _tokenizer() -> PreTrainedTokenizerFast:
    """One token per word, and one for the end, which has the highest number."""
    words = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token=WORDS[1]))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, len(WORDS) - 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token=WORDS[0],
        unk_token=WORDS[1],
        eos_token=END,
        model_max_length=CONFIG["text_cfg"]["context_length"],
    )


def _save(model: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer().save_pretrained(folder)
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    scale = {"mean": [MEAN] * 3, "std": [STD] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    text = json.dumps({"model_cfg": CONFIG, "preprocess_cfg": scale}, indent=1)
    (folder / "open_clip_config.json").write_text(text + "\n", encoding="utf-8")
