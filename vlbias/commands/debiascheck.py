"""`vlbias debiascheck`: every correction tried on observers whose bias is known."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

MISSED = 1


def command(
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Observers without a bias; others in proportion.")] = 10,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes; default: one per core.")] = None,
    output_path: Annotated[Path | None, typer.Option("--output_path", "-o", help="Also write the page here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
    display: Annotated[str | None, typer.Option("--display", help="rich, plain or none.")] = None,
) -> None:
    """Try every correction on simulated observers of known bias; exit code 1 when a row is not ok."""
    from vlbias import debiascheck
    from vlbias.debiaspage import page
    from vlbias.display import checks, chosen, console, progress
    from vlbias.selfcheck import as_json as in_json

    how = chosen(display)
    with progress(how, title="debiascheck", unit="trials") as update:
        found, logs = debiascheck.run(
            seeds, workers=workers or os.cpu_count() or 1, tell=lambda done, total: update(done, total, 0)
        )
    rows = debiascheck.rows(found, logs)
    if output_path is not None:
        output_path.parent.mkdir(parents=True, exist_ok=True)
        output_path.write_text(page(found, logs, rows=rows, n_seeds=seeds), encoding="utf-8")
    if as_json:
        print(json.dumps(in_json(rows), allow_nan=False, indent=1))
    else:
        console(how).print(checks(rows))
    if not all(row.ok for row in rows):
        raise typer.Exit(MISSED)
