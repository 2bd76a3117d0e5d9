"""What an engine takes and gives: the one contract of the oracle (`formula`), of PyTorch (`partials`) and of Triton.

How a patch uses it. At every layer the attention function of the model holds rotated queries and keys. It hands them
over as `Heads`, with the `SegmentLayout` of every row, and takes back what `softmax(QK)V` would have given:

    out_BHQD = partials.attend(heads, layouts, rotation=rotation, rule=Pine(), score=Score(scale=module.scaling))

Prefill, a question after a cached region, and decoding are one call: the queries are the last Q of the L tokens. A call
holds all the tokens of the region among its queries or none of them. Rows whose layout has one segment need no engine:
the patch leaves such a batch to the model's own attention, so that it stays bitwise what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor

from vlbias.attention.layout import SegmentLayout

Pairing = Literal["half", "adjacent"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rotation:
    """How a model turns queries and keys by position: enough to turn them further by a shift of all axes at once.

    `inv_freq_F` are the angles per position. `pairing` says which features turn together: "half" (feature f with
    f + F, as in Llama and Qwen) or "adjacent" (2f with 2f + 1, as in GLM). Features from 2F on stay as they are.
    M-RoPE with sections or interleaved needs nothing more: the section only selects which axis gives the angle of a
    frequency, and a common shift of all axes turns each frequency by shift * inv_freq.
    """

    inv_freq_F: Tensor
    pairing: Pairing = "half"


@dataclass(frozen=True, kw_only=True, eq=False)
class Heads:
    """The tensors of one attention call; the queries are the last Q of the L tokens.

    `query_BHQD`, `key_BKLD`, `value_BKLD` are as the model has them: rotated at the position ids that the layouts
    state, H a multiple of K, keys not repeated. `bare_query_BHQD` and `bare_key_BKRD` are the same before rotation (see
    `unrotated`), needed only by a rule whose `needs_bare` is true; R counts the tokens from index `bare_start` on and
    must cover the regions. `block_BL` gives tokens that see each other in both directions (image blocks of Gemma 3) one
    number >= 0 per block, and -1 to all others; None means plain causal.
    """

    query_BHQD: Tensor
    key_BKLD: Tensor
    value_BKLD: Tensor
    bare_query_BHQD: Tensor | None = None
    bare_key_BKRD: Tensor | None = None
    bare_start: int = 0
    block_BL: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Score:
    """How a dot product becomes a score: times `scale`, then `softcap * tanh(score / softcap)`.

    `window`: a key further back than this many positions is not seen (sliding layers). The distance is that between
    the positions that the rule gives, not between token indices; tokens of one block see each other all the same.
    """

    scale: float
    softcap: float | None = None
    window: int | None = None


@dataclass(frozen=True, kw_only=True)
class Pine:
    """PINE (arXiv 2407.01100): every segment sees all others; the more important one stands nearer to the query.

    `importance` "exact" is the published one, the mean attention without positions; "mean" scores a segment by its mean
    key (ours, much cheaper, a different method: pine_lite). `slots`: for suffix and generated tokens, the slot
    (0-based, reading order) of the most important segment, of the next, and so on; None is the published N-1, .., 0.
    """

    importance: Literal["exact", "mean"] = "exact"
    slots: tuple[int, ...] | None = None
    needs_bare: bool = True


@dataclass(frozen=True, kw_only=True)
class Rotor:
    """RoToR (arXiv 2502.08662): one global order, the layout's ranks, read circularly so that each segment ends its own
    ring: i+1, .., N-1, 0, .., i-1, i. The suffix reads rank 0 .. N-1. Cheapest with ordinary position ids and segments
    laid out in the order of their ranks.
    """

    needs_bare: bool = False


@dataclass(frozen=True, kw_only=True)
class Sofa:
    """SoFA (arXiv 2503.13792): ordinary positions by rank; a later segment is seen with log(sigma) added to its score.

    sigma 1 is full bidirectional attention between segments, sigma 0 the model's own causal attention in rank order.
    """

    sigma: float
    needs_bare: bool = False


@dataclass(frozen=True, kw_only=True)
class Isolate:
    """Parallel windows (PCW, arXiv 2212.10947; set-based prompting, arXiv 2406.06581): segments do not see each other.

    All start right after the prefix, and the suffix stands after the longest of them.
    """

    needs_bare: bool = False


@dataclass(frozen=True, kw_only=True)
class Nia:
    """No attention between segments, ordinary positions by rank; the suffix still reads them in that order."""

    needs_bare: bool = False


Rule: TypeAlias = Pine | Rotor | Sofa | Isolate | Nia


class Engine(Protocol):
    """An engine: `formula.attend`, `partials.attend` and the Triton `attend` are all this."""

    def __call__(
        self, heads: Heads, layouts: Sequence[SegmentLayout], *, rotation: Rotation, rule: Rule, score: Score
    ) -> Tensor:
        """One attention call. Returns [B, H, Q, D] in the dtype of the queries; rows of padding are zeros."""


def unrotated(
    rotated_BHLD: Tensor, cos_BLR: Tensor, sin_BLR: Tensor, *, pairing: Pairing = "half", scaling: float = 1.0
) -> Tensor:
    """Queries or keys as they were before the model's rotary embedding, from the `cos` and `sin` that it used.

    R is the rotated width, each angle there twice, as transformers has it. `scaling` is the attention scaling that the
    model multiplied into cos and sin (YaRN). Works in fp32 at least and returns that.
    """
    dtype = torch.promote_types(rotated_BHLD.dtype, torch.float32)
    width = cos_BLR.shape[-1]
    wide_BHLD = rotated_BHLD.to(dtype)
    x_BHLR, rest_BHLP = wide_BHLD[..., :width], wide_BHLD[..., width:]
    cos_B1LR, sin_B1LR = cos_BLR.to(dtype).unsqueeze(1), sin_BLR.to(dtype).unsqueeze(1)
    if pairing == "half":
        first, second = x_BHLR.chunk(2, dim=-1)
        quarter_turn_BHLR = torch.cat((-second, first), dim=-1)
    else:
        first, second = x_BHLR[..., 0::2], x_BHLR[..., 1::2]
        quarter_turn_BHLR = torch.stack((-second, first), dim=-1).flatten(-2)
    bare_BHLR = (x_BHLR * cos_B1LR - quarter_turn_BHLR * sin_B1LR) / (scaling * scaling)
    return torch.cat((bare_BHLR, rest_BHLP), dim=-1)
