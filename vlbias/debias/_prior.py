"""Divides the probability of each displayed place by a fitted prior: what PriDe, BOLD and their kin share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlbias.answers import Answer, Asked
from vlbias.debias._scores import Floats, cell, logprobs, normalised, rescored
from vlbias.errors import BadInput, NotApplicable

Table = dict[str, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class PriorCorrection:
    """p_corrected(place) is proportional to p(place) / prior(place); `prior` holds one distribution per cell."""

    method: str
    per_slot: bool
    prior: Mapping[str, tuple[float, ...]]

    def __call__(self, answer: Answer) -> Answer:
        """The corrected answer. Errors: NotApplicable for a slot or a number of options that was not fitted."""
        prior_O = looked_up(self.prior, answer.asked, per_slot=self.per_slot, method=self.method)
        return rescored(answer, logprobs(answer) - np.log(prior_O))

    def to_json(self) -> Mapping[str, Any]:
        """The prior of each cell."""
        return {"per_slot": self.per_slot, "prior": {name: list(p) for name, p in self.prior.items()}}


def prior_from_json(method: str, saved: Mapping[str, Any]) -> PriorCorrection:
    """A saved prior, checked: each cell holds positive shares that sum to 1."""
    table = table_from_json(method, saved, "prior")
    for name, values in table.items():
        if min(values) <= 0 or abs(sum(values) - 1) > 1e-6:
            raise BadInput(f"{method}: prior of {name}: found {list(values)}; right are positive shares that sum to 1")
    return PriorCorrection(method=method, per_slot=flag_from_json(method, saved), prior=table)


def table_from_json(method: str, saved: Mapping[str, Any], key: str) -> Table:
    """A saved table of numbers by cell."""
    found = saved.get(key)
    if not isinstance(found, Mapping) or not found:
        raise BadInput(f"{method}: the saved correction holds no {key}; save it again with vlbias debias")
    table: Table = {}
    for name, values in found.items():
        good = isinstance(values, list) and all(isinstance(v, int | float) and np.isfinite(v) for v in values)
        if not good or not values:
            raise BadInput(f"{method}: {key} of {name}: found {values!r}; right is a list of finite numbers")
        table[str(name)] = tuple(float(v) for v in values)
    return table


def flag_from_json(method: str, saved: Mapping[str, Any], key: str = "per_slot") -> bool:
    """A saved yes or no."""
    value = saved.get(key)
    if not isinstance(value, bool):
        raise BadInput(f"{method}: the saved {key} is {value!r}; right is true or false")
    return value


def looked_up(table: Mapping[str, tuple[float, ...]], asked: Asked, *, per_slot: bool, method: str) -> Floats:
    """The fitted numbers of a trial's cell."""
    name = cell(asked, per_slot=per_slot)
    if name not in table:
        raise NotApplicable(
            f"{method}: the correction was fitted for {'; '.join(sorted(table))}; trial {asked.trial_id} has {name}"
        )
    return np.asarray(table[name], dtype=np.float64)


def mean_by_cell(found: Iterable[tuple[str, Floats]]) -> dict[str, Floats]:
    """The mean of the vectors of each cell, in the order of their names."""
    groups: dict[str, list[Floats]] = defaultdict(list)
    for name, values in found:
        groups[name].append(values)
    return {name: np.mean(groups[name], axis=0) for name in sorted(groups)}


def prior_table(logs: Mapping[str, Floats]) -> Table:
    """Priors from their logarithms, normalised."""
    return {name: tuple(float(v) for v in np.exp(normalised(values_O))) for name, values_O in logs.items()}
