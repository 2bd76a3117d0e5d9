"""A model of whose prompts a few are also asked apart, so that a run proves of itself that sharing changed nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from vlbias.errors import BadInput, SharingDiffers
from vlbias.models import Model, Preparing
from vlbias.records import Fault, OptionScores, Prompt, Reply

# As a share of the largest log-probability: rounding depends on the shape of a batch, a false sharing changes it all.
TOLERANCE = {"float64": 1e-5, "float32": 1e-4, "bfloat16": 5e-2, "float16": 5e-2}


class Verified:
    """Asks as `model` does; prompts of the trials in `chosen` also by `score_apart`, and keeps the largest difference.

    Differences are of an option's log-probability, in nats. `n_compared` counts prompts that were answered both ways.
    Raises BadInput for a model that cannot ask apart, SharingDiffers where a difference exceeds the tolerance.
    """

    def __init__(self, model: Model, chosen: Collection[str]) -> None:
        share = TOLERANCE.get(model.identity.dtype or "")
        if not hasattr(model, "score_apart") or share is None:
            raise BadInput(
                f"--verify: the adapter {model.identity.adapter} asks every prompt in one way only; leave it out"
            )
        self.model, self.chosen = model, frozenset(chosen)
        self.identity, self.capabilities = model.identity, model.capabilities
        self.largest, self.n_compared = 0.0, 0
        self.tolerance = share
        self._apart: Any = model.score_apart

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """As the model scores; the chosen ones are compared before anything is given back."""
        found = self.model.score(prompts)
        for prompt, together in zip(prompts, found):
            if prompt.trial_id in self.chosen and isinstance(together, OptionScores):
                (apart,) = self._apart([prompt])
                if isinstance(apart, OptionScores):
                    self._compare(prompt, together, apart)
        return found

    def prepare(self, prompts: Sequence[Prompt]) -> None:
        """As the model prepares, where it can."""
        if isinstance(self.model, Preparing):
            self.model.prepare(prompts)

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """As the model writes: nothing is shared there."""
        return self.model.generate(prompts, max_new_tokens=max_new_tokens)

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """As the model weighs: nothing is shared there."""
        return self.model.nll(prompts, targets)

    def _compare(self, prompt: Prompt, together: OptionScores, apart: OptionScores) -> None:
        difference = max(abs(a - b) for a, b in zip(together.logprobs, apart.logprobs))
        allowed = self.tolerance * max(1.0, *(abs(b) for b in apart.logprobs))
        self.n_compared += 1
        self.largest = max(self.largest, difference)
        if not difference <= allowed:
            raise SharingDiffers(
                f"trial {prompt.trial_id}: shared and apart differ by {difference:.3g} nats, at most {allowed:.3g} is "
                "rounding; run with --model_args sharing=off and report this prompt",
                evidence={
                    "trial_id": prompt.trial_id,
                    "prompt_sha256": prompt.sha256,
                    "system": prompt.system,
                    "parts": [
                        [p.turn, p.kind, p.place, p.text, p.frames.sha256 if p.frames else None] for p in prompt.parts
                    ],
                    "options": list(prompt.options),
                    "logprobs_shared": list(together.logprobs),
                    "logprobs_apart": list(apart.logprobs),
                    "segment_spans": [list(span) for span in together.segment_spans],
                },
            )
