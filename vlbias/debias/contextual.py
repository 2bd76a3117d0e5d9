"""Contextual calibration: an affine map that makes the answer to a prompt without content uniform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vlbias.answers import Answer
from vlbias.debias import Setting, Write
from vlbias.debias._arguments import (
    needs_fit,
    needs_logprobs,
    needs_model,
    needs_places,
    one_of,
    refuse_unknown,
    several_of,
)
from vlbias.debias._content_free import FILLS, MARK_OF, Fill, Where, without_segments
from vlbias.debias._prior import flag_from_json, looked_up, mean_by_cell, table_from_json
from vlbias.debias._scores import asked_for, cell, logprobs, rescored
from vlbias.errors import BadInput, NotApplicable
from vlbias.records import Prompt

SHAPE = "after"
Matrix = Literal["diagonal", "identity"]
MATRICES = ("diagonal", "identity")
SMALLEST = 1e-12


def load(
    *,
    content_free: str | None = "template",
    where: str = "evidence",
    matrix: str = "diagonal",
    per_slot: bool = True,
    **unknown: object,
) -> Contextual:
    """Contextual calibration.

    `content_free` is one or more of template, noise, zero, one, mean, none, unknown, joined by "+" (their
    distributions are averaged). `where=evidence` blinds the evidence only, which keeps the order and the other
    segments: the correction is then one per slot. `where=all` blinds every segment.
    """
    refuse_unknown("contextual", load, unknown)
    fills = several_of("contextual", "content_free", content_free, known=FILLS)
    one_of("contextual", "where", where, known=("evidence", "all"))
    one_of("contextual", "matrix", matrix, known=MATRICES)
    return Contextual(fills=fills, where=where, matrix=matrix, per_slot=per_slot)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Contextual:
    """Affine calibration q = W p + b (Zhao et al. 2021; for pictures arXiv 2403.05262), p over displayed places.

    `diagonal`: W = diag(1 / p_cf), b = 0. `identity`: W = I, b = 1/n - p_cf. Both map p_cf to uniform exactly. We
    differ: p_cf is the mean over fitting probes in each slot; the published identity map has b = -p_cf, which sums to
    0 and cannot be normalised: ours differs by a constant and chooses the same option.
    """

    fills: tuple[Fill, ...]
    where: Where
    matrix: Matrix
    per_slot: bool

    def needs(self, setting: Setting) -> None:
        """Log-probabilities, the model to ask prompts without content, and probes to fit on."""
        needs_logprobs("contextual", setting)
        needs_places("contextual", setting)
        needs_model("contextual", setting)
        needs_fit("contextual", setting)

    def asks(self, prompt: Prompt, *, write: Write, rng: np.random.Generator) -> list[Prompt]:
        """The trial without content, once for each kind of emptiness."""
        return [without_segments(prompt, fill=fill, where=self.where) for fill in self.fills]

    def fit(self, answers: Sequence[Answer], *, rng: np.random.Generator) -> AffineCorrection:
        """The mean distribution of the content-free answers of each cell."""
        free = asked_for(answers, MARK_OF)
        if not free:
            raise NotApplicable("contextual: no prompt without content was answered; nothing to fit on")
        means = mean_by_cell((cell(a.asked, per_slot=self.per_slot), np.exp(logprobs(a))) for a in free)
        table = {name: tuple(float(v) for v in p / p.sum()) for name, p in means.items()}
        return AffineCorrection(matrix=self.matrix, per_slot=self.per_slot, content_free=table)

    def from_json(self, saved: Mapping[str, Any]) -> AffineCorrection:
        """A saved map."""
        matrix = saved.get("matrix")
        if matrix not in MATRICES:
            raise BadInput(f"contextual: the saved matrix is {matrix!r}; right is diagonal or identity")
        table = table_from_json("contextual", saved, "content_free")
        return AffineCorrection(matrix=matrix, per_slot=flag_from_json("contextual", saved), content_free=table)


@dataclass(frozen=True, kw_only=True)
class AffineCorrection:
    """q = W p + b with the content-free distribution of the trial's cell."""

    matrix: Matrix
    per_slot: bool
    content_free: Mapping[str, tuple[float, ...]]

    def __call__(self, answer: Answer) -> Answer:
        """The corrected answer. A share that falls below 1e-12 under the identity map is set to it."""
        free_O = looked_up(self.content_free, answer.asked, per_slot=self.per_slot, method="contextual")
        if self.matrix == "diagonal":
            return rescored(answer, logprobs(answer) - np.log(free_O))
        shares_O = np.exp(logprobs(answer)) - free_O + 1.0 / len(free_O)
        return rescored(answer, np.log(np.maximum(shares_O, SMALLEST)))

    def to_json(self) -> Mapping[str, Any]:
        """The map of each cell."""
        table = {name: list(p) for name, p in self.content_free.items()}
        return {"matrix": self.matrix, "per_slot": self.per_slot, "content_free": table}
