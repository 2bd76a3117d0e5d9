"""The two rules for the position after a vision block in Qwen2-VL and Qwen2.5-VL."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from vlbias.errors import ModelError

RULES = ("hf", "official")
FAMILIES = ("qwen2_vl", "qwen2_5_vl")


def official_positions(
    positions_3BL: torch.Tensor, types_BL: torch.Tensor, mask_BL: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions by Qwen's own rule, from those by transformers' rule, and the delta of the first new token, [B, 1].

    Every run of one token type starts at 1 + the largest position so far over all three axes. transformers goes on
    after a vision block by the larger of its height and width alone, so a long clip's times overlap what follows.
    Source: QwenLM/Qwen3-VL, qwen-vl-finetune, rope2d.py. Padding keeps the position that it had.
    """
    moved_3BL = positions_3BL.clone()
    deltas = []
    for row in range(types_BL.shape[0]):
        keep = mask_BL[row].bool()
        types, old_3L = types_BL[row][keep].tolist(), positions_3BL[:, row, keep]
        new_3L, start, following = old_3L.clone(), 0, 0
        for _, run in itertools.groupby(types):
            end = start + len(list(run))
            new_3L[:, start:end] = old_3L[:, start:end] - old_3L[:, start].min() + following
            following = int(new_3L[:, start:end].max()) + 1
            start = end
        moved_3BL[:, row, keep] = new_3L
        deltas.append([following - len(types)])
    return moved_3BL, torch.tensor(deltas, device=positions_3BL.device)


def apply_rule(model: Any, rule: str) -> None:
    """Makes `model`, just loaded and owned by the caller, follow `rule`; "hf" leaves it as it is.

    The rule takes the place of the model's own `get_rope_index`, so scores and generated text follow the same one.
    Raises ModelError for a family whose clips do not differ between the rules.
    """
    if rule == "hf":
        return
    family = model.config.model_type
    if family not in FAMILIES:
        raise ModelError(f"hf: position_rule=official is for {' and '.join(FAMILIES)}, found {family}; use hf")
    original = model.model.get_rope_index

    def get_rope_index(
        input_ids: torch.Tensor,
        mm_token_type_ids: torch.Tensor,
        *grids: Any,
        attention_mask: torch.Tensor | None = None,
        **rest: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        positions, _ = original(input_ids, mm_token_type_ids, *grids, attention_mask=attention_mask, **rest)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        return official_positions(positions, mm_token_type_ids, mask)

    model.model.get_rope_index = get_rope_index
