"""A model whose bias you choose: the ground truth for tests, and a try-out for users. It never looks at a frame.

Its answers follow from its arguments, the trial and a seed, so two runs agree to the byte.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from vlbias import __version__
from vlbias.errors import ModelError
from vlbias.models._margin import luck, place
from vlbias.models._phrases import REFUSAL, worded
from vlbias.models._placing import asks_place, placed
from vlbias.models._responders import choose
from vlbias.models._script import Script, script
from vlbias.records import Capabilities, Fault, Identity, OptionScores, Prompt, Reply, Trial


def load(*, device: str | None = None, **arguments: Any) -> ScriptedModel:
    """A scripted model; the arguments are the fields of `Script`, where each is explained.

    A per-slot list is written with colons, as in `profile=1:.8:.6:.8:1`. An unknown name or an impossible value is a
    ModelError that says what would be right. `device` is taken and ignored: a script runs anywhere.
    """
    del device
    return ScriptedModel(script(arguments))


class ScriptedModel:
    """Answers by its script; holds no state. `sleep` waits out the latency."""

    capabilities = Capabilities(score=True, generate=True, nll=False, needs_frames=False)

    def __init__(self, script: Script, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.script = script
        self.identity = Identity(
            adapter="scripted",
            name="scripted",
            revision=str(script),
            engine="vlbias",
            engine_version=__version__,
            box_format=script.box_format,
        )
        self._sleep = sleep

    def score(self, prompts: Sequence[Prompt]) -> list[OptionScores | Fault]:
        """The log-probabilities that the script gives each option."""
        return [self._score(prompt) for prompt in prompts]

    def generate(self, prompts: Sequence[Prompt], *, max_new_tokens: int) -> list[Reply | Fault]:
        """The chosen option in words, the place that was asked for, or a refusal."""
        return [self._reply(prompt) for prompt in prompts]

    def nll(self, prompts: Sequence[Prompt], targets: Sequence[str]) -> list[float | Fault]:
        """A script has no likelihood of other words."""
        raise ModelError("scripted: has no log-likelihood of free text; ask it with mode: score or generate")

    def _score(self, prompt: Prompt) -> OptionScores | Fault:
        trial = self._heard(prompt)
        if self._crashes(trial):
            return self._crash(trial)
        if self._refuses(trial):
            return Fault(kind="refused", reason="the script refuses")
        choice = choose(self.script, prompt, trial)
        return OptionScores(logprobs=choice.logprobs, level="exact", n_tokens=len(trial.segments) + 1)

    def _reply(self, prompt: Prompt) -> Reply | Fault:
        trial = self._heard(prompt)
        if self._crashes(trial):
            return self._crash(trial)
        if self._refuses(trial):
            text = REFUSAL
        else:
            text = placed(self.script, trial) if asks_place(trial) else self._words(prompt, trial)
        return Reply(
            text=text, n_tokens=len(trial.segments) + 1, n_new_tokens=len(text.split()), input_wh_px=_size(trial)
        )

    def _words(self, prompt: Prompt, trial: Trial) -> str:
        chosen = choose(self.script, prompt, trial).chosen
        other = prompt.options[(chosen + 1) % len(prompt.options)]
        return worded(prompt.options[chosen], other, phrase=self.script.phrase, pick=self._luck(trial, "words"))

    def _heard(self, prompt: Prompt) -> Trial:
        if prompt.trial is None:
            raise ModelError(
                f"scripted: prompt {prompt.trial_id} carries no trial; a script cannot answer free prompts"
            )
        if self.script.latency_s > 0:
            self._sleep(self.script.latency_s)
        return prompt.trial

    def _crashes(self, trial: Trial) -> bool:
        if self.script.crash is None or trial.slot != self.script.crash:
            return False
        return self._luck(trial, "crash") < self.script.crash_share

    def _crash(self, trial: Trial) -> Fault:
        return Fault(kind="memory", reason=f"the script crashes at slot {trial.slot}")

    def _refuses(self, trial: Trial) -> bool:
        return self.script.refusals > 0 and self._luck(trial, "refusal") < self.script.refusals

    def _luck(self, trial: Trial, what: str) -> float:
        """Luck of this trial alone; how a reply is worded follows no rule that the slots share."""
        return luck(self.script, f"{trial.probe.probe_id}/{place(trial)}/{what}")


def _size(trial: Trial) -> tuple[int, int] | None:
    """The size of the image of a trial that asks for a place; a script meets it as it is."""
    width, by, height = dict(trial.factors).get("size_px", "").partition("x")
    return (int(width), int(height)) if by else None
