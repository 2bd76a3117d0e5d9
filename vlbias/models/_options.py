"""Turns an option into the token sequences that count as it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch

from vlbias.errors import ModelError

Tokens: TypeAlias = tuple[int, ...]
MOST_OPTIONS = 4096


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


def _text(tokenizer: Any, ids: Tokens) -> str:
    # Word-level tokenizers put spaces of their own between words, so spaces do not count.
    return "".join(str(tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)).split())


def logsumexp(logprobs: Sequence[float]) -> float:
    """The log of the summed probabilities, in float64."""
    if len(logprobs) == 1:
        return float(logprobs[0])
    return float(torch.logsumexp(torch.tensor(logprobs, dtype=torch.float64), 0))
