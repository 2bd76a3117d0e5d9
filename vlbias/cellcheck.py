"""Counts how often a pattern of cells that is planted in a scripted model comes back, and how often none is invented.

The trials are those of the bundled suites, and the rows go the way of every run; only the images are not drawn, because
a script does not look.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from vlbias import rooms
from vlbias.answers import Answer, Outcome
from vlbias.config import RunConfig
from vlbias.estimates import Estimate
from vlbias.places import FEWEST_TOKENS, asked_place
from vlbias.plan import Plan, plan
from vlbias.prompts import prompt
from vlbias.records import Detection, Prompt
from vlbias.run import row
from vlbias.selfcheck import in_parallel

PLANTED = ("centre", "bottom_right", "left", "checkerboard")
ACCURACY, EFFECT, SPREAD_OF_ITEMS = 0.6, 0.3, 1.0
PRECISION = "detection_average_precision"
CHUNK = 10
SUMMED = ("n", "named", "patterned", "inside", "intervals")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A bundled suite on a square of `side` cells with `items` items.

    A `detector` is asked `detection`: what it does not find has no box, and boxes have scores. On a `canvas` answers
    tell how sure they are, elsewhere only what is chosen.
    """

    kind: str
    side: int
    items: int

    @property
    def task(self) -> str:
        """The bundled suite, which has the name of its metric."""
        return "detection" if self.kind == "detector" else self.kind

    @property
    def name(self) -> str:
        """What a table calls it."""
        return f"{self.kind}, {self.side} x {self.side}, {self.items} items"


@dataclass(frozen=True, kw_only=True)
class Job:
    """Some seeds of a setting and a planted pattern (`none`: no cell is better): `n` from `first` on."""

    setting: Setting
    planted: str
    first: int
    n: int


@dataclass(frozen=True, kw_only=True)
class Count:
    """Of `n` models: in how many every map of sight has the planted pattern, and in how many any map has one.

    `inside` of `intervals` intervals of the average precision of rows, columns and rings hold the truth, where it is
    known: of a detector without a pattern, which finds nothing in a wrong place, it is the share that it finds.
    """

    setting: str
    planted: str
    n: int
    named: int
    patterned: int
    inside: int = 0
    intervals: int = 0


SETTINGS = (
    Setting(kind="detection", side=3, items=100),
    Setting(kind="detection", side=5, items=48),
    Setting(kind="detector", side=3, items=48),
    Setting(kind="canvas", side=3, items=100),
    Setting(kind="canvas", side=5, items=48),
    Setting(kind="needle", side=3, items=24),
)


def counted(
    settings: Sequence[Setting],
    *,
    flat: int,
    planted: int,
    workers: int = 1,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Count]:
    """The counts of `flat` models without a pattern and `planted` of each pattern, for every setting."""
    jobs = [
        Job(setting=setting, planted=pattern, first=k, n=min(CHUNK, n - k))
        for setting in settings
        for pattern, n in (("none", flat), *((p, planted) for p in PLANTED))
        for k in range(0, n, CHUNK)
    ]
    found: dict[tuple[str, str], list[Count]] = {}
    for one in in_parallel(count, jobs, workers=workers, tell=tell):
        found.setdefault((one.setting, one.planted), []).append(one)
    return [_together(counts) for counts in found.values()]


@lru_cache(maxsize=1)
def planned(setting: Setting) -> Plan:
    """The trials of a setting; kept, because all jobs of a setting follow one another."""
    sides = {"side": setting.side} if setting.kind == "needle" else {"rows": setting.side, "columns": setting.side}
    return plan(RunConfig(tasks=setting.task, model="scripted", task_args={**sides, "items": setting.items}))


