"""VDD: contrasts the answer with the answer to the same question without what is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import at_least, needs_logprobs, needs_model, one_of, refuse_unknown, several_of
from vlbias.debias._content_free import FILLS, Fill, Where, without_segments
from vlbias.debias._contrast import merge_contrast
from vlbias.records import Prompt, Trial

SHAPE = "before"


def load(
    *,
    content_free: str | None = "template",
    where: str = "evidence",
    alpha: float = 0.5,
    beta: float = 0.1,
    **unknown: object,
) -> VDD:
    """Visual debias decoding; `content_free` is one or more of template, noise, zero, one, mean, none, unknown.

    Several are joined by "+" and their log-probabilities averaged. The published variants are `none`, `unknown` and
    `none+unknown` with `where=all`; ours, `template` in place of the evidence, keeps the order of the segments.
    """
    refuse_unknown("vdd", load, unknown)
    fills = several_of("vdd", "content_free", content_free, known=FILLS)
    one_of("vdd", "where", where, known=("evidence", "all"))
    at_least("vdd", "alpha", alpha, low=0.0)
    at_least("vdd", "beta", beta, low=0.0)
    return VDD(fills=fills, where=where, alpha=float(alpha), beta=float(beta))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class VDD:
    """VDD (arXiv 2403.05262): (1 + alpha) l(seen) - alpha l(not seen), with the plausibility cut of VCD."""

    fills: tuple[Fill, ...]
    where: Where
    alpha: float
    beta: float

    def needs(self, setting: Setting) -> None:
        """Log-probabilities and the model."""
        needs_model("vdd", setting)
        needs_logprobs("vdd", setting)

    def expand(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """The prompt, and the prompt without content in each way."""
        return [prompt, *(without_segments(prompt, fill=f, where=self.where) for f in self.fills)]

    def merge(self, trial: Trial, answers: Sequence[Answer]) -> Answer:
        """The contrast of the first with the mean of the others."""
        return merge_contrast(trial, answers, alpha=self.alpha, beta=self.beta)
