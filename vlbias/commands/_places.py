"""What the commands of encoders, captioners and detectors have in common: their flags, and shares by cell as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from vlbias.organisms import manifest

Folder: TypeAlias = Annotated[Path, typer.Option("--output_path", "-o", help="Folder for the trained model.")]
Steps: TypeAlias = Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps.")]
Images: TypeAlias = Annotated[int, typer.Option("--images", min=10, help="Images to learn from.")]
Seed: TypeAlias = Annotated[int, typer.Option("--seed", help="One integer.")]
Name: TypeAlias = Annotated[str, typer.Argument(help="A bundled model, or the folder of a trained one.")]
Trials: TypeAlias = Annotated[int, typer.Option("--trials", min=1, help="Fresh trials, over all cells.")]
Write: TypeAlias = Annotated[bool, typer.Option("--write", help="Write what was found into the manifest.")]


def listed(room: Path, *, kind: str, what: Sequence[str]) -> None:
    """Prints the bundled models of a room: what was planted, and the shares by cell under each name of `what`."""
    names = manifest.of_places()[room.name]
    if not names:
        print(f"no {kind} is bundled; vlbias {kind} train makes one in some minutes")
    for name in names:
        about = manifest.read(room / name)
        print(f"{name}: {about['about']}")
        for one in what:
            print(f"  {one:<8}", " | ".join(rows(about["measured"][one])))


def rows(values: Sequence[float]) -> list[str]:
    """Shares of a square of cells, one row of it a text."""
    side = round(len(values) ** 0.5)
    return [" ".join(f"{v:.2f}" for v in values[r * side : (r + 1) * side]) for r in range(side)]


def trained(folder: Path, *, kind: str) -> None:
    """Says what to do next with a trained model."""
    print(f"trained -> {folder}; next: vlbias {kind} verify {folder} --write")
