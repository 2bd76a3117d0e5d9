"""`vlbias debias`: corrections fitted on one part of a run's probes and measured on the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

WIDE = 220  # columns of a table that goes into a file or a pipe


def command(
    folder: Annotated[Path, typer.Argument(help="A results folder.")],
    method: Annotated[
        str, typer.Option("--method", "-m", help="NAME, NAME:k=v or NAME:all (its arms), by commas; or all.")
    ] = "all",
    transfer: Annotated[
        str | None, typer.Option("--transfer", help="RUN2,RUN3: does what is fitted on one run correct the others?")
    ] = None,
    fit_share: Annotated[float, typer.Option("--fit_share", help="Share of the source clips to fit on.")] = 0.3,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the split; default: the run's.")] = None,
    include_path: Annotated[Path | None, typer.Option("--include_path", help="A folder of more suites.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Rows {name, value, low, high, goal, ok} to stdout.")] = False,
    display: Annotated[str | None, typer.Option("--display", help="rich, plain or none.")] = None,
) -> None:
    """Correct a run and prove it on held-out probes: accuracy, gap between slots and cost, before and after."""
    from vlbias import scoring
    from vlbias.debiasing import debias
    from vlbias.display import chosen, console
    from vlbias.reports import _arm_maps as arm_maps
    from vlbias.reports import _corrections as corrections
    from vlbias.reports import _transfer as transfers
    from vlbias.transfer import transfer as carry_over

    say = console(chosen(display), stderr=True).print
    given: dict[str, Any] = {"fit_share": fit_share, "seed": seed, "say": say}
    given["include"] = [include_path] if include_path else []
    if transfer is None:
        proof = debias(folder, method, **given)
        paths = corrections.write(proof, folder=folder / "debias")
        paths += scoring.write(scoring.report(folder), folder=folder, writers=("html",))
        rows, notes = [*corrections.rows(proof), *arm_maps.rows(proof)], corrections.notes(proof)
        tables = [found for found in (corrections.table(proof), arm_maps.table(proof, leading=True)) if found]
    else:
        others = [Path(name.strip()) for name in transfer.split(",") if name.strip()]
        found = carry_over([folder, *others], method, **given)
        paths = transfers.write(found, folder=folder / "transfer")
        rows, notes = transfers.rows(found), transfers.notes(found)
        tables = [transfers.likeness_table(found), transfers.carried_table(found)]
    if as_json:
        print(json.dumps(rows, indent=1, allow_nan=False))
        return
    _show(tables, [*notes, *map(str, paths)], display)


def _show(tables: Sequence[Sequence[tuple[str, ...]]], texts: Sequence[str], display: str | None) -> None:
    from rich.table import Table

    from vlbias.display import chosen, console

    out = console(chosen(display))
    if not out.is_terminal:
        out.width = WIDE
    for head, *lines in tables:
        table = Table(*head, box=None)
        for line in lines:
            table.add_row(*line)
        out.print(table)
    for text in texts:
        out.print(text, markup=False)
