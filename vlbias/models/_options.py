"""Turns an option into the token sequences that count as it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from vlbias.errors import ModelError

Tokens: TypeAlias = tuple[int, ...]
MOST_OPTIONS = 4096
SMALLEST = 2.0**-24  # logits of float32 do not tell a smaller share from none


def variants(tokenizer: Any, option: str) -> tuple[Tokens, ...]:
    """The distinct token sequences that count as `option`; its probability is the sum of theirs.

    They are the tokens of the option and of a space and the option, as far as they decode to the option. If one of
    them is a single token, only the single tokens count. A sequence that begins with another one is left out, because
    the shorter one holds its probability already. Raises ModelError where the tokenizer cannot write the option.
    """
    if not option.strip():
        raise ModelError(f"hf: option {option!r} is empty; give the text to score")
    found: list[Tokens] = []
    for text in (option, " " + option):
        ids = tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
        if ids and ids not in found and _text(tokenizer, ids) == "".join(option.split()):
            found.append(ids)
    if not found:
        raise ModelError(f"hf: the tokenizer cannot write option {option!r}: its tokens do not decode to it")
    single = tuple(ids for ids in found if len(ids) == 1)
    return single or tuple(a for a in found if not any(b != a and a[: len(b)] == b for b in found))


class Variants:
    """The variants of options by one tokenizer, each option written once; many trials have the same ones."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, tuple[Tokens, ...]] = {}

    def of(self, options: Sequence[str]) -> tuple[tuple[Tokens, ...], ...]:
        """The variants of every option. Raises ModelError for two options that share one."""
        found = tuple(self._variants(option) for option in options)
        owner: dict[Tokens, str] = {}
        for option, sequences in zip(options, found):
            for ids in sequences:
                if ids in owner:
                    raise ModelError(f"hf: options {owner[ids]!r} and {option!r} are the same tokens; make them differ")
                owner[ids] = option
        return found

    def _variants(self, option: str) -> tuple[Tokens, ...]:
        if option not in self._known:
            if len(self._known) >= MOST_OPTIONS:
                self._known.clear()
            self._known[option] = variants(self._tokenizer, option)
        return self._known[option]


def log_probabilities(sums_KV: Sequence[Sequence[float]], variants: Sequence[Sequence[Tokens]]) -> tuple[float, ...]:
    """The log-probability of each option, where an answer counts as the longest option that it begins with.

    `sums_KV[k][v]` is the log-probability of the tokens `variants[k][v]`. "1" begins "12", and "a dog" begins "a dog
    and a cat": as mere beginnings the short ones would never be less likely. So what goes on to a longer option is
    taken off, and no answer counts twice.
    """
    told = [(ids, total) for own, totals in zip(variants, sums_KV) for ids, total in zip(own, totals)]
    if len({len(ids) for ids, _ in told}) == 1:  # tokens of one length begin each other only where they are the same
        return tuple(map(logsumexp, sums_KV))
    return tuple(
        logsumexp([total + _stays(ids, total, told) for ids, total in zip(own, totals)])
        for own, totals in zip(variants, sums_KV)
    )


def _stays(ids: Tokens, total: float, told: Sequence[tuple[Tokens, float]]) -> float:
    """The log of the share of answers that begin with these tokens and do not go on to a longer option."""
    longer = {other: value for other, value in told if len(other) > len(ids) and other[: len(ids)] == ids}
    first = [a for a in longer if not any(b != a and a[: len(b)] == b for b in longer)]
    goes_on = math.fsum(math.exp(longer[other] - total) for other in first)
    return math.log(max(1.0 - goes_on, SMALLEST)) if first else 0.0


def _text(tokenizer: Any, ids: Tokens) -> str:
    # Word-level tokenizers put spaces of their own between words, so spaces do not count.
    return "".join(str(tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)).split())


def logsumexp(logprobs: Sequence[float]) -> float:
    """The log of the summed probabilities, in float64."""
    if len(logprobs) == 1:
        return float(logprobs[0])
    return float(torch.logsumexp(torch.tensor(logprobs, dtype=torch.float64), 0))
