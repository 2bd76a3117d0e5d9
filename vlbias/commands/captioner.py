"""`vlbias captioner`: tiny VLMs that say what is in a drawn grid, with a planted bias, trained and measured here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from vlbias.organisms import manifest

app = typer.Typer(help="Tiny VLMs of the grid, with a planted spatial bias.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the bundled captioners: what was planted, and how often a thing in each cell is said and not its foil."""
    if not manifest.known_captioners():
        print("no captioner is bundled; vlbias captioner train makes one in some minutes")
    for name in manifest.known_captioners():
        about = manifest.read(manifest.CAPTIONERS / name)
        print(f"{name}: {about['about']}")
        print("  said    ", " | ".join(_rows(about["measured"]["said"])))


@app.command("train")
def train(
    output_path: Annotated[Path, typer.Option("--output_path", "-o", help="Folder for the trained captioner.")],
    pattern: Annotated[str, typer.Option("--pattern", help="none, centre, left or bottom.")] = "left",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Optimiser steps.")] = 500,
    images: Annotated[int, typer.Option("--images", min=100, help="Images to learn from.")] = 6000,
    seed: Annotated[int, typer.Option("--seed", help="One integer.")] = 0,
) -> None:
    """Train a tiny Qwen2-VL on drawn grids, with a planted bias."""
    from vlbias.organisms import captioner

    captioner.train(out=output_path, pattern=pattern, seed=seed, steps=steps, n_images=images, log=print)
    print(f"trained -> {output_path}; next: vlbias captioner verify {output_path} --write")


@app.command("verify")
def verify(
    name: Annotated[str, typer.Argument(help="A bundled captioner, or the folder of a trained one.")],
    trials: Annotated[int, typer.Option("--trials", min=1, help="Fresh trials, over all cells.")] = 20_000,
    seed: Annotated[int, typer.Option("--seed", help="The seed of the fresh images.")] = 1,
    write: Annotated[bool, typer.Option("--write", help="Write what was found into the manifest.")] = False,
) -> None:
    """Measure on fresh images how often a thing in each cell is likelier than its foil."""
    from vlbias.organisms import captioner

    folder = manifest.folder_of(name)
    found = captioner.truth(folder, trials=trials, seed=seed)
    print("said", *_rows(found.said), sep="\n  ")
    if write:
        captioner.written(folder, found)


def _rows(values: Sequence[float]) -> list[str]:
    side = round(len(values) ** 0.5)
    return [" ".join(f"{v:.2f}" for v in values[r * side : (r + 1) * side]) for r in range(side)]
