"""Verbalized probabilities: the model is asked in words how likely each option is, for servers without log-probs."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from vlbias.debias import Setting, Write
from vlbias.debias._arguments import at_least, needs_options, refuse_unknown
from vlbias.debias._wording import needs_writing, with_words_after
from vlbias.records import Fault, OptionScores, Prompt

SHAPE = "before"
LEAST = 1e-4
INSTRUCTION = (
    "Do not name one option. Give the probability that each option is right, as one JSON object whose keys are exactly "
    "{keys} and whose values are numbers from 0 to 1 that sum to 1."
)


def load(*, max_new_tokens: int = 128, **unknown: object) -> Verbalized:
    """Probabilities in words."""
    refuse_unknown("verbalized", load, unknown)
    at_least("verbalized", "max_new_tokens", max_new_tokens, low=1)
    return Verbalized(max_new_tokens=int(max_new_tokens))


@dataclass(frozen=True, kw_only=True)
class Verbalized:
    """Verbalized sampling's probabilities (arXiv 2510.01171), one for each option instead of for sampled replies.

    A reply that is not one JSON object with exactly the options as keys and shares as values is a parse failure; it is
    never mended. A share of 0 becomes 0.0001 before the logarithm.
    """

    max_new_tokens: int

    def needs(self, setting: Setting) -> None:
        """A model that writes, and options to weigh."""
        needs_options("verbalized", setting)
        needs_writing("verbalized", setting)

    def first(self, prompt: Prompt, *, write: Write) -> Prompt:
        """The prompt that asks for probabilities."""
        keys = ", ".join(json.dumps(option, ensure_ascii=False) for option in prompt.options)
        return with_words_after(prompt, INSTRUCTION.format(keys=keys), what="verbalized:probabilities")

    def then(self, prompt: Prompt, text: str, *, write: Write) -> OptionScores | Fault:
        """The probabilities as scores."""
        shares = read_shares(text, prompt.options)
        if isinstance(shares, str):
            return Fault(kind="parse", reason=shares, reply=text)
        scores = tuple(math.log(max(share, LEAST)) for share in shares)
        return OptionScores(logprobs=scores, level="generated", n_tokens=0)


def read_shares(text: str, options: tuple[str, ...]) -> list[float] | str:
    """The share of each option that a reply gives, normalised, or what is wrong with the reply."""
    found = re.findall(r"\{[^{}]*\}", text)
    if len(found) != 1:
        return f"found {len(found)} JSON objects in the reply; right is one"
    try:
        value: Any = json.loads(found[0])
    except ValueError as error:
        return f"the probabilities are not JSON: {error}"
    if set(value) != set(options):
        return f"the probabilities name {', '.join(map(repr, value))}; right are {', '.join(map(repr, options))}"
    shares = [value[option] for option in options]
    good = all(isinstance(s, int | float) and not isinstance(s, bool) and 0 <= s <= 1 for s in shares)
    if not good or not 0.95 <= sum(shares) <= 1.05:
        return f"the probabilities are {shares}; right are shares from 0 to 1 that sum to 1"
    return [share / sum(shares) for share in shares]
