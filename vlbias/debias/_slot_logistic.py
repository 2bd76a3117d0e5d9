"""Fits a small logistic model of the right option in each cell: temperature, or temperature per place and bias."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from vlbias.answers import Answer
from vlbias.debias._prior import Table, flag_from_json, looked_up, table_from_json
from vlbias.debias._scores import Floats, cell, gold_place, logprobs, normalised, plain, rescored
from vlbias.errors import BadInput, NotApplicable

FEWEST_IN_CELL = 4


@dataclass(frozen=True, kw_only=True)
class LogisticCorrection:
    """scores = scale * log p + bias over the displayed places of the trial's cell, then normalised."""

    method: str
    per_slot: bool
    scale: Mapping[str, tuple[float, ...]]
    bias: Mapping[str, tuple[float, ...]]

    def __call__(self, answer: Answer) -> Answer:
        """The corrected answer. Errors: NotApplicable for a slot or a number of options that was not fitted."""
        scale_O = looked_up(self.scale, answer.asked, per_slot=self.per_slot, method=self.method)
        bias_O = looked_up(self.bias, answer.asked, per_slot=self.per_slot, method=self.method)
        return rescored(answer, scale_O * logprobs(answer) + bias_O)

    def to_json(self) -> Mapping[str, Any]:
        """Scale and bias of each cell."""
        return {
            "per_slot": self.per_slot,
            "scale": {name: list(v) for name, v in self.scale.items()},
            "bias": {name: list(v) for name, v in self.bias.items()},
        }


def logistic_from_json(method: str, saved: Mapping[str, Any]) -> LogisticCorrection:
    """A saved correction, checked."""
    scale, bias = (table_from_json(method, saved, key) for key in ("scale", "bias"))
    if any(min(values) <= 0 for values in scale.values()) or set(scale) != set(bias):
        raise BadInput(f"{method}: the saved scales must be positive and have a bias each")
    return LogisticCorrection(method=method, per_slot=flag_from_json(method, saved), scale=scale, bias=bias)


def fit_logistic(
    answers: Sequence[Answer], *, method: str, per_slot: bool, vector: bool, ridge: float
) -> LogisticCorrection:
    """Scale and bias of each cell by penalised likelihood of the right option (L-BFGS).

    The penalty is ridge/2 times the squares of log scale and bias, summed, against the log-likelihood summed over
    trials: with few trials nothing is changed. Errors: NotApplicable for a cell of fewer than 4 labelled answers.
    """
    rows: dict[str, list[tuple[Floats, int]]] = defaultdict(list)
    for answer in plain(answers):
        place = gold_place(answer)
        if place is not None:
            rows[cell(answer.asked, per_slot=per_slot)].append((logprobs(answer), place))
    if not rows:
        raise NotApplicable(f"{method}: no fitting answer has a right option; nothing to fit on")
    scale: Table = {}
    bias: Table = {}
    for name in sorted(rows):
        if len(rows[name]) < FEWEST_IN_CELL:
            raise NotApplicable(f"{method}: {name}: {len(rows[name])} labelled answers, needs {FEWEST_IN_CELL}")
        logs_NO = np.stack([logs for logs, _ in rows[name]])
        gold_N = np.array([place for _, place in rows[name]])
        scale_O, bias_O = _fitted(logs_NO, gold_N, vector=vector, ridge=ridge)
        scale[name], bias[name] = tuple(map(float, scale_O)), tuple(map(float, bias_O))
    return LogisticCorrection(method=method, per_slot=per_slot, scale=scale, bias=bias)


def _fitted(logs_NO: Floats, gold_N: Any, *, vector: bool, ridge: float) -> tuple[Floats, Floats]:
    n, n_options = logs_NO.shape
    n_scales, n_biases = (n_options, n_options) if vector else (1, 0)
    hit_NO = np.zeros((n, n_options))
    hit_NO[np.arange(n), gold_N] = 1.0

    def loss(x: Floats) -> tuple[float, Floats]:
        scale = np.exp(x[:n_scales])
        scores_NO = scale * logs_NO + (x[n_scales:] if n_biases else 0.0)
        found_NO = normalised(scores_NO)
        wrong_NO = np.exp(found_NO) - hit_NO
        slope = (wrong_NO * logs_NO * scale).sum(axis=0)
        grad = np.concatenate([slope if vector else slope.sum(keepdims=True), wrong_NO.sum(axis=0)[:n_biases]])
        return float(-(found_NO * hit_NO).sum() + ridge / 2 * (x**2).sum()), grad + ridge * x

    best = optimize.minimize(loss, np.zeros(n_scales + n_biases), jac=True, method="L-BFGS-B")
    bias_O = best.x[n_scales:] if n_biases else np.zeros(n_options)
    scale_O = np.exp(np.broadcast_to(best.x[:n_scales], n_options))
    return scale_O, bias_O
