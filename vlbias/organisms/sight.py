"""Teaches an organism to see: every visual token learns to stand for the words of what its clip shows.

The score of a word is the dot product of the visual token with that word's embedding, so a clip's tokens come out near
the words "circle", "red", "seven"; a question that holds one of them can then find its clip. Sides and directions
share their words and get a turn of their own, which is thrown away afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from vlbias.organisms.architecture import PATCH_PX, SIDE_PX, TOKENS_PER_SEGMENT, vocabulary
from vlbias.organisms.pool import Pool, pixels
from vlbias.probes._world import COLOURS, COUNTS, DIGITS, ICONS, MOTIONS, SHAPES, SIDES

PATCHES = (SIDE_PX // PATCH_PX) ** 2
WORDS_OF = {
    "shape": SHAPES,
    "colour": tuple(COLOURS),
    "what": (*DIGITS, *COUNTS, *ICONS),
    "motion": tuple(MOTIONS),
    "side": tuple(SIDES),
}
_TURNED = ("motion", "side")
_RATE, _BATCH, _WARM_UP_STEPS, _FALL_AT, _LOG_EVERY = 2e-3, 256, 100, 0.6, 200


def learn_to_see(
    organism: Any, clips: Pool, *, steps: int, rng: np.random.Generator, log: Callable[[str], None]
) -> float:
    """Train the visual tower and the word embeddings; the share of attributes read right over the last steps."""
    device = organism.device
    width = organism.config.text_config.hidden_size
    turns = torch.nn.ModuleDict({name: torch.nn.Linear(width, width, bias=False) for name in _TURNED}).to(device)
    words = vocabulary()
    ids = {name: torch.tensor([words[v] for v in values], device=device) for name, values in WORDS_OF.items()}
    truth = {
        name: torch.tensor([values.index(getattr(c, name)) for c in clips.contents], device=device)
        for name, values in WORDS_OF.items()
    }
    table = organism.get_input_embeddings().weight
    weights = [*organism.model.visual.parameters(), table, *turns.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=_RATE, weight_decay=0.02, betas=(0.9, 0.98))
    right: list[float] = []
    with whole_frames(organism):
        for step in range(steps):
            fall = max(0.0, (step / steps - _FALL_AT) / (1 - _FALL_AT))
            for group in optimizer.param_groups:
                group["lr"] = _RATE * min(1.0, (step + 1) / _WARM_UP_STEPS) * (1 - 0.95 * fall)
            chosen = torch.from_numpy(rng.integers(0, len(clips.contents), _BATCH))
            seen_CPH = see(organism, pixels(clips, chosen.numpy(), rng))
            loss, hits = torch.zeros((), device=device), []
            for name, values in ids.items():
                turned_CPH = turns[name](seen_CPH) if name in turns else seen_CPH
                scores_CPV = turned_CPH @ table[values].T
                target_CP = truth[name][chosen][:, None].expand(-1, TOKENS_PER_SEGMENT)
                loss = loss + torch.nn.functional.cross_entropy(scores_CPV.flatten(0, 1), target_CP.flatten())
                hits.append((scores_CPV.argmax(-1) == target_CP).float().mean())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            right.append(float(torch.stack(hits).mean()))
            if step % _LOG_EVERY == _LOG_EVERY - 1:
                log(f"seeing: step {step + 1} of {steps}, {np.mean(right[-_LOG_EVERY:]):.3f} of what is shown is read")
    return float(np.mean(right[-_LOG_EVERY:]))


def see(organism: Any, pixels_PV: torch.Tensor) -> torch.Tensor:
    """The visual tokens of clips of two frames: [clip, token, width]."""
    n = len(pixels_PV) // PATCHES
    side = SIDE_PX // PATCH_PX
    grid_C3 = torch.tensor([[1, side, side]], device=organism.device).expand(n, 3)
    given = organism.model.visual(
        pixels_PV.to(organism.device),
        grid_thw=grid_C3,
        cu_seqlens=torch.tensor([0, len(pixels_PV)], dtype=torch.int32, device=organism.device),
        max_seqlen=len(pixels_PV),
    )
    seen_CPH: torch.Tensor = given.pooler_output.view(n, TOKENS_PER_SEGMENT, -1)
    return seen_CPH


@torch.no_grad()
def see_all(organism: Any, clips: Pool, *, rng: np.random.Generator | None) -> torch.Tensor:
    """The visual tokens of every clip of the pool, which stay as they are while the organism learns to answer."""
    with whole_frames(organism):
        parts = np.array_split(np.arange(len(clips.contents)), max(1, len(clips.contents) // 500))
        return torch.cat([see(organism, pixels(clips, part, rng)) for part in parts])


@contextmanager
def whole_frames(organism: Any) -> Iterator[None]:
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
        return x_1HLD.view(heads, length // PATCHES, PATCHES, width).transpose(0, 1)

    mixed_CHPD = torch.nn.functional.scaled_dot_product_attention(
        clipwise(query_1HLD), clipwise(key_1HLD), clipwise(value_1HLD), scale=how["scaling"]
    )
    return mixed_CHPD.permute(0, 2, 1, 3).reshape(1, length, heads, width), None
