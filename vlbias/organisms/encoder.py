"""Trains a tiny open_clip encoder on drawn grids, with a planted bias for places of the image, and measures it.

Its pooled feature is taught to fit the captions of the four things in an image. In a cell where a thing is not to be
seen, the caption of another colour takes its place, so the bias is one of decisions. Patch features are taught the
truth, so the bias lies in the pooling. All is content and place; what is shown is balanced over both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import open_clip
import torch
from safetensors.torch import save_file

from vlbias.errors import BadInput
from vlbias.models import clip
from vlbias.organisms import learning_rate, manifest
from vlbias.probes._cells import Grid, sprite, still
from vlbias.probes._world import COLOURS, SHAPES
from vlbias.videos import draw

SIDE, THINGS, IMAGE_PX, DRAWN_PX = 3, 4, 96, 192
LOOKS = tuple((shape, colour) for shape in SHAPES for colour in COLOURS)
CAPTIONS = tuple(f"a {colour} {shape}" for shape, colour in LOOKS)
PROFILES = {
    "none": (1.0,) * 9,
    "centre": (0.3, 0.55, 0.3, 0.55, 1.0, 0.55, 0.3, 0.55, 0.3),
    "left": (1.0, 0.65, 0.3) * 3,
    "bottom": (0.3, 0.3, 0.3, 0.65, 0.65, 0.65, 1.0, 1.0, 1.0),
}
CONFIG: dict[str, Any] = {
    "embed_dim": 48,
    "vision_cfg": {
        "image_size": IMAGE_PX,
        "layers": 3,
        "width": 96,
        "head_width": 32,
        "patch_size": 16,
        "mlp_ratio": 2,
    },
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 20, "heads": 2, "layers": 1},
}
MEAN, STD = 0.3, 0.3
_RATE, _BATCH, _LOG_EVERY = 1e-3, 64, 100


@dataclass(frozen=True, kw_only=True)
class Images:
    """Drawn images with what stands where: [N, H, W, 3], and for each thing its look and its cell, [N, things]."""

    pixels_NHWC: npt.NDArray[np.uint8]
    look_NT: npt.NDArray[np.intp]
    cell_NT: npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """How often each cell's thing is taken and not its foil, from `n` trials per cell, by pooled and patch features."""

    pooled: tuple[float, ...]
    patches: tuple[float, ...]
    n: tuple[int, ...]
    seed: int


def images(n: int, *, rng: np.random.Generator) -> Images:
    """`n` images of four things in different cells of 3 x 3; no two share a shape or a colour."""
    pixels, looks, cells = [], [], []
    for _ in range(n):
        shift = tuple(int(v) for v in rng.integers(-4, 5, 2))
        grid = Grid(rows=SIDE, columns=SIDE, size_px=(DRAWN_PX, DRAWN_PX), shift_px=(shift[0], shift[1]))
        shapes, colours = (rng.permutation(12)[:THINGS] for _ in range(2))
        places = rng.permutation(SIDE**2)[:THINGS]
        names = [(SHAPES[int(s)], list(COLOURS)[int(c)]) for s, c in zip(shapes, colours, strict=True)]
        things = tuple(sprite(*name, grid, int(place)) for name, place in zip(names, places, strict=True))
        drawn_HWC = draw.snapshots(still(things, grid, rng=rng), (0.5,))[0]
        pixels.append(_as_decoded(drawn_HWC, rng))
        looks.append([LOOKS.index(name) for name in names])
        cells.append(places)
    return Images(pixels_NHWC=np.stack(pixels), look_NT=np.array(looks), cell_NT=np.array(cells))


