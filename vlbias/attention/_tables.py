"""Entries as the small tables that a kernel reads: the stretch of every query, what it sees, by how much it turns.

Axes: C stretches of the row (prefix, segments, suffix), U different turns, F = D / 2 pairs of features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vlbias.attention._rows import Row
from vlbias.attention.contract import Rotation
from vlbias.attention.entries import RegionEntries, SuffixEntries


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables:
    """`edge_C` has C + 1 token indices. `bias_CC` is minus infinity where a query stretch does not see a key stretch.

    `phase_GQC` is the line of `cos_UF` and `sin_UF` by which a query turns towards a key stretch. A query sees its own
    stretch causally.
    """

    edge_C: Tensor
    stretch_Q: Tensor
    bias_CC: Tensor
    phase_GQC: Tensor
    cos_UF: Tensor
    sin_UF: Tensor


def tables(row: Row, region: RegionEntries | None, suffix: SuffixEntries | None, rotation: Rotation) -> Tables:
    """The tables of one row."""
    device = row.key_KTD.device
    edges = [0, *(s.start for s in row.layout.segments), row.layout.region[1], row.n_tokens]
    edge_C = torch.tensor(edges, device=device)
    token_Q = torch.arange(row.first, row.n_tokens, device=device)
    stretch_Q = torch.bucketize(token_Q, edge_C[1:-1], right=True)
    turns_U, phase_GQC = torch.unique(_turns(row, region, suffix, stretch_Q), return_inverse=True)
    angle_UF = turns_U[:, None].double() * rotation.inv_freq_F.to(device).double()
    still = angle_UF.new_zeros(angle_UF.shape[0], row.key_KTD.shape[-1] // 2 - angle_UF.shape[1])
    angle_UF = torch.cat((angle_UF, still), dim=1)
    return Tables(
        edge_C=edge_C.int(),
        stretch_Q=stretch_Q.int(),
        bias_CC=_bias(row.layout.n_segments, region).to(device),
        phase_GQC=phase_GQC.int(),
        cos_UF=angle_UF.cos().float(),
        sin_UF=angle_UF.sin().float(),
    )


def halves(x_HTD: Tensor, rotation: Rotation) -> Tensor:
    """Features put so that feature f turns with feature f + D / 2; as it is where the model has it so."""
    width = 2 * rotation.inv_freq_F.shape[0]
    if rotation.pairing == "half" and width == x_HTD.shape[-1]:
        return x_HTD
    rest_a, rest_b = x_HTD[..., width:].chunk(2, dim=-1)
    if rotation.pairing == "half":
        first, second = x_HTD[..., :width].chunk(2, dim=-1)
    else:
        first, second = x_HTD[..., 0:width:2], x_HTD[..., 1:width:2]
    return torch.cat((first, rest_a, second, rest_b), dim=-1)


def _bias(n_segments: int, region: RegionEntries | None) -> Tensor:
    bias_CC = torch.full((n_segments + 2, n_segments + 2), -torch.inf)
    bias_CC[:, 0] = 0.0
    bias_CC[-1] = 0.0
    if region is not None:
        seen_SS = region.seen_SS | torch.eye(n_segments, dtype=torch.bool)
        bias_CC[1:-1, 1:-1] = region.bias_SS.float().masked_fill(~seen_SS, -torch.inf)
    return bias_CC


def _turns(row: Row, region: RegionEntries | None, suffix: SuffixEntries | None, stretch_Q: Tensor) -> Tensor:
    """By how many positions every query turns towards every stretch, [G, Q, C]."""
    n_segments, device = row.layout.n_segments, stretch_Q.device
    n_heads = max(1 if region is None else region.turn_GSS.shape[0], 1 if suffix is None else suffix.turn_GMS.shape[0])
    turn_GQC = torch.zeros(n_heads, stretch_Q.shape[0], n_segments + 2, dtype=torch.long, device=device)
    if region is not None:
        inside_Q = (stretch_Q > 0) & (stretch_Q <= n_segments)
        own_Q = stretch_Q[inside_Q] - 1
        turn_GQC[:, inside_Q, 0] = region.prefix_turn_S.to(device)[own_Q]
        turn_GQC[:, inside_Q, 1:-1] = region.turn_GSS.to(device)[:, own_Q]
    if suffix is not None:
        after = slice(row.suffix_first - row.first, None)
        turn_GQC[:, after, 0] = suffix.prefix_turn
        turn_GQC[:, after, 1:-1] = suffix.turn_GMS.to(device)
    return turn_GQC
