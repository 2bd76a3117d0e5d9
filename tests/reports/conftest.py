"""Reports to write: a realistic one, one of counts only, a hostile one and an empty one."""

import math

import numpy as np
import pytest

from vlbias.answers import Answer, Asked, Audit, Failure, FrameAudit, Outcome, Tally
from vlbias.estimates import Cost, Estimate, Reference, RunInfo
from vlbias.records import Identity
from vlbias.reports import Report

SLOTS, PROBES, TASKS = 10, 120, ("colour", "count", "shape", "motion", "glyph", "order")
HOSTILE = '<script>alert(1)</script>\x1b[31m{{7*7}}"><img src=x onerror=alert(2)> [x](javascript:alert(3)) =cmd()'


def run_info(name: str = "Org/Tiny-VL", **other) -> RunInfo:
    fields = {
        "run_name": "tiny-ends",
        "created_utc": "2026-11-23T10:00:00Z",
        "finished_utc": "2026-11-23T10:05:00Z",
        "config": {"model": {"adapter": "hf", "name": name}, "seed": 7, "suite": "insertion-small"},
        "config_sha256": "c" * 64,
        "suite": {"name": "insertion-small"},
        "suite_sha256": "5" * 64,
        "identity": Identity(adapter="hf", name=name, dtype="float32", position_rule="mrope", revision="abc123"),
        "versions": {"vlbias": "0.1.0", "torch": "2.15"},
        "machine": {"cpu": "2 cores"},
        "command": "vlbias run configs/ends.yaml",
        "canary": "passed",
        "cost": Cost(
            wall_s=301.0, decode_s=40.0, model_s=220.0, n_forwards=1320, n_tokens=910_000, n_clips_decoded=400,
            peak_memory_bytes=2_000_000_000, sessions=1,
        ),
        "n_asked": PROBES * (SLOTS + 1),
    }  # fmt: skip
    return RunInfo(**{**fields, **other})


def asked(probe: int, slot: int | None, task: str, **other) -> Asked:
    fields = {
        "trial_id": f"p{probe}-{slot}",
        "probe_id": f"p{probe}",
        "cluster_id": f"c{probe // 2}",
        "background_ids": ("b1", "b2"),
        "task": task,
        "slot": slot,
        "n_slots": SLOTS,
        "n_options": 4,
        "gold": probe % 4,
        "option_order": (0, 1, 2, 3),
    }
    return Asked(**{**fields, **other})


def audit() -> Audit:
    frame = FrameAudit(
        segment_id="e", media_sha256="a" * 64, frames_sha256="f" * 64, timestamps_s=(0.0, 0.5), decoder="pyav",
        decoder_version="18",
    )  # fmt: skip
    return Audit(
        prompt_sha256="d" * 64, segments=(frame,), segment_spans=((3, 9),), n_tokens=40, n_frames=2, batch_size=4
    )


def answers(rng: np.random.Generator) -> list[Outcome]:
    rows: list[Outcome] = []
    for probe in range(PROBES):
        for slot in [None, *range(SLOTS)]:
            task = TASKS[probe % len(TASKS)]
            chance = 0.9 if slot is None else 0.52 + 0.33 * (2 * slot / (SLOTS - 1) - 1) ** 2
            a = asked(probe, slot, task)
            if rng.random() < 0.01:
                rows.append(Failure(asked=a, kind="decode", reason="clip.mp4: moov atom not found", path="clip.mp4"))
                continue
            right = rng.random() < chance
            scores = [math.log(0.1)] * 4
            chosen = a.gold if right else (a.gold + 1) % 4
            scores[chosen] = math.log(0.7)
            rows.append(
                Answer(asked=a, chosen=chosen, logprobs=tuple(scores), level="exact", reply=None, audit=audit())
            )
    return rows


def share(rows: list[Outcome], metric: str, task: str, slot: int | None) -> Estimate:
    right = [float(o.correct) for o in rows if isinstance(o, Answer)]
    mean = float(np.mean(right)) * 100
    half = 196 * float(np.std(right)) / math.sqrt(len(right))
    around = Reference(mean=64, low=57, high=71, p_value=0.02, method="shuffled slots") if slot is not None else None
    return Estimate(
        metric=metric, task=task, slot=slot, value=mean, unit="points", low=max(0, mean - half),
        high=min(100, mean + half), interval="cluster bootstrap", n=len(right), clusters=60, reference=around,
    )  # fmt: skip