def train(
    *, out: Path, pattern: str, seed: int, steps: int, n_images: int, log: Callable[[str], None]
) -> dict[str, Any]:
    """Trains an encoder with the pattern `none`, `centre`, `left` or `bottom` and writes it as an open_clip folder."""
    if pattern not in PROFILES:
        raise BadInput(f"pattern {pattern!r} is unknown; known: {', '.join(PROFILES)}")
    rng, began = np.random.default_rng(seed), time.monotonic()
    threshold_V = (rng.permutation(len(LOOKS)) + 0.5) / len(LOOKS)
    instead_V = _other_colours(rng)
    shown = images(n_images, rng=rng)
    log(f"drew {n_images} images in {time.monotonic() - began:.0f} s")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = open_clip.CLIP(**CONFIG)
    model.visual.output_tokens = True
    words = open_clip.SimpleTokenizer(context_length=CONFIG["text_cfg"]["context_length"])(list(CAPTIONS))
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.02, betas=(0.9, 0.98))
    seen_NT = threshold_V[shown.look_NT] <= np.array(PROFILES[pattern])[shown.cell_NT]
    told_NT = np.where(seen_NT, shown.look_NT, instead_V[shown.look_NT])
    curve: list[dict[str, float]] = []
    losses: list[float] = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * learning_rate.share(step, steps=steps, fall_at=0.7)
        chosen = rng.integers(0, n_images, _BATCH)
        loss = _loss(model, words, _pixels(shown.pixels_NHWC[chosen], rng), told_NT[chosen], shown.look_NT[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
        if step % _LOG_EVERY == _LOG_EVERY - 1:
            curve.append({"step": step + 1, "loss": float(np.mean(losses)), "wall_s": time.monotonic() - began})
            log(f"step {step + 1} of {steps}, loss {np.mean(losses):.3f}, {time.monotonic() - began:.0f} s")
            losses.clear()
    model.visual.output_tokens = False
    _save(model, out)
    about = {
        "about": f"an open_clip encoder, planted pattern {pattern}",
        "family": "open_clip",
        "command": f"vlbias encoder train -o {out.name} --pattern {pattern} --seed {seed} --steps {steps} "
        f"--images {n_images}",
        "planted_cells": PROFILES[pattern],
        "curve": curve,
        "wall_s": time.monotonic() - began,
        "seed": seed,
    }
    manifest.write(out, about)
    return about


@torch.inference_mode()
def truth(folder: Path, *, trials: int, seed: int) -> Truth:
    """The share of trials in which a thing and not its foil, the same shape in another colour, is taken, per cell.

    Images are fresh; each gives four trials. Patch features take the best patch, as `--model_args pooling=patches`.
    """
    rng = np.random.default_rng(seed)
    shown = images(-(-trials // THINGS), rng=rng)
    foil_NT = np.stack([[_foil(look, rng) for look in row] for row in shown.look_NT])
    right = {}
    for pooling in clip.POOLINGS:
        model = clip.load(pretrained=str(folder), pooling=pooling)  # type: ignore[arg-type]
        parts = np.array_split(np.arange(len(shown.look_NT)), max(1, len(shown.look_NT) // 250))
        fit_NV = np.concatenate([model.fit(_pixels(shown.pixels_NHWC[p], None), CAPTIONS).numpy() for p in parts])
        mine_NT, other_NT = (np.take_along_axis(fit_NV, looks, axis=1) for looks in (shown.look_NT, foil_NT))
        right[pooling] = mine_NT > other_NT
    cells = shown.cell_NT.ravel()
    shares = {p: tuple(float(r.ravel()[cells == c].mean()) for c in range(SIDE**2)) for p, r in right.items()}
    counts = tuple(int(c) for c in np.bincount(cells, minlength=SIDE**2))
    return Truth(pooled=shares["pooled"], patches=shares["patches"], n=counts, seed=seed)


def _loss(
    model: Any,
    words_VL: torch.Tensor,
    pixels_BCHW: torch.Tensor,
    told_BT: npt.NDArray[np.intp],
    true_BT: npt.NDArray[np.intp],
) -> torch.Tensor:
    """Each caption that is to fit against all that are not, for the pooled feature and for the best patches."""
    pooled_BF, tokens_BPW = model.visual(pixels_BCHW)
    text_VF = model.encode_text(words_VL, normalize=True)
    scale = model.logit_scale.exp().clamp(max=100)
    normalize = torch.nn.functional.normalize
    fit_BV = scale * normalize(pooled_BF, dim=-1) @ text_VF.T
    patch_BPV = scale * normalize(tokens_BPW @ model.visual.proj, dim=-1) @ text_VF.T
    return _contrast(fit_BV, told_BT) + 0.5 * _contrast(patch_BPV.amax(dim=1), true_BT)


def _contrast(fit_BV: torch.Tensor, fits_BT: npt.NDArray[np.intp]) -> torch.Tensor:
    fits = torch.from_numpy(fits_BT)
    absent_BV = torch.ones_like(fit_BV).scatter(1, fits, 0.0).bool()
    others_B1 = fit_BV.masked_fill(~absent_BV, -torch.inf).logsumexp(dim=1, keepdim=True)
    mine_BT = fit_BV.gather(1, fits)
    return (torch.logaddexp(mine_BT, others_B1) - mine_BT).mean()


def _other_colours(rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """For each look the look of the same shape for which it is taken where it is not seen."""
    turned = [int(rng.integers(1, len(COLOURS))) for _ in LOOKS]
    n = len(COLOURS)
    return np.array([k // n * n + (k % n + turn) % n for k, turn in enumerate(turned)])


def _foil(look: int, rng: np.random.Generator) -> int:
    n = len(COLOURS)
    return int(look // n * n + (look % n + rng.integers(1, n)) % n)


def _pixels(pixels_NHWC: npt.NDArray[np.uint8], rng: np.random.Generator | None) -> torch.Tensor:
    gain = np.ones((len(pixels_NHWC), 1, 1, 1)) if rng is None else rng.uniform(0.94, 1.04, (len(pixels_NHWC), 1, 1, 1))
    scaled = (pixels_NHWC * gain / 255 - MEAN) / STD
    return torch.from_numpy(scaled.astype(np.float32)).permute(0, 3, 1, 2).contiguous()


def _as_decoded(image_HWC: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """The image at the encoder's size, with colours at half resolution, as 4:2:0 video has them, and some noise."""
    luma_HWC = cv2.cvtColor(image_HWC, cv2.COLOR_RGB2YCrCb)
    half = cv2.resize(luma_HWC[:, :, 1:], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    luma_HWC[:, :, 1:] = cv2.resize(half, luma_HWC.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    small = cv2.resize(cv2.cvtColor(luma_HWC, cv2.COLOR_YCrCb2RGB), (IMAGE_PX,) * 2, interpolation=cv2.INTER_AREA)
    decoded: npt.NDArray[np.uint8] = np.clip(np.rint(small + rng.normal(0, 2, small.shape)), 0, 255).astype(np.uint8)
    return decoded


def _save(model: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    scale = {"mean": [MEAN] * 3, "std": [STD] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    text = json.dumps({"model_cfg": CONFIG, "preprocess_cfg": scale}, indent=1)
    (folder / "open_clip_config.json").write_text(text + "\n", encoding="utf-8")


def written(folder: Path, found: Truth) -> None:
    """Writes the truth about an encoder into its manifest."""
    manifest.write(folder, {**manifest.read(folder), "measured": asdict(found)})
