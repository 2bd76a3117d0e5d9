"""`vlbias bench`: two things timed alternately in one process, as ratios."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from vlbias import rooms
from vlbias.display import chosen, console
from vlbias.errors import BadInput, UnknownName

MISSED = 1


def command(
    name: Annotated[str, typer.Argument(help="Which benchmark: a file of the room bench.")],
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    only: Annotated[str | None, typer.Option("--only", help="Rows by name, a,b.")] = None,
    shape: Annotated[str | None, typer.Option("--shape", help="Size of the model, where there are several.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="One integer.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Time two things alternately in one process and print their ratios; exit code 1 when a goal is missed."""
    bench = rooms.find("bench", name)
    wanted = {part.strip() for part in only.split(",") if part.strip()} if only else None
    given: dict[str, Any] = {"only": wanted, "device": device, "seed": seed}
    if shape is not None:
        shapes = getattr(bench, "SHAPES", None)
        if shapes is None:
            raise BadInput(f"--shape: bench {name} has one size only; leave it out")
        if shape not in shapes:
            raise UnknownName(what="shape", name=shape, known=shapes, where="--shape")
        given["shape"] = shape
    rows = list(bench.rows(**given))
    if as_json:
        print(json.dumps([asdict(row) for row in rows], allow_nan=False, indent=1))
    else:
        _table(rows)
    if any(row.ok is False for row in rows):
        raise typer.Exit(MISSED)


def _table(rows: list[Any]) -> None:
    from rich.table import Column, Table

    table = Table(Column("figure", overflow="fold"), "value", "rounds", "goal", "met")
    for row in rows:
        rounds = "" if row.low is None or row.high is None else f"{row.low:.4g} to {row.high:.4g}"
        met = {True: "yes", False: "no", None: ""}[row.ok]
        table.add_row(row.name, f"{row.value:.4g} {row.unit}", rounds, row.goal, met)
    console(chosen(None)).print(table)
