"""Says what each placement of a prompt's pieces changes against one explicit baseline: accuracy, and predictions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from vlbias.answers import Answer, Failure, Outcome
from vlbias.estimates import Estimate, Reference
from vlbias.metrics._blocks import rows
from vlbias.metrics._means import mean_estimate

UNFIT = "unfit"
SIGN_FLIPS = 1999
ADJUSTED = "Benjamini-Hochberg over the placements"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The answers of one probe at a placement and at the baseline."""

    there: Answer
    base: Answer

    @property
    def change(self) -> float:
        """The change of correctness in points."""
        return 100.0 * (self.there.correct - self.base.correct)


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """Accuracy change and prediction change of each placement (points), as in DPP (arXiv 2507.22887); `task` names it.

    The accuracy change is paired over probes. Its p-value is of a Wilcoxon signed-rank test on the mean changes of the
    clusters (zeros after Pratt 1959), adjusted over the placements for the false discovery rate; its reference is
    the change under random signs of the clusters. A placement that the model cannot take is not applicable, and says
    why; it has no value.
    """
    by_name: dict[str, dict[str, Answer | Failure]] = defaultdict(dict)
    baseline: str | None = None
    for row in rows(outcomes):
        told = dict(row.asked.factors)
        if "placement" in told and "baseline" in told:
            by_name[told["placement"]][row.asked.probe_id] = row
            baseline = told["baseline"]
    if baseline is None:
        return []
    found = [_compared(name, by_name[name], by_name[baseline], rng=rng) for name in sorted(by_name) if name != baseline]
    accuracy = [_accuracy(name, by_name[name], baseline, rng=rng) for name in sorted(by_name)]
    return [*accuracy, *_adjusted([pair[0] for pair in found]), *(pair[1] for pair in found)]


def _accuracy(name: str, here: Mapping[str, Answer | Failure], baseline: str, *, rng: np.random.Generator) -> Estimate:
    answers = [row for row in here.values() if isinstance(row, Answer) and row.chosen is not None]
    notes = ("the baseline",) if name == baseline else ()
    blank = Estimate(metric="placement_accuracy", task=name, unit="points", notes=(*notes, *_why_none(here)))
    values = [100.0 * answer.correct for answer in answers]
    return mean_estimate(blank, values, [answer.asked.cluster_id for answer in answers], rng=rng)


def _compared(
    name: str,
    here: Mapping[str, Answer | Failure],
    base: Mapping[str, Answer | Failure],
    *,
    rng: np.random.Generator,
) -> tuple[Estimate, Estimate]:
    pairs = [
        Pair(there=there, base=before)
        for probe_id, there in sorted(here.items())
        if isinstance(there, Answer) and isinstance(before := base.get(probe_id), Answer)
        if there.chosen is not None and before.chosen is not None
    ]
    clusters = [pair.there.asked.cluster_id for pair in pairs]
    lost = len(here) - len(pairs)
    notes = (*_why_none(here), *((f"{lost} of {len(here)} probes lack an answer in one place",) if lost else ()))
    accuracy = Estimate(metric="placement_accuracy_change", task=name, unit="points", notes=notes)
    prediction = Estimate(metric="placement_prediction_change", task=name, unit="points", notes=notes)
    changes = [pair.change for pair in pairs]
    flips = [100.0 * (pair.there.chosen != pair.base.chosen) for pair in pairs]
    null = _reference(changes, clusters, rng=rng) if pairs else None
    return (
        mean_estimate(accuracy, changes, clusters, rng=rng, bounds=(-100.0, 100.0), reference=null),
        mean_estimate(prediction, flips, clusters, rng=rng),
    )


def _reference(changes: Sequence[float], clusters: Sequence[str], *, rng: np.random.Generator) -> Reference:
    cluster_N = np.unique(clusters, return_inverse=True)[1].reshape(-1)
    sums_G = np.bincount(cluster_N, weights=changes)
    sign_BG = rng.choice([-1.0, 1.0], size=(SIGN_FLIPS, len(sums_G)))
    null_B = sign_BG @ sums_G / len(changes)
    low, high = np.quantile(null_B, [0.025, 0.975])
    means_G = sums_G / np.bincount(cluster_N)
    # Without any change the ranks do not exist, and nothing speaks against the null.
    p_value = float(stats.wilcoxon(means_G, zero_method="pratt").pvalue) if np.any(means_G) else 1.0
    method = f"Wilcoxon signed-rank over {len(sums_G)} clusters; range of {SIGN_FLIPS} random signs"
    return Reference(mean=float(null_B.mean()), low=float(low), high=float(high), p_value=p_value, method=method)


def _adjusted(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The same estimates with p-values adjusted for the false discovery rate (Benjamini and Hochberg 1995)."""
    tested = [e for e in estimates if e.reference is not None and e.reference.p_value is not None]
    if not tested:
        return list(estimates)
    raised = stats.false_discovery_control([e.reference.p_value for e in tested if e.reference])
    by_task = {e.task: float(p) for e, p in zip(tested, raised)}
    return [
        replace(e, reference=replace(e.reference, p_value=by_task[e.task]), adjusted=ADJUSTED)
        if e.reference is not None and e.task in by_task
        else e
        for e in estimates
    ]


def _why_none(here: Mapping[str, Answer | Failure]) -> tuple[str, ...]:
    unfit = [row for row in here.values() if isinstance(row, Failure) and row.kind == UNFIT]
    if unfit and len(unfit) == len(here):
        return (f"not applicable to this model: {unfit[0].reason}",)
    return ()