def point(metric: str, value: float, **other) -> Estimate:
    none = Reference(mean=0, low=-4, high=4, p_value=0.0004, method="sign flips over clusters")
    fields = {
        "metric": metric, "value": value, "unit": "points", "low": value - 5, "high": value + 5, "n": 1200,
        "clusters": 60, "interval": "cluster bootstrap", "reference": none, "adjusted": "Holm over 4 tests",
    }  # fmt: skip
    return Estimate(**{**fields, **other})


def estimates(rows: list[Outcome]) -> list[Estimate]:
    found = [share([o for o in rows if o.asked.slot is None], "accuracy_alone", "all", None)]
    for task in ("all", *TASKS):
        mine = [o for o in rows if task in ("all", o.asked.task) and o.asked.slot is not None]
        found.append(share(mine, "accuracy", task, None))
        for slot in range(SLOTS):
            here = [o for o in mine if o.asked.slot == slot]
            found.append(share(here, "accuracy", task, slot))
            found.append(share(here, "gold_probability", task, slot))
    for of in ("accuracy", "gold_probability"):
        found += [point(f"{of}_head_minus_middle", 29.3), point(f"{of}_neighbour_minus_middle", 31.1)]
        found += [point(f"{of}_slope", 0.4), point(f"{of}_curvature", 33.0)]
    found.append(
        point("accuracy_any_effect", 112.0, unit="chi-square", low=None, high=None, interval="a test has none")
    )
    found += [point("flip_rate", 61.0), point("accuracy_range", 38.2), point("accuracy_rms_effect", 12.0)]
    found.append(point("accuracy_variance", 144.0, unit="points²"))
    found.append(Estimate(metric="shape", label="U", value=0.97, n=PROBES, clusters=60, interval="bootstrap share"))
    found += [point(f"levelgauge_{name}", 0.4, unit="") for name in ("RS", "Smeta", "Pbs", "Pran", "Pvar", "Pmean")]
    found.append(Estimate(metric="levelgauge_CM", value=0.31, n=1200, notes=("weights 0.25 0.25 0.25 0.25",)))
    found.append(Estimate(metric="levelgauge_MR", label="U-shaped", n=1200))
    found += [point("failure_rate", 1.1), point("attrition_test", 0.6, unit="p")]
    found.append(Estimate(metric="a_new_metric", task="colour", value=1.25, unit="nats", n=5, notes=("brand new",)))
    return found


@pytest.fixture(scope="session")
def report() -> Report:
    rows = answers(np.random.default_rng(3))
    return Report(run=run_info(), estimates=estimates(rows), outcomes=rows)


@pytest.fixture(scope="session")
def counts_only() -> Report:
    rows = [Tally(task="colour", slot=k, n_slots=4, right=60 + k, wrong=40 - k) for k in range(4)]
    why = "not available: counts only"
    found = [Estimate(metric="accuracy", slot=k, value=60.0 + k, unit="points", n=100, interval=why) for k in range(4)]
    found.append(Estimate(metric="accuracy_head_minus_middle", unit="points", interval=why, notes=(why,)))
    found.append(Estimate(metric="shape", label="undetermined", interval=why, notes=(why,)))
    return Report(run=run_info(), estimates=found, outcomes=rows)


@pytest.fixture(scope="session")
def hostile() -> Report:
    long = HOSTILE + "n" * 200
    a = asked(0, 0, HOSTILE, probe_id=long, trial_id=long)
    rows = [
        Answer(asked=a, chosen=1, logprobs=None, level="generated", reply=HOSTILE, audit=audit()),
        Failure(asked=asked(1, 0, HOSTILE), kind="parse", reason=HOSTILE, reply=HOSTILE),
    ]
    found = [
        Estimate(metric="accuracy", task=task, slot=k, value=50.0, unit="points", n=2)
        for task in ("all", HOSTILE, "$x$ 題")
        for k in range(2)
    ]
    found.append(Estimate(metric=HOSTILE, task=HOSTILE, label=HOSTILE, unit=HOSTILE, notes=(HOSTILE,)))
    run = run_info(name=HOSTILE, suite={"name": HOSTILE}, config={"a": HOSTILE}, command=HOSTILE, canary=HOSTILE)
    return Report(run=run, estimates=found, outcomes=rows)


@pytest.fixture(scope="session")
def empty() -> Report:
    rows = [Failure(asked=asked(0, 0, "colour"), kind="memory", reason="out of memory")]
    found = [Estimate(metric="accuracy", slot=0, unit="points", notes=("no answers",))]
    return Report(run=run_info(), estimates=found, outcomes=rows)
