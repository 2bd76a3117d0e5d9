"""Checks the instrument on responders whose bias is known: what it must not find, what it must find, and how often."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, TypeAlias, TypeVar

from scipy import stats

from vlbias import responders
from vlbias.errors import VlbiasError
from vlbias.metrics._few_clusters import FewClusters, Held, held
from vlbias.metrics._rates import BIASED, INTERVALS, OPPOSITE, Case, Tally, tally
from vlbias.metrics._simulate import WORLDS
from vlbias.responders import Finding, Spec

QUICK_NULL, QUICK_SHAPE = 80, 12
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
RARE = 1e-3
Given = TypeVar("Given")
Got = TypeVar("Got")
Tell: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure with its 95 % interval and whether it reaches its goal; None where there is no number."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    goal: str
    ok: bool


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work: a run through the pipeline, or a number of simulated runs of a case or of few clusters."""

    work: Spec | Case | FewClusters
    n: int = 1
    seed: int = 0


def rows(*, seed: int = 0, workers: int = 1, tell: Tell = lambda _done, _total: None) -> list[Row]:
    """The quick form: every kind of probe and metric in the rooms, and the error rates of the decision on a shape.

    A suite or a metric that cannot be run gives a row that is not ok; nothing is left out silently.
    """
    known, refused = responders.suites()
    chosen = responders.one_per_kind(known)
    runs = [Job(work=s, seed=seed) for kind, name in chosen.items() for s in responders.specs(name, kind, seed=seed)]
    cases = [Job(work=case, n=n, seed=seed) for case, n in quick_cases()]
    found = list(in_parallel(done, [*runs, *cases], workers=workers, tell=tell))
    findings = [f for f in found if isinstance(f, Finding)]
    broken = [f for f in found if isinstance(f, str)]
    tallies = [f for f in found if isinstance(f, Tally)]
    return [_suites(chosen, refused, broken), *pipeline_rows(findings), *rate_rows(tallies)]


def quick_cases() -> list[tuple[Case, int]]:
    """The simulated cases of the quick form, with the number of runs of each."""
    null = [(Case(world=w, n_probes=n), QUICK_NULL) for w in WORLDS for n in (120, 300)]
    large = [(Case(world=w, n_probes=300, shape=s, points=12), QUICK_SHAPE) for w in WORLDS for s in BIASED]
    return [*null, *large, (Case(world="independent", n_probes=300, shape="head", points=6), QUICK_NULL)]


def done(job: Job) -> Finding | Tally | Held | str:
    """The result of one job; words where the pipeline refuses."""
    if isinstance(job.work, Case):
        return tally(job.work, n=job.n, seed=job.seed)
    if isinstance(job.work, FewClusters):
        return held(job.work, n=job.n, seed=job.seed)
    try:
        return responders.follow(job.work)
    except VlbiasError as error:
        return f"{job.work.suite}, {job.work.responder}: {error}"


def in_parallel(
    work: Callable[[Given], Got], given: Sequence[Given], *, workers: int, tell: Tell = lambda _done, _total: None
) -> Iterator[Got]:
    """The results in the order of what is given, by this process or by several."""
    if workers < 2:
        for number, one in enumerate(given, start=1):
            yield work(one)
            tell(number, len(given))
        return
    with _one_thread_each(), ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for number, got in enumerate(pool.map(work, given), start=1):
            yield got
            tell(number, len(given))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started here compute on one thread each; else their linear algebra fights for the same cores."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def pipeline_rows(findings: Sequence[Finding]) -> list[Row]:
    """Per metric, the null responders that it alarms on; then what was planted, and what was withheld."""
    null = [f for f in findings if f.spec.planted is None and f.spec.responder != "crash"]
    out = [_alarms(kind, metric, found) for (kind, metric), found in _by_metric(null).items()]
    sweeps = [f for f in findings if f.spec.planted in responders.SHAPES]
    if sweeps:
        right = sum(f.label == f.spec.planted for f in sweeps)
        out.append(share_row("planted_shapes", right, len(sweeps), at_least=0.8))
    for f in findings:
        if f.spec.planted == "effect":
            seen = sorted(name for name, alarm in f.alarms.items() if alarm)
            goal = f"an effect is found; by: {', '.join(seen) or 'no metric'}"
            out.append(
                Row(name=f"planted_{f.spec.kind}", value=len(seen), low=None, high=None, goal=goal, ok=bool(seen))
            )
    crashed = [f for f in findings if f.spec.responder == "crash"]
    if crashed:
        held = [f.attrition_p is not None and f.attrition_p < 0.01 and f.label == "undetermined" for f in crashed]
        goal = "30 % of one slot missing: the attrition test fires and the label is withheld"
        out.append(Row(name="crash_withheld", value=float(all(held)), low=None, high=None, goal=goal, ok=all(held)))
    n = sum(f.intervals for f in findings)
    if n:
        # The slots of a run share their items, so a run is one draw, not ten.
        n_runs = sum(f.intervals > 0 for f in findings)
        share = sum(f.covered for f in findings) / n
        half = 1.96 * math.sqrt(0.05 * 0.95 / n_runs)
        goal = "0.93 to 0.97 within the interval; slot means of the pipeline"
        low, high = max(0.0, share - half), min(1.0, share + half)
        out.append(
            Row(name="slot_coverage", value=share, low=low, high=high, goal=goal, ok=low <= 0.97 and high >= 0.93)
        )
    return out


