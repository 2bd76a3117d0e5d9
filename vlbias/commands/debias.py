"""`vlbias debias`: corrections fitted on one part of a run's probes and measured on the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[Path, typer.Argument(help="A results folder.")],
    method: Annotated[str, typer.Option("--method", "-m", help="NAME or NAME:k=v, comma-separated; or all.")] = "all",
    fit_share: Annotated[float, typer.Option("--fit_share", help="Share of the source clips to fit on.")] = 0.3,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the split; default: the run's.")] = None,
    include_path: Annotated[Path | None, typer.Option("--include_path", help="A folder of more suites.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Rows {name, value, low, high, goal, ok} to stdout.")] = False,
    display: Annotated[str | None, typer.Option("--display", help="rich, plain or none.")] = None,
) -> None:
    """Correct a run and prove it on held-out probes: accuracy, gap between slots and cost, before and after."""
    from rich.table import Table

    from vlbias.debiasing import debias
    from vlbias.display import chosen, console
    from vlbias.reports import _corrections as corrections

    how = chosen(display)
    include = [include_path] if include_path else []
    out = console(how, stderr=True)
    proof = debias(folder, method, fit_share=fit_share, seed=seed, include=include, say=out.print)
    paths = corrections.write(proof, folder=folder / "debias")
    if as_json:
        print(json.dumps(corrections.rows(proof), indent=1, allow_nan=False))
        return
    head, *lines = corrections.table(proof)
    table = Table(*head, box=None)
    for line in lines:
        table.add_row(*line)
    console(how).print(table)
    for text in (*corrections.notes(proof), *map(str, paths)):
        console(how).print(text, markup=False)
