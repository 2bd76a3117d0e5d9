"""`vlbias cellcheck`: how often patterns of cells that are planted come back, and how often none is called one."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from vlbias.errors import UnknownName


def command(
    tasks: Annotated[str | None, typer.Option("--tasks", help="Some of detection, detector, canvas, needle.")] = None,
    flat: Annotated[int, typer.Option("--flat", min=1, help="Models without a pattern.")] = 200,
    planted: Annotated[int, typer.Option("--planted", min=1, help="Models of each planted pattern.")] = 50,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes; default: one per core.")] = None,
    display: Annotated[str | None, typer.Option("--display", help="rich, plain or none.")] = None,
) -> None:
    """Plant patterns of cells in scripted models, count what is said of them, and print the table."""
    from vlbias import cellcheck
    from vlbias.display import chosen, progress

    kinds = list(dict.fromkeys(setting.kind for setting in cellcheck.SETTINGS))
    wanted = kinds if tasks is None else [name.strip() for name in tasks.split(",")]
    for name in wanted:
        if name not in kinds:
            raise UnknownName(what="task", name=name, known=kinds, where="cells can be checked of these")
    settings = [setting for setting in cellcheck.SETTINGS if setting.kind in wanted]
    with progress(chosen(display), title="cellcheck", unit="jobs") as update:
        found = cellcheck.counted(
            settings,
            flat=flat,
            planted=planted,
            workers=workers or os.cpu_count() or 1,
            tell=lambda done, total: update(done, total, 0),
        )
    print(cellcheck.page(found), end="")
