"""UAC: divides the attention on pictures by what the same places attract when the pictures are blank."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vlbias.attention.reading import Read
from vlbias.debias._arguments import refuse_unknown
from vlbias.debias._inside import numbers
from vlbias.debias._reading import Weighed, Weighing, renormalised
from vlbias.errors import BadInput, NotApplicable

SHAPE = "inside"
METHOD = "uac"


def load(*, floor: float = 0.01, layers: Any = None, **unknown: Any) -> Weighed:
    """Uniform attention calibration (arXiv 2502.01969): A' = W * A on the tokens of pictures, W = mean(B) / B.

    B is the attention of the last token of the prompt on those tokens when every picture is blank, per layer and head,
    so that the attention on blank pictures becomes uniform. Lines are normalised again. We differ: all pictures of the
    prompt are one field, which makes the places of segments alike and not only those within a picture; W also acts on
    the other tokens after the segments; and B is not taken below `floor` times its mean, which bounds W. `layers` are
    numbers, "upper" for the upper half, or None for all.
    """
    refuse_unknown(METHOD, load, unknown)
    if isinstance(floor, bool) or not isinstance(floor, int | float) or not 0 < floor <= 1:
        raise BadInput(f"{METHOD}: floor={floor!r}; give a share of the mean, above 0 and at most 1")
    chosen = numbers(METHOD, "layers", layers, words=("upper",))

    def remember(read: Read, picture_L: Tensor) -> Tensor:
        return factors(read.weights_HML[:, read.n_prompt - 1, pictures(read, picture_L)], floor=float(floor))

    weighing = Weighing(remember=remember, weigh=weighed, blank=True)
    return Weighed(method=METHOD, weighing=weighing, layers=chosen, pictures=True)


def factors(blank_HT: Tensor, *, floor: float) -> Tensor:
    """W of every head and picture token, mean(B) / B, with B at least `floor` times its mean."""
    mean_H1 = blank_HT.mean(-1, keepdim=True).clamp(min=torch.finfo(blank_HT.dtype).tiny)
    return mean_H1 / torch.maximum(blank_HT, floor * mean_H1)


def weighed(read: Read, factor_HT: Tensor, picture_L: Tensor) -> Tensor:
    """The weights times W on the tokens of pictures, normalised."""
    tokens_T = pictures(read, picture_L)
    if len(tokens_T) != factor_HT.shape[1]:
        raise NotApplicable(
            f"{METHOD}: not applicable: {len(tokens_T)} tokens of pictures, but {factor_HT.shape[1]} when they are "
            "blank; use a model whose pictures take tokens by their size alone"
        )
    out_HML = read.weights_HML.clone()
    out_HML[..., tokens_T] *= factor_HT[:, None]
    return renormalised(out_HML)


def pictures(read: Read, picture_L: Tensor) -> Tensor:
    """The indices of the tokens that stand for pieces of pictures. Raises NotApplicable where there is none."""
    tokens_T = read.start + picture_L.nonzero()[:, 0].to(read.weights_HML.device)
    if len(tokens_T) == 0:
        raise NotApplicable(f"{METHOD}: not applicable: the prompt holds no pictures, so none can be blank")
    return tokens_T
