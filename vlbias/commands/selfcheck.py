"""`vlbias selfcheck`: the instrument measured on responders whose bias is known."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

MISSED = 1
PAGE = Path("docs/validity.md")


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="One integer.")] = 0,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes; default: one per core.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Also simulate every case and write the page.")] = False,
    output_path: Annotated[Path, typer.Option("--output_path", "-o", help="The page of --full.")] = PAGE,
    replicates: Annotated[int, typer.Option("--replicates", min=8, help="Runs per case of --full.")] = 400,
    display: Annotated[str | None, typer.Option("--display", help="rich, plain or none.")] = None,
) -> None:
    """Measure the instrument itself on responders of known bias; exit code 1 when a row is not ok."""
    from vlbias import selfcheck, validity
    from vlbias.display import checks, chosen, console, progress

    n = workers or os.cpu_count() or 1
    with progress(chosen(display), title="selfcheck", unit="jobs") as update:
        tell = _told(update)
        if full:
            found, page = validity.full(seed=seed, replicates=replicates, workers=n, tell=tell)
            output_path.parent.mkdir(parents=True, exist_ok=True)
            output_path.write_text(page, encoding="utf-8")
        else:
            found = selfcheck.rows(seed=seed, workers=n, tell=tell)
    if as_json:
        print(json.dumps(selfcheck.as_json(found), allow_nan=False, indent=1))
    else:
        console(chosen(display)).print(checks(found))
    if not all(row.ok for row in found):
        raise typer.Exit(MISSED)


def _told(update: Callable[[int, int, int], None]) -> Callable[[int, int], None]:
    return lambda done, total: update(done, total, 0)
