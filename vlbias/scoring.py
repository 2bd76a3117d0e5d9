"""Measures a results folder and writes its reports; asks no model and imports no torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from vlbias import rooms
from vlbias.answers import Outcome
from vlbias.errors import BadInput
from vlbias.estimates import Comparison, Estimate
from vlbias.metrics import paired
from vlbias.proofs import kept
from vlbias.reports import Report
from vlbias.store import read, read_run

METRICS = (
    "curve",
    "bands",
    "contrasts",
    "spread",
    "flips",
    "shape",
    "detectable",
    "paired",
    "levelgauge",
    "fill",
    "failures",
)
WRITERS = ("results", "html", "card", "figures", "tables", "terminal")


def _untold(*_: int) -> None:
    """Hears nothing of how far the work is."""


def report(
    folder: Path,
    *,
    metrics: Sequence[str] | None = None,
    seed: int | None = None,
    tell: Callable[[int, int, int], None] = _untold,
) -> Report:
    """What a folder says: its run, its rows, and its estimates, measured afresh from the run's own seed.

    `tell` hears (done, total, failed) in metrics.
    """
    run = read_run(folder)
    outcomes = read(folder).outcomes
    if not outcomes:
        raise BadInput(f"{folder}: holds no rows yet; run the same command again to go on")
    own = of_kind(run.suite.get("kind"))
    if run.config.get("option_orders") is not None:
        own = (*own, "options")
    chosen = tuple(metrics or run.config.get("metrics") or own)
    start = int(run.config.get("seed", 0)) if seed is None else seed
    estimates = tuple(_all(chosen, outcomes, start, tell))
    return Report(run=run, estimates=estimates, outcomes=outcomes, proof=kept(folder))


def of_kind(kind: str | None) -> tuple[str, ...]:
    """The metrics of a kind of probe: what its file names in `METRICS`, else those of a sweep over slots."""
    if kind is None:
        return METRICS
    found: tuple[str, ...] = getattr(rooms.find("probes", kind), "METRICS", METRICS)
    return found


def measured(metric: str, outcomes: Sequence[Outcome], *, seed: int) -> list[Estimate]:
    """The estimates of one metric, whose stream of chance is its own: adding another metric does not change it."""
    key = int.from_bytes(metric.encode()[:8], "big")
    return list(rooms.find("metrics", metric).measure(outcomes, rng=np.random.default_rng([seed, key])))


def _all(
    metrics: Sequence[str], outcomes: Sequence[Outcome], seed: int, tell: Callable[[int, int, int], None]
) -> Iterator[Estimate]:
    for done, name in enumerate(metrics):
        tell(done, len(metrics), 0)
        yield from measured(name, outcomes, seed=seed)


def write(
    result: Report,
    *,
    folder: Path,
    writers: Sequence[str] = WRITERS,
    tell: Callable[[int, int, int], None] = _untold,
) -> list[Path]:
    """Writes every report into the folder and names the files; `tell` hears (done, total, failed) in reports."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    paths: list[Path] = []
    for done, name in enumerate(writers):
        tell(done, len(writers), 0)
        paths += rooms.find("reports", name).write(result, folder=folder)
    return paths


def compare(folders: Sequence[Path], *, seed: int = 0) -> Comparison:
    """Runs of one suite compared probe by probe: paired differences, p-values adjusted over the pairs."""
    runs = [(read_run(folder), read(folder).outcomes) for folder in folders]
    return paired.compare(runs, rng=np.random.default_rng(seed))
