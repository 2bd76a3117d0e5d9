"""Found in the middle: takes what a place attracts by itself off the attention on each segment."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vlbias.attention.reading import Read
from vlbias.debias._arguments import refuse_unknown
from vlbias.debias._inside import numbers
from vlbias.debias._reading import Weighed, Weighing, renormalised
from vlbias.errors import BadInput

SHAPE = "inside"
METHOD = "found_in_the_middle"


def load(*, temperature: float = 0.1, layers: Any = "upper", **unknown: Any) -> Weighed:
    """Attention calibration by dummy segments (Hsieh et al. 2024, arXiv 2406.16008).

    The attention on the segment at place k is its relevance plus a bias of k, and a segment without content at k shows
    the bias. So relevance_k = attention_k - attention of the dummy at k, alpha = softmax(relevance / temperature), and
    the weights of segment k are multiplied by alpha_k * C / attention_k, with C the attention on all segments: how
    much is read from segments stays, from which of them is calibrated. Applied to every token after the segments.

    We differ: attentions are shares of C (averaged over heads), so the temperature means the same in prompts of any
    length; dummies stand at all places at once, which takes one more pass and not one per place; a dummy is frames of
    one colour, or words that say nothing. `layers` "upper" is the upper half, None all.
    """
    refuse_unknown(METHOD, load, unknown)
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not temperature > 0:
        raise BadInput(f"{METHOD}: temperature={temperature!r}; give a number above 0")
    chosen = numbers(METHOD, "layers", layers, words=("upper",))

    def weigh(read: Read, dummy_MS: Tensor, _: Tensor) -> Tensor:
        return calibrated(read, dummy_MS, temperature=float(temperature))

    weighing = Weighing(remember=lambda read, _: shares_MS(read)[: read.n_prompt], weigh=weigh, blank=True)
    return Weighed(method=METHOD, weighing=weighing, layers=chosen, fewest_segments=2)


def shares_MS(read: Read) -> Tensor:
    """What share of the attention on segments each of them has, averaged over heads; lines sum to 1."""
    mass_MS = read.masses_HMS().mean(0)
    return mass_MS / mass_MS.sum(-1, keepdim=True)


def calibrated(read: Read, dummy_MS: Tensor, *, temperature: float) -> Tensor:
    """The weights with each segment's share replaced by the softmax of its relevance.

    Tokens of an answer are compared with the dummy at the last token of the prompt.
    """
    n_reading = read.weights_HML.shape[1]
    n_known = min(dummy_MS.shape[0], read.n_prompt)
    last_1S = dummy_MS[-1:].expand(n_reading - n_known, -1)
    relevance_MS = shares_MS(read) - torch.cat((dummy_MS[:n_known], last_1S))
    alpha_MS = (relevance_MS / temperature).softmax(-1)
    mass_HMS = read.masses_HMS()
    factor_HMS = alpha_MS * mass_HMS.sum(-1, keepdim=True) / mass_HMS.clamp(min=torch.finfo(mass_HMS.dtype).tiny)
    out_HML = read.weights_HML.clone()
    for number, (low, high) in enumerate(read.spans):
        out_HML[..., low:high] *= factor_HMS[..., number, None]
    return renormalised(out_HML)