def rate_rows(tallies: Sequence[Tally]) -> list[Row]:
    """The error rates of the decision over the simulated cases."""
    null = [t for t in tallies if t.case.points == 0]
    large = [t for t in tallies if t.case.points == 12 and t.case.n_probes == 300]
    power = [t for t in tallies if t.case.points == 6 and t.case.n_probes == 300 and t.case.shape == "head"]
    power = [t for t in power if t.case.world == "independent"]
    sure = sum(sum(t.sure.values()) for t in large)
    wrong = sum(count for t in large for shape, count in t.sure.items() if shape != t.case.shape)
    opposite = sum(t.sure[OPPOSITE[t.case.shape]] for t in large if t.case.shape in OPPOSITE)
    n, n_power = sum(t.n for t in null), sum(t.n for t in power)
    by_gold, by_right = sum(t.found_gold for t in power), sum(t.found for t in power)
    return [
        share_row("false_alarm_rate", sum(t.found for t in null), n, at_least=0.03, at_most=0.07),
        share_row("false_alarm_rate_gold", sum(t.found_gold for t in null), n, at_least=0.03, at_most=0.07),
        share_row("label_accuracy", sum(t.labels[t.case.shape] for t in large), sum(t.n for t in large), at_least=0.85),
        share_row("wrong_when_sure", wrong, sure, at_most=0.02),
        Row(name="opposite_when_sure", value=opposite, low=None, high=None, goal="0", ok=opposite == 0),
        coverage_row("interval_coverage", tallies, INTERVALS),
        share_row("power_6pt_300", by_right, n_power, at_least=0.45),
        share_row("power_6pt_300_gold", by_gold, n_power, at_least=by_right / n_power),
    ]


def coverage_row(name: str, tallies: Sequence[Tally], kinds: Sequence[str]) -> Row:
    """The share of intervals of these kinds that hold the truth; those of one run count as one draw."""
    held_ = sum(t.held[kind] for t in tallies for kind in kinds)
    made = sum(t.intervals[kind] for t in tallies for kind in kinds)
    n = sum(t.n for t in tallies)
    return share_row(name, round(n * held_ / made) if made else 0, n if made else 0, at_least=0.93, at_most=0.97)


def share_row(name: str, hits: int, n: int, *, at_least: float = 0.0, at_most: float = 1.0) -> Row:
    """A share of `n` with its Wilson interval; ok unless the interval lies outside the goal."""
    goal = f"{at_least:.2g} to {at_most:.2g}" if at_most < 1 else f"at least {at_least:.2g}"
    goal = f"{goal}; {n} runs"
    if n == 0:
        return Row(name=name, value=None, low=None, high=None, goal=goal, ok=False)
    low, high = wilson(hits, n)
    return Row(name=name, value=hits / n, low=low, high=high, goal=goal, ok=high >= at_least and low <= at_most)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    found = stats.binomtest(hits, n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def allowed(n: int, *, level: float = responders.LEVEL) -> int:
    """The most alarms of `n` that chance gives oftener than one time in a thousand, and never all of them.

    A row that allows every run an alarm could not fail.
    """
    return min(int(stats.binom.isf(RARE, n, level)), n - 1)


def _by_metric(findings: Iterable[Finding]) -> dict[tuple[str, str], list[bool | None]]:
    out: dict[tuple[str, str], list[bool | None]] = {}
    for f in findings:
        for metric, alarm in f.alarms.items():
            out.setdefault((f.spec.kind, metric), []).append(alarm)
    return out


def _alarms(kind: str, metric: str, found: Sequence[bool | None]) -> Row:
    heard = [alarm for alarm in found if alarm is not None]
    n = sum(heard)
    if not heard:
        goal = f"no p-value and no shape in {len(found)} null runs, so nothing can be alarmed"
        return Row(name=f"null_{kind}_{metric}", value=None, low=None, high=None, goal=goal, ok=True)
    most = allowed(len(heard))
    goal = f"at most {most} alarms of {len(heard)} null runs"
    return Row(name=f"null_{kind}_{metric}", value=n, low=0, high=most, goal=goal, ok=n <= most)


def _suites(chosen: Mapping[str, str], refused: Mapping[str, str], broken: Sequence[str]) -> Row:
    said = f"each kind of probe is run: {', '.join(f'{kind} by {name}' for kind, name in chosen.items())}"
    if refused:
        said += f"; need data that is not here: {', '.join(sorted(refused))}"
    if broken:
        said += f"; failed: {'; '.join(broken)}"
    return Row(name="kinds", value=len(chosen), low=None, high=None, goal=said, ok=bool(chosen) and not broken)


def as_json(found: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as JSON takes them."""
    return [{"name": r.name, "value": r.value, "low": r.low, "high": r.high, "goal": r.goal, "ok": r.ok} for r in found]
