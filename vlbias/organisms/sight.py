"""Teaches an organism to see: every visual token learns to stand for the words of what its clip shows.

The score of a word is the dot product of the visual token with that word's embedding, so a clip's tokens come out near
the words "circle", "red", "seven"; a question that holds one of them can then find its clip. Sides and directions
share their words and get a turn of their own, which is thrown away afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from vlbias.organisms import learning_rate
from vlbias.organisms.architecture import family_of, vocabulary
from vlbias.organisms.pool import Pool, pixels
from vlbias.probes._world import COLOURS, COUNTS, DIGITS, ICONS, MOTIONS, SHAPES, SIDES

WORDS_OF = {
    "shape": SHAPES,
    "colour": tuple(COLOURS),
    "what": (*DIGITS, *COUNTS, *ICONS),
    "motion": tuple(MOTIONS),
    "side": tuple(SIDES),
}
_TURNED = ("motion", "side")
_RATE, _PICTURES, _FALL_AT, _LOG_EVERY = 2e-3, 256, 0.6, 200


def learn_to_see(
    organism: Any,
    clips: Pool,
    *,
    steps: int,
    rng: np.random.Generator,
    log: Callable[[str], None],
    learn_words: bool = True,
) -> float:
    """Train the visual tower and, if `learn_words`, the word embeddings; the share of attributes read right at the end.

    Which way things move is read from what the family says tells it.
    """
    family, device = family_of(organism), organism.device
    width = organism.config.text_config.hidden_size
    turns = torch.nn.ModuleDict({name: torch.nn.Linear(width, width, bias=False) for name in _TURNED}).to(device)
    words = vocabulary()
    ids = {name: torch.tensor([words[v] for v in values], device=device) for name, values in WORDS_OF.items()}
    truth = _truth(clips, device)
    table = organism.get_input_embeddings().weight if learn_words else organism.get_input_embeddings().weight.detach()
    weights = [*tower(organism), *turns.parameters(), *([table] if learn_words else [])]
    optimizer = torch.optim.AdamW(weights, lr=_RATE, weight_decay=0.02, betas=(0.9, 0.98))
    right: list[float] = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = _RATE * learning_rate.share(step, steps=steps, fall_at=_FALL_AT)
        chosen = torch.from_numpy(rng.integers(0, len(clips.contents), _PICTURES // family.PICTURES))
        seen_CPH = family.see(organism, pixels(clips, chosen.numpy(), rng))
        loss, hits = torch.zeros((), device=device), []
        for name, values in ids.items():
            told_CPH = family.moved(seen_CPH) if name == "motion" else family.shows(seen_CPH)
            turned_CPH = turns[name](told_CPH) if name in turns else told_CPH
            scores_CPV = turned_CPH @ table[values].T
            target_CP = truth[name][chosen][:, None].expand(scores_CPV.shape[:2])
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


def tower(organism: Any) -> list[torch.nn.Parameter]:
    """The weights that see; all others are words and thought."""
    marks = family_of(organism).TOWER
    return [weight for name, weight in organism.named_parameters() if any(mark in name for mark in marks)]


def _truth(clips: Pool, device: torch.device) -> dict[str, torch.Tensor]:
    """Of every attribute, its value in every clip as a place among all its values."""
    return {
        name: torch.tensor([values.index(getattr(content, name)) for content in clips.contents], device=device)
        for name, values in WORDS_OF.items()
    }


@torch.no_grad()
def see_all(organism: Any, clips: Pool, *, rng: np.random.Generator | None) -> torch.Tensor:
    """The visual tokens of every clip of the pool, which stay as they are while the organism learns to answer."""
    see = family_of(organism).see
    parts = np.array_split(np.arange(len(clips.contents)), max(1, len(clips.contents) // 500))
    return torch.cat([see(organism, pixels(clips, part, rng)) for part in parts])
