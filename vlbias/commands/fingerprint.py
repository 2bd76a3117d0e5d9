"""`vlbias fingerprint`: what the runs of a model say together, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[Path, typer.Argument(help="A results folder, or a folder of results folders.")],
    output_path: Annotated[
        Path | None, typer.Option("--output_path", "-o", help="Where to write; default: there.")
    ] = None,
) -> None:
    """Show head, neighbour, conflict, option, image, placement and judge bias of a model on one page."""
    from vlbias import fingerprint

    target = output_path or folder
    found = fingerprint.fingerprint(folder)
    target.mkdir(parents=True, exist_ok=True)
    for path in fingerprint.write(found, folder=target):
        print(path)
