"""Responders without a bias, and with a known one, sent through the whole pipeline: plan, model, store, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vlbias import scoring, session
from vlbias.config import RunConfig
from vlbias.errors import BadInput
from vlbias.estimates import Estimate
from vlbias.plan import plan, suite_file, suite_names
from vlbias.store import read

LEVEL = 0.05
MOST_TRIALS, MOST_OF_A_SWEEP = 1210, 880
FEWEST_PROBES = 24
BATCH = 1000
DEPTH = 0.4
SHAPELESS = ("none", "undetermined")
BLIND = ("always_A", "always_yes", "first_mentioned", "longest", "verbose_article", "refuser", "crash")
# Null responders see no difference between slots; those in BLIND answer by their options and are null for slots only.
NULL: dict[str, dict[str, Any]] = {
    "uniform": {"policy": "uniform"},
    "flat": {"accuracy": 0.7, "difficulty": 1.5, "noise": "sticky"},
    "always_A": {"prefer": "A", "preference": 1.0},
    "always_yes": {"policy": "yes"},
    "first_mentioned": {"policy": "first_mentioned"},
    "longest": {"policy": "longest"},
    "verbose_article": {"accuracy": 0.7, "phrase": "article"},
    "refuser": {"accuracy": 0.7, "refusals": 0.02},
    "crash": {"accuracy": 0.7, "crash": 4, "crash_share": 0.3},
}
SHAPES = ("head", "neighbour", "U", "inverted U", "volatile")
PLANTED: dict[str, dict[str, Any]] = {
    "conflict": {"head": 1.5, "decay": 0.1},
    "options": {"accuracy": 0.6, "prior": "4:1:1:1"},
    "judge": {"accuracy": 0.6, "home": 1.5},
    "needle": {"accuracy": 0.6, "spatial": "left", "effect": 0.6},
    "relations": {"policy": "yes"},
    "rotation": {"accuracy": 0.6, "ego": 0.3},
}
# A suite of six clusters leaves no p-value below .03, so only the number that the planted effect is about is asked.
TARGETS = {"relations": "relation_yes_less_no"}


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One run to make: a suite, a responder by name, and its arguments. `planted` is the true shape, or "effect"."""

    suite: str
    kind: str
    responder: str
    arguments: dict[str, Any] = field(default_factory=dict)
    planted: str | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the pipeline said of one run.

    `alarms[metric]` tells whether the metric found an effect at .05, Holm-adjusted over its estimates; None where the
    metric gave no p-value and no shape. `label` is the shape; `attrition_p` the test of missing answers; `covered` of
    `intervals` intervals of the accuracy of a slot hold the truth, where that is known.
    """

    spec: Spec
    n_probes: int
    alarms: dict[str, bool | None]
    label: str | None
    attrition_p: float | None
    covered: int
    intervals: int
    n_rows: int


def suites() -> tuple[dict[str, str], dict[str, str]]:
    """The bundled suites that can be planned here, with their kind, and those that cannot, with the reason."""
    known, refused = {}, {}
    for name in suite_names():
        try:
            _, kind = suite_file(name)
            plan(RunConfig(tasks=name, model="scripted", limit="1"))
        except BadInput as error:
            refused[name] = str(error).splitlines()[0]
        else:
            known[name] = kind
    return known, refused


def one_per_kind(known: dict[str, str]) -> dict[str, str]:
    """For each kind of probe, the suite that bears its name, else a drawn one, else the first."""
    out = {}
    for kind in sorted(set(known.values())):
        names = sorted(name for name, of in known.items() if of == kind)
        out[kind] = next((name for name in (kind, "drawn") if name in names), names[0])
    return out


def is_sweep(kind: str) -> bool:
    """Whether the trials of this kind are a sweep of the evidence over slots, so that a shape is measured."""
    return "shape" in scoring.of_kind(kind)


def specs(suite: str, kind: str, *, seed: int) -> list[Spec]:
    """The null and the planted runs of one suite."""
    null = [name for name in NULL if is_sweep(kind) or name not in BLIND]
    out = [Spec(suite=suite, kind=kind, responder=n, arguments=NULL[n], seed=seed) for n in null]
    if is_sweep(kind):
        return out + [Spec(suite=suite, kind=kind, responder=f"planted {s}", planted=s, seed=seed) for s in SHAPES]
    arguments = PLANTED.get(kind, {})
    return [*out, Spec(suite=suite, kind=kind, responder="planted", arguments=arguments, planted="effect", seed=seed)]


def profile(shape: str, n_slots: int) -> list[float]:
    """A curve of accuracies of this shape, [slots], `DEPTH` from the best slot to the worst."""
    x = [k / max(1, n_slots - 1) for k in range(n_slots)]
    curve = {
        "neighbour": x,
        "U": [(2 * v - 1) ** 2 for v in x],
        "inverted U": [1 - (2 * v - 1) ** 2 for v in x],
        "volatile": [float(k % 2 == 0) if 0 < k < n_slots - 1 else 0.5 for k in range(n_slots)],
    }.get(shape, [1 - v for v in x])
    return [0.5 + DEPTH * (v - 0.5) for v in curve]


def follow(spec: Spec) -> Finding:
    """Runs one spec in a folder of its own, which is gone afterwards."""
    per_probe, n_slots = _size(spec.suite, spec.seed)
    arguments: dict[str, Any] = {**spec.arguments, "seed": spec.seed}
    truth: list[float] | None = None
    if spec.planted and not spec.arguments:
        truth = profile(spec.planted, n_slots)
        arguments |= {"profile": ":".join(f"{v:.6f}" for v in truth), "difficulty": 1.0}
    elif "accuracy" in arguments and not spec.planted and is_sweep(spec.kind):
        truth = [arguments["accuracy"]] * n_slots
    one = RunConfig(
        tasks=spec.suite,
        model="scripted",
        model_args=arguments,
        limit=str(max(FEWEST_PROBES, (MOST_OF_A_SWEEP if is_sweep(spec.kind) else MOST_TRIALS) // per_probe)),
        batch_size=BATCH,
        mode="generate" if "phrase" in arguments else "score",
        seed=spec.seed,
    )
    asked = plan(one)
    with TemporaryDirectory(prefix="vlbias-") as scratch:
        folder = Path(scratch) / "run"
        session.ask(one, asked, folder=folder)
        outcomes = read(folder).outcomes
    found = {name: _over_all(scoring.measured(name, outcomes, seed=spec.seed)) for name in scoring.of_kind(spec.kind)}
    every = [e for estimates in found.values() for e in estimates]
    hits = [low <= 100 * truth[slot] <= high for slot, low, high in _slot_means(every)] if truth else []
    return Finding(
        spec=spec,
        n_probes=len(asked.probes),
        alarms={name: alarm(_asked_about(spec, estimates)) for name, estimates in found.items()},
        label=next((e.label for e in every if e.metric == "shape"), None),
        attrition_p=next((e.value for e in every if e.metric == "attrition_test"), None),
        covered=sum(hits),
        intervals=len(hits),
        n_rows=len(outcomes),
    )


@cache
def _size(suite: str, seed: int) -> tuple[int, int]:
    """The trials of one probe and its slots; the same for all responders of a suite."""
    one = plan(RunConfig(tasks=suite, model="scripted", seed=seed, limit="1"))
    return len(one.trials), max(t.n_slots for t in one.trials)


def _asked_about(spec: Spec, estimates: Sequence[Estimate]) -> Sequence[Estimate]:
    target = TARGETS.get(spec.kind) if spec.planted else None
    return estimates if target is None else [e for e in estimates if e.metric == target]


def _over_all(found: Sequence[Estimate]) -> list[Estimate]:
    """Those over all tasks. Some metrics know none: their task names a way of asking, and each way counts."""
    return [e for e in found if e.task == "all"] or list(found)


def alarm(estimates: Sequence[Estimate]) -> bool | None:
    """Whether a metric found an effect; None where it has neither a shape nor a p-value."""
    labels = [e.label for e in estimates if e.metric == "shape" and e.label is not None]
    if labels:
        return any(label not in SHAPELESS for label in labels)
    families: dict[tuple[str, ...], float] = {}
    for e in estimates:
        p = _p_value(e)
        if p is not None:
            key = _family(e)
            families[key] = min(p, families.get(key, 1.0))
    return min(families.values()) * len(families) <= LEVEL if families else None


def _family(estimate: Estimate) -> tuple[str, ...]:
    """What p-values of one estimate have already been adjusted over: its places, and its tasks where it says so."""
    adjusted = estimate.adjusted or ""
    place = () if "max-T" in adjusted or "pairs of slots" in adjusted else (str(estimate.slot), str(estimate.cell))
    return (estimate.metric, *place) if "tasks" in adjusted else (estimate.metric, estimate.task, *place)


def _p_value(estimate: Estimate) -> float | None:
    if estimate.metric == "attrition_test":
        return estimate.value
    return estimate.reference.p_value if estimate.reference else None


def _slot_means(estimates: Sequence[Estimate]) -> list[tuple[int, float, float]]:
    """The slot and the interval of each estimate of the accuracy of a slot."""
    return [
        (e.slot, e.low, e.high)
        for e in estimates
        if e.metric == "accuracy" and e.slot is not None and e.low is not None and e.high is not None
    ]