def count(job: Job) -> Count:
    """What is said of the models of a job."""
    kind, asked = job.setting.kind, planned(job.setting)
    shown = [prompt(trial, {}, asked.style) for trial in asked.trials]
    # Only without a pattern is the true precision known.
    metrics = (job.setting.task, *(("precision",) if kind == "detector" and job.planted == "none" else ()))
    found: list[Count] = []
    for seed in range(job.first, job.first + job.n):
        rows = answers(shown, planted=job.planted, graded=kind == "canvas", seed=seed)
        if kind == "detector":
            rows = [as_detector(one, rng=np.random.default_rng([seed, k])) for k, one in enumerate(rows)]
        rng = np.random.default_rng(seed)
        said = [e for name in metrics for e in rooms.find("metrics", name).measure(rows, rng=rng)]
        found.append(_of_one(job, said))
    return _together(found)


def _of_one(job: Job, said: Sequence[Estimate]) -> Count:
    maps = [e for e in said if e.metric.endswith("_pattern")]
    sights = [e for e in maps if not e.metric.endswith("_leaning_pattern")]
    zones = [e for e in said if e.metric.startswith(f"{PRECISION}_50_of_") and job.planted == "none"]
    held = [e.low <= 100 * ACCURACY <= e.high for e in zones if e.low is not None and e.high is not None]
    return Count(
        setting=job.setting.name,
        planted=job.planted,
        n=1,
        named=bool(sights) and all(e.label == job.planted for e in sights),
        patterned=any(e.label != "none" for e in maps),
        inside=sum(held),
        intervals=len(held),
    )


def answers(shown: Sequence[Prompt], *, planted: str, graded: bool, seed: int) -> list[Outcome]:
    """The rows of a scripted model; items differ, and answers to one item have luck of their own."""
    script: dict[str, Any] = {"accuracy": ACCURACY, "difficulty": SPREAD_OF_ITEMS, "seed": seed}
    script |= {"scores": "graded"} if graded else {}
    script |= {} if planted == "none" else {"spatial": planted, "effect": EFFECT}
    model = rooms.find("models", "scripted").load(**script)
    places = shown[0].trial is not None and asked_place(shown[0].trial) is not None
    given = model.generate(shown, max_new_tokens=FEWEST_TOKENS) if places else model.score(shown)
    written_as = model.identity.box_format
    return [row(one, got, batch_size=1, box_format=written_as) for one, got in zip(shown, given, strict=True)]


def as_detector(found: Outcome, *, rng: np.random.Generator) -> Outcome:
    """The answer as a detector gives it: the box with a score where it is the thing's, else none."""
    assert isinstance(found, Answer) and found.box_xyxy is not None, found
    target = [float(v) for v in dict(found.asked.factors)["target"].split(",")]
    if max(abs(a - b) for a, b in zip(found.box_xyxy, target, strict=True)) > 0.05:
        return replace(found, box_xyxy=None, detections=())
    return replace(found, detections=(Detection(box_xyxy=found.box_xyxy, score=float(rng.uniform(0.1, 1.0))),))


def _together(counts: Sequence[Count]) -> Count:
    """The counts of one setting and pattern as one."""
    sums = {name: sum(getattr(one, name) for one in counts) for name in SUMMED}
    return replace(counts[0], **sums)


def page(found: Sequence[Count]) -> str:
    """The counts as a table of Markdown, one row per setting."""
    names = [name.replace("_", " ") for name in PLANTED]
    lines = ["| | " + " | ".join([*names, "none, called biased"]) + " |", "|---" * (len(names) + 2) + "|"]
    for setting in dict.fromkeys(one.setting for one in found):
        mine = {one.planted: one for one in found if one.setting == setting}
        told = [f"{mine[p].named} of {mine[p].n}" if p in mine else "" for p in PLANTED]
        none = f"{mine['none'].patterned} of {mine['none'].n}" if "none" in mine else ""
        lines.append("| " + " | ".join([setting, *told, none]) + " |")
    inside, intervals = (sum(getattr(one, name) for one in found) for name in ("inside", "intervals"))
    if intervals:
        lines += [
            "",
            f"Intervals of average precision in rows, columns and rings hold the truth: {inside} of {intervals}.",
        ]
    return "\n".join(lines) + "\n"
