"""Models: a prompt becomes an answer. One file, one adapter; the file's name is `--model`.

Contract of a file here: `load(**model_args) -> Model`. Sharing between prompts (segments seen before, common
prefixes) is found inside the adapter from segment identity; callers just hand over prompts.

Axes of tensors, at the end of their names: B batch, L tokens, H heads, D head width, S segments, O options, V words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from vlbias.records import Capabilities, Fault, Identity, OptionScores, Prompt, Reply, Trial


class Model(Protocol):
    """What an adapter gives back. A prompt that cannot be answered gives a `Fault`, never a made-up answer."""

    identity: Identity
    capabilities: Capabilities

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """The exact log-probability of every option of every prompt, as one batch, one forward for the prompt."""

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """The model's own words, greedily."""

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """The negative log-likelihood of a given answer to each prompt, in nats, summed over its tokens."""


@runtime_checkable
class Preparing(Protocol):
    """A model that can do some of its work before prompts are asked, in another thread, while it answers others."""

    def prepare(self, prompts: Sequence[Prompt]) -> None:
        """A hint: `score` will be given these prompts. Answers do not depend on it."""


@runtime_checkable
class Choosy(Protocol):
    """A model that some questions cannot be put to, and that knows so before it sees a pixel."""

    def unfit(self, trial: Trial) -> str | None:
        """Why a trial cannot be put to the model; None where it can."""
