"""Writes results.json for programs, with the keys that evaluation harnesses share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import NormalDist
from typing import Any

from vlbias.answers import Answer, Tally
from vlbias.estimates import Estimate
from vlbias.reports import Report
from vlbias.reports._failed import failures, first_reasons
from vlbias.reports._reading import curve, n_slots, suite_name, tasks
from vlbias.reports._text import model_name, save

SCHEMA_VERSION = 1
NAME = "results.json"


def write(report: Report, *, folder: Path) -> list[Path]:
    """Writes `results.json`, strict JSON: it never holds NaN or infinity."""
    text = json.dumps(content(report), indent=2, allow_nan=False, ensure_ascii=False, default=_plain)
    return [save(folder / NAME, text + "\n")]


def content(report: Report) -> dict[str, Any]:
    """What the file holds. `acc,none` is a share of 1, as other harnesses write it; all else keeps its own unit."""
    run = report.run
    return {
        "schema_version": SCHEMA_VERSION,
        "vlbias_version": run.versions.get("vlbias"),
        "model_name": model_name(run.identity.name),
        "model_source": run.identity.adapter,
        "date": run.created_utc,
        "start_time": run.created_utc,
        "end_time": run.finished_utc,
        "git_hash": run.versions.get("git"),
        "results": {task: _task(report, task) for task in dict.fromkeys(["all", *(e.task for e in report.estimates)])},
        "stderr_method": "half of the 95 % interval over 1.96; N/A where there is no interval",
        "n-samples": {task: _samples(report, task) for task in ["all", *tasks(report)]},
        "configs": dict(run.config),
        "config_sha256": run.config_sha256,
        "suite": {"name": suite_name(run), "sha256": run.suite_sha256},
        "versions": dict(run.versions),
        "identity": asdict(run.identity) | {"name": model_name(run.identity.name)},
        "machine": dict(run.machine),
        "canary": run.canary,
        "verification": asdict(run.verification) if run.verification else None,
        "cost": asdict(run.cost),
        "position": {
            "axis": "slot",
            "slots_counted_from": 0,
            "n_slots": n_slots(report),
            "curve": {t: [_point(e) for e in curve(report, "accuracy", task=t)] for t in ["all", *tasks(report)]},
        },
        "estimates": [asdict(e) for e in report.estimates],
        "failures": [
            {"slot": row.slot, "name": row.name, "asked": row.asked, "failed": row.failed, "kinds": dict(row.kinds)}
            for row in failures(report)
        ],
        "failure_reasons": dict(first_reasons(report)),
        "notes": list(run.notes),
    }


def _task(report: Report, task: str) -> dict[str, Any]:
    row: dict[str, Any] = {"alias": task}
    for e in report.estimates:
        if e.task != task or e.slot is not None:
            continue
        name, scale = ("acc", 0.01) if e.metric == "accuracy" else (e.metric, 1.0)
        row[f"{name},none"] = e.label if e.label is not None else None if e.value is None else e.value * scale
        row[f"{name}_stderr,none"] = _stderr(e, scale)
    return row


def _stderr(e: Estimate, scale: float) -> float | str:
    if e.low is None or e.high is None:
        return "N/A"
    return scale * (e.high - e.low) / (2 * NormalDist().inv_cdf(0.5 + e.confidence / 2))


def _samples(report: Report, task: str) -> dict[str, int | None]:
    rows = [o for o in report.outcomes if not isinstance(o, Tally) and task in ("all", o.asked.task)]
    if not rows:
        return {"original": None, "effective": None}
    asked = {o.asked.probe_id for o in rows}
    unfinished = {o.asked.probe_id for o in rows if not isinstance(o, Answer)}
    return {"original": len(asked), "effective": len(asked - unfinished)}


def _point(e: Estimate) -> dict[str, Any]:
    return {
        "position": e.slot,
        "mean": e.value,
        "ci_low": e.low,
        "ci_high": e.high,
        "n": e.n,
        "n_clusters": e.clusters,
        "null_reference": asdict(e.reference) if e.reference else None,
    }


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no place in a results file")
