"""A model whose bias you choose: the ground truth for tests, and a try-out for users. It never looks at a frame.

Its answers follow from its arguments, the trial and a seed, so two runs agree to the byte.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass

from vlbias import __version__
from vlbias.errors import ModelError, nearest
from vlbias.records import Capabilities, Fault, Identity, OptionScores, Prompt, Reply, Trial

SURE = 0.9


@dataclass(frozen=True, kw_only=True)
class Script:
    """The chosen behaviour; see `load` for what each value means."""

    profile: tuple[float, ...]
    alone: float
    noise: str
    prefer: str | None
    preference: float
    refusals: float
    verbose: bool
    seed: int


def load(
    *,
    accuracy: float = 0.75,
    profile: str | None = None,
    alone: float | None = None,
    noise: str = "independent",
    prefer: str | None = None,
    preference: float = 0.0,
    refusals: float = 0.0,
    verbose: bool = False,
    seed: int = 0,
    device: str | None = None,
    **unknown: object,
) -> ScriptedModel:
    """A scripted model.

    `accuracy` is the chance of the right answer at every slot; `profile` gives one per slot instead, as in
    `profile=1:.8:.6:.8:1`; `alone` is the chance without context (default: the largest of the profile). With
    `noise=independent` each slot draws anew; with `noise=shared` a probe's luck is the same at every slot. `prefer` is
    a displayed letter that is chosen with chance `preference` whatever is right; `refusals` is the share of refusals
    and `verbose` wraps generated answers in a sentence.
    """
    if unknown:
        known = [name for name in inspect.signature(load).parameters if name != "unknown"]
        raise ModelError(f"scripted: unknown argument {min(unknown)!r}; {nearest(min(unknown), known)}")
    chances = _profile(profile) if profile is not None else (float(accuracy),)
    for name, value in (("accuracy", accuracy), ("preference", preference), ("refusals", refusals)):
        if not 0 <= value <= 1:
            raise ModelError(f"scripted: {name}={value} is not a share; give a number from 0 to 1")
    if noise not in ("independent", "shared"):
        raise ModelError(f"scripted: noise={noise!r}; {nearest(noise, ['independent', 'shared'])}")
    top = max(chances) if alone is None else float(alone)
    del device
    return ScriptedModel(
        Script(
            profile=chances,
            alone=top,
            noise=noise,
            prefer=prefer,
            preference=preference,
            refusals=refusals,
            verbose=verbose,
            seed=seed,
        )
    )


class ScriptedModel:
    """Answers by its script; holds no state."""

    capabilities = Capabilities(score=True, generate=True, nll=False, needs_frames=False)

    def __init__(self, script: Script) -> None:
        self.script = script
        self.identity = Identity(
            adapter="scripted", name="scripted", revision=str(script), engine="vlbias", engine_version=__version__
        )

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """The chosen option gets most of the probability, the others share the rest."""
        return [self._score(prompt) for prompt in prompts]

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """The chosen option in words, or a refusal."""
        return [self._reply(prompt) for prompt in prompts]

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """A script has no likelihood of other words."""
        raise ModelError("scripted: has no log-likelihood of free text; ask it with mode: score or generate")

    def _score(self, prompt: Prompt) -> OptionScores | Fault:
        trial = _trial(prompt)
        if self._luck(trial, "refusal") < self.script.refusals:
            return Fault(kind="refused", reason="the script refuses")
        chosen, rest = self._chosen(trial), (1 - SURE) / (len(prompt.options) - 1)
        scores = tuple(math.log(SURE if k == chosen else rest) for k in range(len(prompt.options)))
        return OptionScores(logprobs=scores, level="exact", n_tokens=len(trial.segments) + 1)

    def _reply(self, prompt: Prompt) -> Reply | Fault:
        trial = _trial(prompt)
        if self._luck(trial, "refusal") < self.script.refusals:
            text = "I'm sorry, but I can't help with that."
        else:
            option = prompt.options[self._chosen(trial)]
            text = f"Looking at the video, the answer is {option}." if self.script.verbose else option
        return Reply(text=text, n_tokens=len(trial.segments) + 1, n_new_tokens=len(text.split()))

    def _chosen(self, trial: Trial) -> int:
        count, gold = len(trial.options), trial.gold_displayed
        preferred = ord(self.script.prefer) - ord("A") if self.script.prefer else None
        if preferred is not None and preferred < count and self._luck(trial, "prefer") < self.script.preference:
            return preferred
        if gold is not None and self._luck(trial, "right") < self._chance(trial):
            return gold
        others = [k for k in range(count) if k != gold]
        return others[int(self._luck(trial, "wrong") * len(others))]

    def _chance(self, trial: Trial) -> float:
        profile = self.script.profile
        if trial.slot is None:
            return self.script.alone
        if len(profile) not in (1, trial.n_slots):
            raise ModelError(
                f"scripted: profile has {len(profile)} values and the suite {trial.n_slots} slots; give one per slot"
            )
        return profile[trial.slot if len(profile) > 1 else 0]

    def _luck(self, trial: Trial, what: str) -> float:
        """A number in [0, 1) that depends on the seed, the probe and, if the noise is independent, the slot."""
        place = trial.code if self.script.noise == "independent" else "every slot"
        key = f"{self.script.seed}/{trial.probe.probe_id}/{place}/{what}"
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big") / 2**56


def _trial(prompt: Prompt) -> Trial:
    if prompt.trial is None:
        raise ModelError(f"scripted: prompt {prompt.trial_id} carries no trial; a script cannot answer free prompts")
    return prompt.trial


def _profile(text: str | float) -> tuple[float, ...]:
    try:
        values = tuple(float(item) for item in str(text).replace("/", ":").split(":"))
    except ValueError as error:
        raise ModelError(f"scripted: profile={text!r} is not numbers; give one per slot, as profile=1:.8:.6") from error
    if not all(0 <= value <= 1 for value in values):
        raise ModelError(f"scripted: profile={text!r} must hold shares from 0 to 1")
    return values
