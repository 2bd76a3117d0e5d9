"""`vlbias recovery`: what comes back of preferences planted in the order probes, as docs/order_probes.md."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

PAGE = Path("docs/order_probes.md")


def command(
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Responders of each case.")] = 1600,
    runs: Annotated[
        list[Path] | None, typer.Option("--run", help="A results folder of a conflict suite; may be repeated.")
    ] = None,
    rates: Annotated[
        Path | None, typer.Option("--rates", help="Where rates are kept; more seeds add to those that are there.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes; default: one per core.")] = None,
    output_path: Annotated[Path, typer.Option("--output_path", "-o", help="The page.")] = PAGE,
    display: Annotated[str | None, typer.Option("--display", help="rich, plain or none.")] = None,
) -> None:
    """Plant preferences in scripted responders, count how often they come back, and write the page."""
    from vlbias import order_page, recovery
    from vlbias.display import chosen, progress

    kept: list[recovery.Rate] = []
    if rates is not None and rates.is_file():
        kept = recovery.from_json(json.loads(rates.read_text(encoding="utf-8")), where=str(rates))
    with progress(chosen(display), title="recovery", unit="jobs") as update:
        tell = lambda done, total: update(done, total, 0)  # noqa: E731
        found = recovery.continued(kept, seeds=seeds, workers=workers or os.cpu_count() or 1, tell=tell)
    if rates is not None:
        rates.write_text(json.dumps(recovery.as_json(found), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    text = order_page.page(found, runs or [], command=f"vlbias recovery --seeds {found[0].n}")
    output_path.parent.mkdir(parents=True, exist_ok=True)
    output_path.write_text(text, encoding="utf-8")
    print(output_path)
