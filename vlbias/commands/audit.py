"""`vlbias audit`: predictions for a data set zone by zone, and what the data set gives away to blind rules."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vlbias.errors import BadInput
from vlbias.estimates import Estimate


def command(
    file: Annotated[Path, typer.Argument(help="The data set's file (a folder for screenspot_pro).")],
    format_: Annotated[str, typer.Option("--format", help="screenspot, screenspot_pro, coco, refcoco, vsr, ...")],
    predictions: Annotated[
        Path | None,
        typer.Option("--predictions", help="Rows of id and point, box or answer; COCO results; .npz of attention."),
    ] = None,
    frame: Annotated[str | None, typer.Option("--frame", help="Of predictions: pixels, 0..1 or 0..1000.")] = None,
    against: Annotated[Path | None, typer.Option("--against", help="A second file of predictions.")] = None,
    zones: Annotated[str, typer.Option("--zones", help="rings, rows or columns.")] = "rings",
    images: Annotated[Path | None, typer.Option("--images", help="The images' folder, where sizes are needed.")] = None,
    shortcuts: Annotated[
        bool, typer.Option("--shortcuts", help="Blind rules, not zones; so without predictions or with options.")
    ] = False,
    write_rows: Annotated[
        Path | None, typer.Option("--write_rows", help="JSONL: rules that are right, by row.")
    ] = None,
    write_filtered: Annotated[
        Path | None, typer.Option("--write_filtered", help="JSONL: rows of a subset in which no rule beats chance.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="One integer.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Say where in the image predictions are right, or what a data set gives away to rules that do not look."""
    import numpy as np

    from vlbias import audit
    from vlbias import shortcuts as rules

    rng = np.random.default_rng(seed)
    writes = [path for path in (write_rows, write_filtered) if path]
    if predictions and hasattr(rules.reader(format_), "targets") and not shortcuts:
        if writes:
            raise BadInput("--write_rows and --write_filtered belong to --shortcuts; add it")
        both = [p for p in (predictions, against) if p]
        _say(audit.audit(file, format_, both, frame=frame, zones=zones, images=images, rng=rng), as_json=as_json)
        return
    if against:
        raise BadInput("--against compares zones of two files of boxes or points; it is not for shortcuts")
    data, right_N = rules.audit(file, format_, images=images, answered=predictions, frame=frame)
    _say(rules.estimates(data, right_N, rng=rng), as_json=as_json)
    if write_rows:
        rules.write_rows(data, write_rows)
    if write_filtered:
        n = rules.write_filtered(data, write_filtered, rng=rng)
        typer.echo(f"{n} of {len(data.ids)} rows -> {write_filtered}", err=True)


def _say(found: list[Estimate], *, as_json: bool) -> None:
    from vlbias import audit

    print(
        json.dumps([asdict(e) for e in found], allow_nan=False, indent=1) if as_json else "\n".join(audit.words(found))
    )
