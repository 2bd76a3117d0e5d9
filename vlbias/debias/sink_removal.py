"""Sink removal: drops the tokens that attract attention whatever they hold. A diagnostic, not a cure."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vlbias.attention.reading import Read
from vlbias.debias._arguments import one_of, refuse_unknown
from vlbias.debias._inside import numbers
from vlbias.debias._reading import Weighed, Weighing, renormalised
from vlbias.errors import BadInput

SHAPE = "inside"
METHOD = "sink_removal"


def load(*, where: str = "prefix", epsilon: float = 0.3, layers: Any = None, **unknown: Any) -> Weighed:
    """Takes the columns of attention sinks out of what the question and the answer read, and normalises again.

    A sink is a token that gets more than `epsilon` of the attention, averaged over the reading tokens of the prompt,
    per layer and head (threshold of arXiv 2410.10781, "When Attention Sink Emerges"). `where` "prefix" looks among the
    tokens before the first segment, "all" at every token; `epsilon` 0 with "prefix" drops all that stands before the
    segments. We differ from that metric in who reads: it averages over all later tokens. It answers whether a bias
    comes through sinks: if the curve stays as it is without them, it does not. `layers` are numbers, "upper" for the
    upper half, or None for all.
    """
    refuse_unknown(METHOD, load, unknown)
    one_of(METHOD, "where", where, known=("prefix", "all"))
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 <= epsilon < 1:
        raise BadInput(f"{METHOD}: epsilon={epsilon!r}; give a share of attention, from 0 to below 1")
    chosen = numbers(METHOD, "layers", layers, words=("upper",))

    def remember(read: Read, _: Tensor) -> Tensor:
        return sinks(read, prefix_only=where == "prefix", epsilon=float(epsilon))

    weighing = Weighing(remember=remember, weigh=without, blank=False)
    return Weighed(method=METHOD, weighing=weighing, layers=chosen)


def sinks(read: Read, *, prefix_only: bool, epsilon: float) -> Tensor:
    """Which tokens are sinks, [H, L], from the reading tokens of the prompt."""
    received_HL = read.weights_HML[:, : read.n_prompt].mean(1)
    found_HL = received_HL > epsilon
    if prefix_only:
        found_HL[:, min(a for a, _ in read.spans) :] = False
    return found_HL


def without(read: Read, sink_HL: Tensor, _: Tensor) -> Tensor | None:
    """The weights without sinks; None where there is none. A token that reads sinks alone keeps them."""
    if not bool(sink_HL.any()):
        return None
    n_new = read.weights_HML.shape[-1] - sink_HL.shape[-1]
    column_H1L = torch.nn.functional.pad(sink_HL, (0, n_new))[:, None]
    left_HML = read.weights_HML.masked_fill(column_H1L, 0.0)
    alone_HM1 = left_HML.sum(-1, keepdim=True) == 0
    return renormalised(torch.where(alone_HM1, read.weights_HML, left_HML))
