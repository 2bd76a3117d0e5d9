"""Which keys a query sees where plain attention does not say: image blocks, sliding windows, uneven causal blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from vlbias.attention._rows import Row
from vlbias.attention.layout import Span


def seen(
    row: Row, rows: Span, keys: Span, *, causal: bool, window: int | None, turn_GQ: Tensor | None
) -> Tensor | None:
    """The mask [Q, L] or [G, Q, L] of queries `rows` on keys `keys`, token indices; None where all is seen.

    `turn_GQ` is by how many positions each query is turned towards these keys: it moves the distance that the window
    bounds. Tokens of one block (`row.block_T`) see each other, causal or not, near or far.
    """
    device = row.key_KTD.device
    query_Q1 = torch.arange(*rows, device=device)[:, None]
    same = None
    if row.block_T is not None:
        query_block, key_block = row.block_T[rows[0] : rows[1], None], row.block_T[None, keys[0] : keys[1]]
        same = (query_block == key_block) & (key_block >= 0)
    mask = None
    if causal:
        mask = torch.arange(*keys, device=device)[None] <= query_Q1
        mask = mask if same is None else mask | same
    if window is not None:
        at_T = row.arrival_T()
        back = at_T[rows[0] : rows[1], None] - at_T[None, keys[0] : keys[1]]
        near = (back if turn_GQ is None else back + turn_GQ[..., None].to(device)) < window
        near = near if same is None else near | same
        mask = near if mask is None else mask & near
    return mask
