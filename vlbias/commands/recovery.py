"""`vlbias recovery`: what comes back of preferences planted in the order probes, as docs/order_probes.md."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

PAGE = Path("docs/order_probes.md")
STEP = 100


def command(
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Responders of each case.")] = 1600,
    runs: Annotated[
        list[Path] | None, typer.Option("--run", help="A results folder of a conflict suite; may be repeated.")
    ] = None,
    rates: Annotated[
        Path | None, typer.Option("--rates", help="Where rates are kept as they come; what is there is not made again.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes; default: one per core.")] = None,
    output_path: Annotated[Path, typer.Option("--output_path", "-o", help="The page.")] = PAGE,
    display: Annotated[str | None, typer.Option("--display", help="rich, plain or none.")] = None,
) -> None:
    """Plant preferences in scripted responders, count how often they come back, and write the page."""
    from vlbias import order_page, recovery
    from vlbias.display import chosen, progress

    found: list[recovery.Rate] = []
    if rates is not None and rates.is_file():
        found = recovery.from_json(json.loads(rates.read_text(encoding="utf-8")), where=str(rates))
    done = min((rate.n for rate in found), default=0)
    for n in [*range(done + STEP, seeds, STEP), seeds] if rates is not None else [seeds]:
        with progress(chosen(display), title=f"recovery, to {n} seeds", unit="jobs") as update:
            tell = lambda done, total: update(done, total, 0)  # noqa: B023, E731
            found = recovery.continued(found, seeds=n, workers=workers or os.cpu_count() or 1, tell=tell)
        if rates is not None:
            partial = rates.with_suffix(".partial")
            partial.write_text(json.dumps(recovery.as_json(found), indent=1, allow_nan=False) + "\n", encoding="utf-8")
            partial.replace(rates)
    text = order_page.page(found, runs or [], command=f"vlbias recovery --seeds {found[0].n}")
    output_path.parent.mkdir(parents=True, exist_ok=True)
    output_path.write_text(text, encoding="utf-8")
    print(output_path)
