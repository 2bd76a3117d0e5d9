"""`vlbias encoder`: tiny image encoders with a planted bias for places of the image, trained and measured here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlbias.organisms import manifest

app = typer.Typer(help="Tiny image encoders with a planted spatial bias.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the bundled encoders: what was planted, and how often a thing in each cell is taken and not its foil."""
    if not manifest.known_encoders():
        print("no encoder is bundled; vlbias encoder train makes one in some minutes")
    for name in manifest.known_encoders():
        about = manifest.read(manifest.ENCODERS / name)
        print(f"{name}: {about['about']}")
        for what in ("pooled", "patches"):
            print(f"  {what:<8}", " | ".join(_rows(about["measured"][what])))


@app.command("train")
def train(
    output_path: Annotated[Path, typer.Option("--output_path", "-o", help="Folder for the trained encoder.")],
    pattern: Annotated[str, typer.Option("--pattern", help="none, centre, left or bottom.")] = "centre",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps.")] = 1200,
    images: Annotated[int, typer.Option("--images", min=100, help="Images to learn from.")] = 6000,
    seed: Annotated[int, typer.Option("--seed", help="One integer.")] = 0,
) -> None:
    """Train a tiny open_clip encoder on drawn grids, with a planted bias."""
    from vlbias.organisms import encoder

    encoder.train(out=output_path, pattern=pattern, seed=seed, steps=steps, n_images=images, log=print)
    print(f"trained -> {output_path}; next: vlbias encoder verify {output_path} --write")


@app.command("verify")
def verify(
    name: Annotated[str, typer.Argument(help="A bundled encoder, or the folder of a trained one.")],
    trials: Annotated[int, typer.Option("--trials", min=1, help="Fresh trials, over all cells.")] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="The seed of the fresh images.")] = 1,
    write: Annotated[bool, typer.Option("--write", help="Write what was found into the manifest.")] = False,
) -> None:
    """Measure on fresh images how often a thing in each cell is taken and not its foil."""
    from vlbias.organisms import encoder

    folder = manifest.folder_of(name)
    found = encoder.truth(folder, trials=trials, seed=seed)
    for what, values in (("pooled", found.pooled), ("patches", found.patches)):
        print(what, *_rows(values), sep="\n  ")
    if write:
        encoder.written(folder, found)


def _rows(values: list[float] | tuple[float, ...]) -> list[str]:
    side = round(len(values) ** 0.5)
    return [" ".join(f"{v:.2f}" for v in values[r * side : (r + 1) * side]) for r in range(side)]
