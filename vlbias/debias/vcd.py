"""VCD: contrasts the answer with the answer to the same order of noised frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import at_least, needs_logprobs, needs_model, one_of, refuse_unknown
from vlbias.debias._content_free import STEPS, noised
from vlbias.debias._contrast import merge_contrast
from vlbias.debias._scores import marked
from vlbias.errors import BadInput, NotApplicable
from vlbias.records import Prompt, Trial

SHAPE = "before"


def load(*, step: int = 500, alpha: float = 1.0, beta: float = 0.1, where: str = "all", **unknown: object) -> VCD:
    """Visual contrastive decoding; `step` of 1,000 is how far the frames are noised, `where` is all or evidence."""
    refuse_unknown("vcd", load, unknown)
    at_least("vcd", "alpha", alpha, low=0.0)
    at_least("vcd", "beta", beta, low=0.0)
    one_of("vcd", "where", where, known=("all", "evidence"))
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step < STEPS:
        raise BadInput(f"vcd: step={step!r}; give a whole number from 0 to 999")
    return VCD(step=step, alpha=float(alpha), beta=float(beta), evidence_only=where == "evidence")


@dataclass(frozen=True, kw_only=True)
class VCD:
    """VCD (Leng et al., CVPR 2024): (1 + alpha) l(video) - alpha l(noised video), with the plausibility cut.

    The noised prompt keeps the order and the number of segments. What both prompts share, as a preference for a
    place, stays as it is ((1 + alpha) p - alpha p = p); what the evidence adds is made stronger beside it. We differ:
    the noise is added to the pixels before the model's own normalisation, and a clip has the same noise in every slot.
    """

    step: int
    alpha: float
    beta: float
    evidence_only: bool

    def needs(self, setting: Setting) -> None:
        """Log-probabilities, the model, and frames to noise."""
        needs_model("vcd", setting)
        needs_logprobs("vcd", setting)
        if not setting.frames:
            raise NotApplicable("vcd: not applicable: the model sees no frames, so there is nothing to noise")

    def expand(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """The prompt and its noised twin."""
        trial = prompt.trial
        assert trial is not None
        evidence = trial.probe.evidence.segment_id
        parts = [
            replace(part, frames=noised(part.frames, step=self.step))
            if part.place is not None
            and part.frames is not None
            and (not self.evidence_only or trial.segments[part.place].segment_id == evidence)
            else part
            for part in prompt.parts
        ]
        changed = marked(trial, f"noised:{self.step}")
        return [prompt, replace(prompt, trial_id=changed.trial_id, parts=tuple(parts), trial=changed)]

    def merge(self, trial: Trial, answers: Sequence[Answer]) -> Answer:
        """The contrast of the two."""
        return merge_contrast(trial, answers, alpha=self.alpha, beta=self.beta)
