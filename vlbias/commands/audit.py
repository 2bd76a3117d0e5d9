"""`vlbias audit`: somebody's predictions for a data set, zone by zone."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def command(
    file: Annotated[Path, typer.Argument(help="The data set's file of targets (a folder for screenspot_pro).")],
    format_: Annotated[str, typer.Option("--format", help="screenspot_pro or coco.")],
    predictions: Annotated[Path, typer.Option("--predictions", help="JSON or JSONL rows of id and point or box.")],
    frame: Annotated[str, typer.Option("--frame", help="Of the predictions: pixels, 0..1 or 0..1000.")],
    against: Annotated[Path | None, typer.Option("--against", help="A second file of predictions.")] = None,
    zones: Annotated[str, typer.Option("--zones", help="rings, rows or columns.")] = "rings",
    seed: Annotated[int, typer.Option("--seed", help="One integer.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Say where in the image predictions are right, and what is left among targets of one size and type."""
    import numpy as np

    from vlbias import audit

    rng = np.random.default_rng(seed)
    found = audit.audit(file, format_, [p for p in (predictions, against) if p], frame=frame, zones=zones, rng=rng)
    if as_json:
        print(json.dumps([asdict(e) for e in found], allow_nan=False, indent=1))
    else:
        print("\n".join(audit.words(found)))
